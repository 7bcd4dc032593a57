"""Images per second, and where the time and the memory go."""

import resource
import sys
import time
from typing import NamedTuple

import torch

from zerosum.training.module import GenerativeModule
from zerosum.training.stopwatch import Stopwatch


class Mark(NamedTuple):
    """What the clocks said at one time."""

    images: int
    wall: float
    """Seconds"""
    trained: float
    """Seconds in steps and their data"""
    parts: dict[str, float]
    """Seconds in parts of steps, and in evaluation"""


def read_clocks(module: GenerativeModule, data: Stopwatch) -> Mark:
    """All clocks now; `data` timed the batches."""
    parts = {**data.seconds, **module.stopwatch.seconds}
    return Mark(module.images_seen, time.perf_counter(), module.seconds_trained, parts)


def describe_speed(before: Mark, now: Mark) -> dict[str, float]:
    """Images per second of training, without evaluation; each part's share of the time since; memory in GiB.

    Where only some steps are timed, their sum is an estimate, and at most the time of all steps.
    """
    trained = now.trained - before.trained
    wall = max(now.wall - before.wall, 1e-9)
    seconds = {name: total - before.parts.get(name, 0.0) for name, total in now.parts.items()}
    evaluation = {"share/evaluation": seconds.pop("evaluation", 0.0) / wall}
    scale = min(1.0, trained / max(sum(seconds.values()), 1e-9))
    shares = {f"share/{name}": scale * part / wall for name, part in seconds.items()} | evaluation
    rate = {"images_per_second": (now.images - before.images) / trained} if trained else {}
    return {**rate, **shares, "share/other": max(0.0, 1 - sum(shares.values())), **memory()}


def memory() -> dict[str, float]:
    """The most memory that this process has held so far, and that it has held on its GPU, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kibibytes on Linux
    values = {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30}
    return values | ({"gpu_memory": torch.cuda.max_memory_allocated() / 2**30} if torch.cuda.is_initialized() else {})

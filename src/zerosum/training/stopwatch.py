"""Where the time of training goes."""

import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from zerosum.training.module import GenerativeModule

STEPS_BETWEEN = 50
"""On a GPU, which must be waited for at each reading, only every 50th step is timed and stands for 50"""


class Stopwatch:
    """Adds up the seconds of named parts of training steps; of a part within another, the outer one counts the rest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.device = torch.device("cpu")
        self.weight = 1
        self._inner = 0.0

    def begin_step(self, device: torch.device, step: int) -> None:
        """Decide whether this step is timed, and how many it stands for."""
        self.device = device
        self.weight = 1 if device.type == "cpu" else STEPS_BETWEEN if step % STEPS_BETWEEN == 0 else 0

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time a part, unless this step is not timed."""
        if not self.weight:
            yield
            return
        outer, self._inner = self._inner, 0.0
        started = self.now()
        try:
            yield
        finally:
            elapsed = self.now() - started
            self.seconds[part] += self.weight * (elapsed - self._inner)
            self._inner = outer + elapsed

    def now(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class Mark(NamedTuple):
    """What the clocks said at one time."""

    images: int
    wall: float
    """Seconds"""
    trained: float
    """Seconds in steps and their data"""
    parts: dict[str, float]
    """Seconds in parts of steps, and in evaluation"""


def read_clocks(module: "GenerativeModule", data: Stopwatch) -> Mark:
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

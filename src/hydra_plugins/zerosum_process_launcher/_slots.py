"""The share of the machine that each of several jobs at a time may use."""

import os
from collections.abc import Sequence

from zerosum.errors import UserError


def environments(jobs: int, slots: Sequence[str] | None) -> list[dict[str, str]]:
    """Environment variables of each job: its GPUs, if there are any, and its share of the cores."""
    if jobs < 1 or (slots is not None and len(slots) != jobs):
        raise UserError(f"hydra.launcher.jobs={jobs} slots={slots}: at least 1 job, and as many slots as jobs")
    devices = divide(visible_gpus(), jobs) if slots is None else [str(slot) for slot in slots]
    gpus = [{"CUDA_VISIBLE_DEVICES": part} for part in devices] or [{}] * jobs
    return [{**threads(jobs), **part} for part in gpus]


def divide(devices: Sequence[str], jobs: int) -> list[str]:
    """Equal parts of the devices, such as '0,1'; jobs beyond their number share them; no parts without devices."""
    size = len(devices) // jobs
    if size == 0:
        return [devices[job % len(devices)] for job in range(jobs)] if devices else []
    return [",".join(devices[job * size : (job + 1) * size]) for job in range(jobs)]


def visible_gpus() -> list[str]:
    """The names in CUDA_VISIBLE_DEVICES, or numbers."""
    import torch

    named, count = os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count()
    return (named.split(",") if named else [str(number) for number in range(count)])[:count]


def threads(jobs: int) -> dict[str, str]:
    """A share of the cores, unless it has been set by hand; a single job decides for itself."""
    if jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(1, cores // jobs))}

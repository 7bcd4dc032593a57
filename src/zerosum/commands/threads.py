"""How CPU threads wait and how many there are: read by OpenMP when torch is loaded, so set before."""

import math
import os
import time
from pathlib import Path

SPINS = "1000"
"""Turns that a thread spins at a barrier before it sleeps, beside other busy processes: with GNU OpenMP's default, some
300,000, it takes the cores from them and from the threads that it waits for (benchmarks/busy_machine.py)"""
CGROUP = Path("/sys/fs/cgroup")
STATISTICS = Path("/proc/stat")
WATCHED_SECONDS = 0.1


def prepare_threads() -> None:
    """Let waiting threads sleep soon if the machine is busy, and take no more threads than the quota of CPUs.

    Settings of the user's own win. On an idle machine threads spin, as is fastest there.
    """
    quota, cores = cpu_quota(), usable_cores()
    if quota is not None and quota < cores:
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, math.floor(quota))))
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys() and idle_cores() < wanted_threads(cores) - 0.5:
        os.environ["GOMP_SPINCOUNT"] = SPINS


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wanted_threads(cores: int) -> int:
    """Threads that torch will use."""
    typed = os.environ.get("OMP_NUM_THREADS", "")
    return int(typed) if typed.isdigit() else cores


def idle_cores(path: Path = STATISTICS, seconds: float = WATCHED_SECONDS) -> float:
    """Mean number of cores without work over the next moments; infinite where the system does not say."""
    try:
        before, start = idle_ticks(path), time.perf_counter()
        time.sleep(seconds)
        ticks = idle_ticks(path) - before
        return ticks / os.sysconf("SC_CLK_TCK") / (time.perf_counter() - start)
    except (OSError, ValueError, IndexError):
        return math.inf


def idle_ticks(path: Path) -> int:
    """Clock ticks that all cores together have been idle or waiting for a disk since the machine started."""
    fields = path.read_text(encoding="utf-8").splitlines()[0].split()
    return int(fields[4]) + int(fields[5])


def cpu_quota(root: Path = CGROUP) -> float | None:
    """CPUs that the control group may use at a time, None without a limit (cgroup v2, or v1)."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return None

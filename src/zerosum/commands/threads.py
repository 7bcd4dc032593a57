"""How CPU threads wait and how many there are: read by OpenMP when torch is loaded, so set before."""

import math
import os
from pathlib import Path

SPINS = "1000"
"""Turns a thread spins at a barrier before it sleeps: GNU OpenMP's default, up to 30 billion, takes the cores from
whatever else runs, other threads of the same training among it (benchmarks/busy_machine.py)"""
CGROUP = Path("/sys/fs/cgroup")


def prepare_threads() -> None:
    """Let waiting threads sleep soon, and take no more threads than the container's quota of CPUs; own settings win."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS
    quota = cpu_quota()
    if quota is not None and quota < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, math.floor(quota))))


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

"""OpenMP's settings are there before torch is loaded, and a user's own win."""

import math
import os
import subprocess
import sys

import pytest

from zerosum.commands.threads import cpu_quota, idle_cores

SHOW = """
import os, sys
from zerosum.commands import threads
threads.idle_cores = lambda: float(sys.argv.pop())
from zerosum.commands.messages import command
@command
def main():
    assert "torch" not in sys.modules
    print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
main()
"""
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


@pytest.mark.parametrize(
    ("own", "idle", "expected"),
    [
        ({"OMP_NUM_THREADS": "4"}, 3.9, "None None"),
        ({"OMP_NUM_THREADS": "4"}, 3.0, "1000 None"),
        ({"GOMP_SPINCOUNT": "7"}, 0.0, "7 None"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, 0.0, "None PASSIVE"),
    ],
)
def test_waiting_threads_sleep_soon_on_a_busy_machine_unless_the_user_says_otherwise(own, idle, expected):
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(idle)], env={**environment, **own}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_idle_cores_are_those_of_the_systems_counter(tmp_path, monkeypatch):
    """cpu user nice system idle iowait ...: 8 + 2 ticks of a hundredth of a second in a tenth are one core."""
    place, counts = tmp_path / "stat", iter(["cpu 1 2 3 100 10 6", "cpu 1 2 3 108 12 6"])
    monkeypatch.setattr("zerosum.commands.threads.idle_ticks", lambda path: sum(map(int, next(counts).split()[4:6])))
    now = iter([5.0, 5.1])
    monkeypatch.setattr("zerosum.commands.threads.time.perf_counter", lambda: next(now))
    monkeypatch.setattr("zerosum.commands.threads.os.sysconf", lambda name: 100)
    assert idle_cores(place, 0.0) == pytest.approx(1.0)
    monkeypatch.undo()
    assert idle_cores(tmp_path / "none", 0.0) == math.inf


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_control_group_is_read(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert cpu_quota(tmp_path) == expected

"""One line over all jobs of a sweep."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, SMALL_POINTS
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from zerosum.commands import sweep_progress
from zerosum.commands.sweep_progress import SweepLine, SweepProgress, count_jobs
from zerosum.evaluation.measurement import read_record


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    times = [0.0]
    monkeypatch.setattr(sweep_progress.time, "monotonic", lambda: times[0])
    return times


def run_job(line, clock, job, until, failed=False):
    line.start(job)
    clock[0] = until
    line.end(job, failed)


def test_the_time_left_is_that_of_the_jobs_so_far_for_each_that_is_left(clock):
    line = SweepLine(6, at_once=2)
    assert line.left() is None and str(line) == "sweep  0/6 done  0 running  -:-- left"
    run_job(line, clock, 0, 100.0)
    line.start(1)
    clock[0] = 140.0
    assert line.left() == pytest.approx((60 + 4 * 100) / 2)
    clock[0] = 400.0  # it takes longer than expected
    assert line.left() == pytest.approx(4 * 100 / 2)
    line.end(1, failed=True)
    assert str(line) == "sweep  1/6 done  0 running  1 failed  3:20 left"


def test_jobs_that_were_finished_before_say_nothing_about_the_next(clock):
    line = SweepLine(4)
    run_job(line, clock, 0, 0.5)
    run_job(line, clock, 1, 100.5)
    assert line.left() == pytest.approx(200)


def sweep_of(*overrides, sweeper=None):
    node = {"sweeper": sweeper or {"params": None}, "overrides": {"task": list(overrides)}}
    return OmegaConf.create({"hydra": {**node, "job": {"num": 0}, "mode": RunMode.MULTIRUN}})


@pytest.mark.parametrize(
    ("config", "jobs"),
    [
        (sweep_of("loss=nonsat,hinge", "seed=0,1,2", "gamma=1"), 6),
        (sweep_of("seed=0", sweeper={"params": {"loss": "nonsat,hinge", "seed": "range(4)"}}), 2),
        (sweep_of("recipe=glob(ring_*)"), len(list((ROOT / "conf" / "recipe").glob("ring_*.yaml")))),
        (sweep_of("gamma=interval(0,1)", sweeper={"n_trials": 7}), 7),
        (sweep_of("gamma=interval(0,1)"), None),
    ],
)
def test_jobs_are_counted_before_the_first(config, jobs):
    assert count_jobs(config) == jobs


def test_the_line_is_logged_where_there_is_no_terminal(caplog, clock):
    progress = SweepProgress()
    config = sweep_of("seed=0,1")
    with caplog.at_level("INFO"):
        progress.on_multirun_start(config)
        progress.on_job_start(config)
        progress.on_job_end(config, JobReturn(status=JobStatus.COMPLETED))
        config.hydra.job.num = 1
        progress.on_job_start(config)
        progress.on_job_end(config, JobReturn(status=JobStatus.FAILED))
    assert [message.rpartition("  ")[0] for message in caplog.messages] == [
        "sweep  0/2 done  1 running",
        "sweep  1/2 done  1 running",
        "sweep  1/2 done  0 running  1 failed",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "process"])
def test_a_killed_sweep_goes_on(tmp_path, launcher):
    """Killed while a job has a folder and no checkpoint: it starts over, and jobs that are done are not repeated."""
    words = [*SMALL_POINTS, "seeds=3", "resume=auto", f"hydra/launcher={launcher}"]
    command = [sys.executable, str(ROOT / "train.py"), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while first.poll() is None and not list(tmp_path.glob("outputs/sweep_*/1_*/config.yaml")):
        time.sleep(0.01)
    for process in [first.pid, *children(first.pid)]:
        os.kill(process, signal.SIGKILL)
    first.wait()
    (sweep,) = tmp_path.glob("outputs/*")
    (done,) = sweep.glob("0_*/metrics.json")
    before = done.stat().st_mtime_ns
    second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert done.stat().st_mtime_ns == before and list(tmp_path.glob("outputs/*")) == [sweep]
    assert len(list(sweep.glob("*/last.ckpt"))) == 3
    assert all(read_record(path).last.images == 64 for path in sweep.glob("*/metrics.json"))
    assert "3/3 done" in second.stdout


def children(parent: int) -> list[int]:
    """Processes that it has started, which are in sessions of their own."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True).stdout
    return [int(word) for word in listed.split()]

"""One process at a time trains in a folder."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

from zerosum.errors import UserError
from zerosum.experiment.train import train
from zerosum.runs import resume
from zerosum.training.lock import RANKS, hold

HOLDER = """
import sys, time
from pathlib import Path
from zerosum.training.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""
"""A program that locks the folder it is given"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in tmp_path/run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_in_a_sentence_until_the_first_has_died(holder, tiny, tmp_path):
    partial = tmp_path / "run" / f".last.ckpt.{1:032}.partial"
    partial.write_text("being written by the first")
    config = tiny("run.images=32", "~callbacks.evaluate")
    for start in (lambda: train(config), lambda: resume.start_or_resume(config)):
        with pytest.raises(UserError, match=r"another process is training in .*run: wait until it ends or stop it"):
            start()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [f".last.ckpt.{1:032}.partial", ".lock"]
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    train(config)
    assert not partial.exists() and (tmp_path / "run" / "last.ckpt").exists()


def test_resuming_a_run_that_is_running_is_refused(finished_run, tmp_path, holder):
    import shutil

    shutil.copytree(finished_run, tmp_path / "run", dirs_exist_ok=True)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UserError, match="another process is training"):
        resume.resume(tmp_path / "run", ["run.images=640", f"dataset.root={tmp_path / 'data'}"])
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_a_process_may_lock_twice_and_further_processes_of_a_run_need_no_lock(holder, tmp_path, monkeypatch):
    with hold(tmp_path / "mine"), hold(tmp_path / "mine"):
        pass
    with hold(tmp_path / "mine"):
        pass
    for name in RANKS:
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            with hold(tmp_path / "run"):
                pass


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "target").write_text("theirs")
    (tmp_path / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(UserError, match=r"\.lock could not be opened"), hold(tmp_path):
        pass
    assert (tmp_path / "target").read_text() == "theirs"


TINY_RING = (
    *("dataset=ring", "model=mlp", "training.batch_size=16", "run.images=160", "protocol=points10k"),
    *("metrics=mode_coverage", "protocol.n_fake=32", "callbacks.samples.frames=1", "trainer=cpu"),
)


def start_two(folder, *options):
    """Start two runs at once; (status, output) of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *TINY_RING, f"seed={seed}", *options],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in (0, 1)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


@pytest.mark.slow
def test_two_runs_that_start_at_once_have_folders_of_their_own_or_one_is_refused(tmp_path):
    results = start_two(tmp_path)
    assert [status for status, _ in results] == [0, 0], results
    configs = [path.read_text() for path in (tmp_path / "outputs").glob("*/config.yaml")]
    assert sorted(line for config in configs for line in config.splitlines() if line.startswith("seed:")) == [
        "seed: 0",
        "seed: 1",
    ]
    results = start_two(tmp_path, "hydra.run.dir=one")
    assert sorted(status for status, _ in results) == [0, 1], results
    refused = next(output for status, output in results if status == 1)
    assert "error: another process is training in" in refused or "already holds a run" in refused, refused
    assert "Traceback" not in refused

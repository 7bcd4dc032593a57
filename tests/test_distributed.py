"""Values that each process has its own of."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ROOT, TINY, verb


@pytest.mark.slow
def test_metrics_of_two_processes_with_batch_norm_are_those_of_the_checkpoint(tmp_path):
    """Each process samples half of the images, by the running statistics of rank 0, which the checkpoint holds.

    With statistics of its own in each process the values differed by a ten-thousandth.
    """
    options = [*(option for option in TINY if option != "trainer=cpu"), "trainer=ddp", "trainer.accelerator=cpu"]
    options += ["run.images=160", f"dataset.root={tmp_path}/data", f"hydra.run.dir={tmp_path}/run"]
    verb("train.py", *options, "protocol.n_fake=200", "callbacks.samples.frames=1")
    verb("evaluate.py", f"run={tmp_path}/run", "metrics=fid", "checkpoint=last")
    trained = json.loads((tmp_path / "run" / "metrics.json").read_text())["last"]
    alone = json.loads((tmp_path / "run" / "evaluation_last.json").read_text())
    assert trained["card"]["run"]["images"] == alone["card"]["run"]["images"] == 160
    assert trained["values"]["fid"] == pytest.approx(alone["values"]["fid"], rel=1e-6)
    assert trained["card"]["protocol"] == alone["card"]["protocol"]
    assert trained["card"]["run"]["selection"].startswith("chosen by fid on the split test")


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "said"), [(signal.SIGKILL, "ended"), (signal.SIGSTOP, "does not answer")])
def test_a_process_that_ends_or_freezes_ends_the_other_with_a_sentence_and_a_checkpoint_stays(tmp_path, sent, said):
    options = [*(option for option in TINY if option != "trainer=cpu"), "trainer=ddp", "trainer.accelerator=cpu"]
    options += ["run.images=100_000_000", f"dataset.root={tmp_path}/data", f"hydra.run.dir={tmp_path}/run"]
    options += ["trainer.strategy.timeout_minutes=0.5"]
    with (tmp_path / "printed").open("w") as printed:
        process = subprocess.Popen([sys.executable, ROOT / "train.py", *options], stdout=printed, stderr=printed)
    try:
        wait_for(tmp_path / "run" / "last.ckpt")
        (second,) = children_of(process.pid)
        os.kill(second, sent)
        process.wait(timeout=120)
    finally:
        process.kill()
        with suppress(ProcessLookupError):
            os.kill(second, signal.SIGKILL)
    output = (tmp_path / "printed").read_text()
    assert process.returncode == 1
    assert f"error: another process of this training {said}: " in output and "Traceback" not in output
    assert (tmp_path / "run" / "last.ckpt").exists()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(path: Path, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"no {path.name} after {seconds} s"
        time.sleep(0.2)

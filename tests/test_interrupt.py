"""A run that is stopped by a signal ends, once it is started again, as one that was never stopped."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, TINY
from lightning import Callback

from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs import resume
from zerosum.training.callbacks.interrupt import STEPS_BETWEEN_CHECKS

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests")}
BARE = ("callbacks.curves.every=80", "~callbacks.evaluate", "~callbacks.samples")


def command(folder, *options):
    own = [f"hydra.run.dir={folder}", f"dataset.root={folder.parent}/data", "resume=auto"]
    return [sys.executable, str(ROOT / "train.py"), *options, *own]


def started(*arguments):
    """The same command, once more: its exit status and what it printed."""
    done = subprocess.run(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def stopped(number, *arguments):
    """The same, with a signal once it trains."""
    rows = arguments[0] / "metrics.csv"
    process = subprocess.Popen(
        command(*arguments), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while process.poll() is None and not (rows.exists() and rows.read_text().count("\n") > 1):
        time.sleep(0.02)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=180)
    return process.returncode, printed


def on_two_nodes(*arguments):
    """The same command at once on two nodes of one process each, both of them here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    nodes = [
        subprocess.Popen(command(*arguments), env={**ENVIRONMENT, **address, "NODE_RANK": str(rank)}) for rank in (0, 1)
    ]
    assert [node.wait(timeout=120) for node in nodes] == [0, 0]


def weights(folder):
    stored = torch.load(folder / "last.ckpt", weights_only=True)
    return stored["images_seen"], stored["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(tiny, tmp_path, name):
    """The status is 128 + the signal, so that what started the run can tell; 130 for Ctrl-C."""
    options = (*BARE, "run.images=6_400")
    number = signal.Signals[name]
    status, printed = stopped(number, tmp_path / "stopped", *TINY, *options, "run.name=test")
    assert status == 128 + number and f"Stopped by {name} at" in printed, printed
    assert 0 < weights(tmp_path / "stopped")[0] < 6_400
    resume.start_or_resume(tiny(*options, f"run.folder={tmp_path}/stopped", "resume=auto"))
    train(tiny(*options))
    (seen, straight), (_, other) = weights(tmp_path / "run"), weights(tmp_path / "stopped")
    assert seen == 6_400
    for key, value in straight.items():
        assert torch.equal(value, other[key]), key


class PressCtrlC(Callback):
    """Presses Ctrl-C in the fourth step."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 3:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_stops_after_the_step(tiny, tmp_path):
    typed = validate(tiny("run.images=160", "~callbacks.evaluate"))
    typed["callbacks"]["press"] = {"_target_": f"{__name__}.PressCtrlC"}
    before = signal.getsignal(signal.SIGINT)
    assert train(typed).stopped_by == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) == before
    assert weights(tmp_path / "run")[0] == 64


@pytest.mark.slow
def test_two_processes_stop_at_the_same_step_when_one_is_told(composed, tmp_path):
    """SIGUSR1, as SLURM sends before the time limit. Without batch norm two processes are one up to rounding."""
    options = ("dataset=synthetic", "model=mlp", "training.batch_size=16", "run.images=800", *BARE)
    planted = ("trusted=[witness]", "+callbacks.signal={_target_: witness.Signal, step: 21, name: SIGUSR1}")
    both = (tmp_path / "stopped", *options, *planted, "trainer=ddp", "trainer.accelerator=cpu")
    status, printed = started(*both)
    assert status == 128 + signal.SIGUSR1 and printed.count("Stopped by SIGUSR1 at 480 images") == 1, printed
    assert weights(tmp_path / "stopped")[0] == 3 * STEPS_BETWEEN_CHECKS * 16
    on_two_nodes(*both, "trainer.devices=1", "trainer.num_nodes=2")
    assert weights(tmp_path / "stopped")[0] == 800
    train(composed(*options, "trainer=cpu"))
    (_, straight), (_, other) = weights(tmp_path / "run"), weights(tmp_path / "stopped")
    for name, value in straight.items():
        message = f"{name}: {{}}".format
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-6, msg=message)


def test_a_run_that_had_just_finished_was_not_stopped(tiny):
    typed = validate(tiny("run.images=64", "~callbacks.evaluate"))
    planted = {"_target_": "witness.Signal", "step": 3, "name": "SIGTERM"}
    typed["callbacks"] = {"signal": planted, **typed["callbacks"]}
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    assert train(typed).stopped_by is None
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


@pytest.mark.slow
def test_ctrl_c_in_the_first_evaluation_leaves_nothing_and_says_so_once(tmp_path):
    options = [option for option in TINY if not option.startswith("protocol.")]
    options += ["protocol.n_fake=1_000_000", f"dataset.root={tmp_path}/data", f"hydra.run.dir={tmp_path}/run"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *options],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background jobs ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    printed = ""
    while "Classifier features" not in printed:
        printed += process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=180)
    assert process.returncode == 130
    assert printed.strip() == "Interrupted before there was anything to save."
    assert not (tmp_path / "run").exists()

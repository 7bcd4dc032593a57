"""A run that its cluster stops ends as one that was never stopped, by the same command."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, TINY

from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs import resume
from zerosum.training.callbacks.interrupt import STEPS, GracefulStop, leave_if_stopped
from zerosum.errors import UserError
from zerosum.commands.messages import run_folder

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
    printed, _ = process.communicate(timeout=60)
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


def test_sigterm_saves_and_the_run_goes_on_to_the_same_end(tiny, tmp_path):
    options = (*BARE, "run.images=6_400")
    status, printed = stopped(signal.SIGTERM, tmp_path / "stopped", *TINY, *options, "run.name=test")
    assert status == 128 + signal.SIGTERM and "Stopped by SIGTERM at" in printed, printed
    assert 0 < weights(tmp_path / "stopped")[0] < 6_400
    resume.start_or_resume(tiny(*options, f"run.folder={tmp_path}/stopped", "resume=auto"))
    train(tiny(*options))
    (seen, straight), (_, other) = weights(tmp_path / "run"), weights(tmp_path / "stopped")
    assert seen == 6_400
    for name, value in straight.items():
        assert torch.equal(value, other[name]), name


def test_two_processes_stop_at_the_same_step_when_one_is_told(composed, tmp_path):
    """SIGUSR1, as SLURM sends before the time limit. Without batch norm two processes are one up to rounding."""
    options = ("dataset=synthetic", "model=mlp", "training.batch_size=16", "run.images=800", *BARE)
    planted = ("trusted=[witness]", "+callbacks.signal={_target_: witness.Signal, step: 21, name: SIGUSR1}")
    both = (tmp_path / "stopped", *options, *planted, "trainer=ddp", "trainer.accelerator=cpu")
    status, printed = started(*both)
    assert status == 128 + signal.SIGUSR1 and printed.count("Stopped by SIGUSR1 at 480 images") == 1, printed
    assert weights(tmp_path / "stopped")[0] == 3 * STEPS * 16
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
    train(typed)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before
    assert GracefulStop.stopped_by is None
    leave_if_stopped()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The overrides of a run of 64 images, and its config."""
    from hydra import compose, initialize_config_dir

    folder = tmp_path_factory.mktemp("finished")
    overrides = [*TINY, "run.images=64", f"dataset.root={folder}/data", "run.name=test", f"run.folder={folder}/run"]
    overrides += ["resume=auto"]

    def composed(*further):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return compose("config", [*overrides, *further])

    resume.start_or_resume(composed())
    return composed


def test_a_finished_run_is_left_alone_and_its_objective_is_known(finished, monkeypatch):
    monkeypatch.setattr(resume, "train", lambda *arguments: pytest.fail("trained again"))
    evaluate = resume.start_or_resume(finished())
    assert evaluate.objective("fid") == min(entry["values"]["fid"] for entry in evaluate.history)


def test_another_command_is_refused_and_a_larger_budget_is_not(finished, monkeypatch):
    monkeypatch.setattr(resume, "train", lambda config, checkpoint: (config["run"]["images"], checkpoint.name))
    with pytest.raises(UserError, match=r"holds a run with loss._target_=.*NonSaturating, not .*Minimax"):
        resume.start_or_resume(finished("run.images=128", "loss=minimax"))
    assert resume.start_or_resume(finished("run.images=128")) == (128, "last.ckpt")


def test_the_folder_of_a_run_that_goes_on_by_itself_does_not_depend_on_the_time():
    assert run_folder("auto", "mine") == "outputs/mine"
    assert run_folder("outputs/there", "mine") == "outputs/there"

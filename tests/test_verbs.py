"""The commands of the README, as a person types them."""

import gc
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from conftest import ROOT, TINY, verb

from zerosum.commands.messages import errors_as_sentences
from zerosum.commands.train import without_garbage_collection
from zerosum.runs import folder

SMALL = [option for option in TINY if option != "trainer=cpu"]


@pytest.mark.slow
def test_train_sample_evaluate_resume(tmp_path):
    run = tmp_path / "run"
    printed = verb("train.py", *SMALL, f"hydra.run.dir={run}", "run.images=160", f"dataset.root={tmp_path}/data")
    assert "best   fid" in printed and str(run / "training.gif") in printed
    assert "warn" not in printed.lower() and "tip" not in printed.lower()
    assert (run / "console.log").read_text().count("\n") >= 5
    assert "grid.png" in verb("sample.py", f"run={run}", "count=3", "seed=7", cwd=tmp_path)
    assert "n_fake" in verb("evaluate.py", f"run={run}", "checkpoint=last", cwd=tmp_path)
    assert "is finished" in verb("train.py", f"resume={run}", fails=True)
    assert "Done: 320 images" in verb("train.py", f"resume={run}", "run.images=320")
    assert "already holds a run" in verb("train.py", *SMALL, f"hydra.run.dir={run}", fails=True)


@pytest.mark.slow
def test_multirun_trains_each_combination_in_a_folder_of_its_own(tmp_path):
    options = [*SMALL, "run.images=32", f"dataset.root={tmp_path}/data", f"hydra.sweep.dir={tmp_path}/sweep"]
    verb("train.py", "-m", *options, "loss=nonsat,minimax", "seed=0,1")
    folders = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    assert folders == [
        "0_synthetic_dcgan_nonsat_seed0",
        "1_synthetic_dcgan_nonsat_seed1",
        "2_synthetic_dcgan_minimax_seed0",
        "3_synthetic_dcgan_minimax_seed1",
    ]
    assert all((tmp_path / "sweep" / name / "last.ckpt").exists() for name in folders)


@pytest.mark.slow
def test_two_processes_train_and_measure_as_one(tmp_path):
    """Without batch norm, at the same global batch, 50 steps of all that looks across a batch: one set of files too.

    A run of one process goes on with two as well. Adam's eps is large here, since with 1e-8 the rounding of a gradient
    that is 0 decides the direction of a whole step.
    """
    import json

    import torch

    options = ["dataset=synthetic", "model=mlp", "features.steps=20", "protocol.n_fake=63", "training.batch_size=16"]
    options += ["callbacks.samples.frames=1", f"dataset.root={tmp_path}/data", "callbacks.checkpoint.every=400"]
    options += ["loss=relativistic", "regularizer=r1_r2", "model.minibatch_stddev=true"]
    options += ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"]
    two = ["trainer=ddp", "trainer.accelerator=cpu"]
    verb("train.py", *options, "run.images=800", "trainer=cpu", f"hydra.run.dir={tmp_path}/one")
    printed = verb("train.py", *options, "run.images=800", *two, f"hydra.run.dir={tmp_path}/two")
    assert printed.count("Done: 800 images") == 1
    verb("train.py", *options, "run.images=400", "trainer=cpu", f"hydra.run.dir={tmp_path}/grown")
    verb("train.py", f"resume={tmp_path}/grown", "run.images=800", "trainer.devices=2", "trainer.strategy=" + PLAYERS)
    runs = {name: torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("one", "two", "grown")}
    fid = {name: json.loads((tmp_path / name / "metrics.json").read_text())["last"]["values"]["fid"] for name in runs}
    for other in ("two", "grown"):
        for name, value in runs["one"]["state_dict"].items():
            difference = (value - runs[other]["state_dict"][name]).norm()
            assert difference <= 1e-6 * value.norm(), f"{other} {name}: {difference / value.norm():.1e}"
        assert fid[other] == pytest.approx(fid["one"], rel=1e-5)


PLAYERS = "{_target_: zerosum.training.strategy.PlayersStrategy}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["modle=dcgan"], "modle: there is no such option. Did you mean model"),
        (["model.lantent_dim=3"], "Did you mean model.latent_dim"),
        (["loss=nonsatt"], "Did you mean nonsat?"),
        (["+optimizer.weight_decay=0.1"], "optimizer.weight_decay: there is no such option of this optimizer"),
        (["dataset=synthetic", "optimizer.lr=-1"], "optimizer.lr=-1: choose a learning rate of 0 or more"),
        (["regularizer=r1", "regularizer=null"], "regularizer=null: write regularizer=none, and name the option once"),
        (["dataset=mnist", "dataset.root=/nowhere", "dataset.download=false"], "MNIST is not in /nowhere/MNIST/raw"),
        (["resume=outputs/nowhere"], "outputs/nowhere holds no run"),
        (["dataset=cifar10", "features.weights=/no.pth", "dataset=synthetic", "features=inception"], "no such file"),
    ],
)
def test_mistakes_get_one_sentence_and_a_status(options, message, tmp_path):
    printed = verb("train.py", *options, f"hydra.run.dir={tmp_path}/run", fails=True)
    assert message in printed
    banner = ("Starting ", "  ")
    assert len([line for line in printed.splitlines() if not line.startswith(banner)]) <= 2


@pytest.mark.parametrize(
    "options",
    [
        ["run.images=0"],
        ["resume=nonsense"],
        ["dataset=synthetic", "optimizer.lr=-1", "hydra.run.dir=a/b"],
        [
            "dataset=mnist",
            "dataset.root=nowhere",
            "dataset.download=false",
            "logger=[wandb,tensorboard]",
        ],  # which has begun
        ["-m", "loss=nonsatt,hinge"],
    ],
)
def test_a_command_that_failed_before_training_leaves_nothing(options, tmp_path):
    verb("train.py", *options, cwd=tmp_path, fails=True)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_command_leaves_a_folder_that_was_there_as_it_was(tmp_path):
    """Another process may be training in it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "console.log").write_text("theirs\n")
    assert "run holds no run" in verb("train.py", "resume=run", cwd=tmp_path, fails=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["console.log"]
    assert (tmp_path / "run" / "console.log").read_text() == "theirs\n"


@pytest.mark.slow
def test_a_run_that_trained_and_then_failed_keeps_its_log(tmp_path):
    """Without evaluations and samples nothing else but config.yaml says that it trained."""
    callbacks = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "logits", "weights", "checkpoint")]
    options = [*SMALL, *callbacks, "~logger", "optimizer.lr=1e30", "callbacks.guard.every=16", "run.images=640"]
    printed = verb("train.py", *options, "hydra.run.dir=run", cwd=tmp_path, fails=True)
    assert "0:00 left" not in printed
    logged = (tmp_path / "run" / "console.log").read_text()
    assert "ERROR" in logged and (tmp_path / "run" / "config.yaml").exists()


def test_the_first_line_comes_before_torch(tmp_path):
    """Within two seconds of typing there is something on the screen; torch and Lightning take more."""
    order = "import sys; sys.argv[1:] = ['run.images=64', 'hydra.run.dir=run']\n" + dedent(
        """
        import zerosum.commands.train as train
        class First(Exception): pass
        def first(message, **options):
            print(message, sorted({"torch", "lightning"} & set(sys.modules)), flush=True)
            raise First
        train.CONSOLE.out = first
        try:
            train.main()
        except First:
            pass
        """
    )
    done = subprocess.run([sys.executable, "-c", order], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Starting digits_dcgan_nonsat_seed0 ... []\n"


@pytest.mark.slow
def test_output_that_is_no_terminal_has_no_control_sequences(tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    options = [*SMALL, "run.images=64", "hydra.run.dir=run", f"dataset.root={tmp_path}/data"]
    printed = verb("train.py", *options, cwd=tmp_path)
    assert printed.isascii() and "\x1b" not in printed and "\r" not in printed
    assert printed.count("images  ") <= 10 and "  folder " in printed


@pytest.mark.parametrize("folder", ["{path}/file/run", "{path}/" + "x" * 300, "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_a_sentence(folder, tmp_path):
    (tmp_path / "file").touch()
    printed = verb("train.py", f"hydra.run.dir={folder.format(path=tmp_path)}", fails=True)
    assert "check that its folder exists" in printed and printed.count("\n") <= 2


def test_a_mistyped_option_of_sample_is_compared_with_the_options_of_sample():
    assert "Did you mean count" in verb("sample.py", "cuont=3", fails=True)


def test_ctrl_c_before_training_is_no_traceback():
    command = [sys.executable, "-c", "import time; from zerosum.commands.messages import command; command(stop)()"]
    command[2] = command[2].replace("; command(stop)()", "\ndef stop():\n    raise KeyboardInterrupt\ncommand(stop)()")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "Interrupted before there was anything to save.\n"


def test_help_lists_the_choices_without_importing_what_takes_seconds():
    printed = verb("train.py", "--help")
    assert "loss: " in printed and "nonsat" in printed and "dataset: " in printed
    loaded = "import sys, train; print(sorted({'torch', 'lightning', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("marked", "stays"), [(True, False), (False, True), (None, True)])
def test_ctrl_c_in_preparations_leaves_nothing_and_in_training_everything(tmp_path, monkeypatch, marked, stays):
    """Lightning answers it with sys.exit(1), in the middle of the callbacks' preparations too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "MADE", {})
    run = Path(folder.make_folder("run"))
    for name in ("config.yaml", "console.log", ".lock"):
        (run / name).touch()
    with pytest.raises(SystemExit) as caught, errors_as_sentences():
        try:
            interrupt = KeyboardInterrupt()
            if marked is not None:
                interrupt.before_training = marked
            raise interrupt
        except KeyboardInterrupt:
            sys.exit(1)
    assert run.exists() == stays and caught.value.code == 130


def test_imports_wait_for_no_garbage_collection():
    with without_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()

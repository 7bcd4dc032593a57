"""Training from Python is the training of the command line: it overwrites nothing, resumes, and says what is wrong."""

import os
import subprocess
import sys

import pytest
import yaml
from lightning import Callback

import zerosum
from zerosum import compose, train
from zerosum.errors import UserError
from zerosum.evaluation.measurement import read_record
from zerosum.experiment.settings import validate

RING = ["dataset=ring", "training.batch_size=16", "protocol.n_fake=64", "callbacks.samples.frames=1", "trainer=cpu"]


def test_a_run_is_not_overwritten_but_resumed(tmp_path):
    folder = tmp_path / "run"
    first = zerosum.compose(*RING, "loss=hinge", "run.images=64", f"run.folder={folder}")
    zerosum.train(first)
    with pytest.raises(UserError, match="already holds a run"):
        zerosum.train(zerosum.compose(*RING, "loss=hinge", "run.images=64", f"run.folder={folder}"))
    outcome = zerosum.train(zerosum.compose(f"resume={folder}", "run.images=128"))
    assert [measurement.images for measurement in outcome.evaluate.history] == [0, 64, 128]
    assert [measurement.images for measurement in read_record(folder / "metrics.json").history] == [0, 64, 128]
    command = yaml.safe_load((folder / "config.yaml").read_text())["command"]
    assert "loss=hinge" in command["overrides"] and command["choices"]["loss"] == "hinge"
    with pytest.raises(UserError, match="weights=emma"):
        zerosum.load(folder, weights="emma")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["modle=3"], "Did you mean model"),
        (["loss=nonsta"], "Did you mean nonsat"),
        (["metrics=[fid,kdi]"], "Did you mean kid"),
        (["game.k=5"], r"game\.k: there is no such option\. Did you mean game\.critic_steps\?"),
        (["epochs=5"], r"Did you mean run\.images\?"),
        (["lr=1"], r"Did you mean optimizer\.lr"),
        (["callbacks=null"], "callbacks=null: leave single entries out, as ~callbacks.<entry>"),
        (["regularizer=null"], "regularizer=null: write regularizer=none"),
        (
            ["model=autoencoder", "loss.adversarial=hinge"],
            r"loss\.adversarial: .* Write model=autoencoder_gan loss@model\.adversarial=hinge\.$",
        ),
        (
            ["model=autoencoder", "loss@model.adversarial=relativistic"],
            r"Write model=autoencoder_gan loss@model\.adversarial=relativistic\.$",
        ),
    ],
)
def test_a_mistyped_option_is_one_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        zerosum.compose(*overrides)


def test_what_is_written_in_place_of_an_option_works():
    """The command that the last two messages name."""
    config = zerosum.compose("model=autoencoder_gan", "loss@model.adversarial=relativistic")
    assert config.model.adversarial._target_ == "zerosum.gan.losses.Relativistic"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=vae", "gamma=5"], "gamma: VAE does not use it: leave gamma=5 out$"),
        (["model=learning_triangle", "dataset=ring", "gamma=5"], "leave gamma=5 out, or write model.gamma=5$"),
        (["model=gaussian_mixture", "training.clip=1"], r"training\.clip: GaussianMixture does not use it: leave"),
        (["dataset=ring", "features=inception"], "features=inception: nothing is measured by features here"),
        (["model=vae", "training.clip=1"], None),
        (["dataset=synthetic", "features=inception"], None),
        (["model=autoencoder_gan", "gamma=5"], None),
    ],
)
def test_an_option_that_is_not_used_is_refused(overrides, message):
    config = zerosum.compose(*overrides)
    if message is not None:
        with pytest.raises(UserError, match=message):
            validate(config)
    else:
        assert validate(validate(config))["model"] == validate(config)["model"]  # as a saved run is opened


def test_a_folder_of_configs_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="no such folder"):
        zerosum.compose(config_dir="nowhere")


def test_a_training_that_fails_before_its_first_step_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="Invalid learning rate"):
        zerosum.train(zerosum.compose(*RING, "optimizer.lr=-1"))
    with pytest.raises(UserError, match="the protocol has images"):
        zerosum.train(zerosum.compose(*RING, "protocol=fid10k_test", "run.folder=mine"))
    assert list(tmp_path.iterdir()) == []


def test_a_program_without_logging_sees_the_messages(tmp_path):
    code = f"import zerosum; zerosum.train(zerosum.compose(*{RING!r}, 'run.images=64', 'run.folder=run'))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "Done: 64 images" in done.stdout


class Note(Callback):
    """A callback of one's own."""


@pytest.mark.parametrize("mode", ["auto", "folder"])
def test_what_the_command_names_is_trusted_when_it_is_started_again(tmp_path, mode, caplog):
    run = tmp_path / "run"
    monitor = "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"
    own = [monitor, f"+callbacks.note._target_={__name__}.Note", f"run.folder={run}"]
    with caplog.at_level("INFO", "zerosum"):
        train(compose(*RING, *own, "run.images=64", *(["resume=auto"] if mode == "auto" else [])))
    assert ("to open it later, add trusted=[lightning" in caplog.text) == (mode == "folder")
    train(compose(*RING, *own, "run.images=128", f"resume={'auto' if mode == 'auto' else run}"))
    assert (run / "metrics.json").read_text().count('"images": 128') >= 1


def test_a_folder_with_a_foreign_config_is_not_trained_in(tmp_path):
    (tmp_path / "config.yaml").write_text("mine: 1\n")
    with pytest.raises(UserError, match=r"has a config\.yaml that is no run's"):
        train(compose(*RING, "run.images=64", f"run.folder={tmp_path}"))
    assert (tmp_path / "config.yaml").read_text() == "mine: 1\n"

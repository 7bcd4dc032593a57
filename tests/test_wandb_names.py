"""Names, tags and ids of runs in Weights & Biases."""

import os

import pytest

from zerosum.commands.messages import errors_as_sentences
from zerosum.errors import UserError
from zerosum.training.loggers import wandb_logger
from zerosum.training.wandb_names import name_of, read_run_id, tags_of, without_copies


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["loss=hinge", "seed=1"], "loss=hinge, seed=1"),
        (
            ["loss=hinge", "run.images=1000", "trainer=cpu", "logger.wandb.project=x", "callbacks.curves.every=5"],
            "loss=hinge",
        ),
        (["+optimizer.generator.eps=1e-3", "~callbacks.guard", "dataset.root=/data"], "optimizer.generator.eps=1e-3"),
        (["regularizer=[r1,lecam]"], "regularizer=[r1,lecam]"),
        (["run.images=1000"], "the run's own"),
        (["loss=hinge", "run.name=mine"], "the run's own"),
        ([f"dataset.path={'x' * 200}"], "the run's own"),
        ([], "the run's own"),
    ],
)
def test_a_run_is_named_by_what_its_command_line_overrides(overrides, name):
    assert name_of({"command": {"overrides": overrides}, "run": {"name": "the run's own"}}) == name


def test_a_run_without_a_command_is_named_by_its_config():
    assert name_of({"run": {"name": "mine"}}) == "mine" and name_of({}) is None and tags_of({}) == []


def test_copies_of_a_group_refer_to_it():
    features = {"_target_": "Features", "steps": 20}
    config = {"features": features, "protocol": {"n": 1, "features": dict(features)}, "loss": {}, "seed": 0}
    config["callbacks"] = {"evaluate": {"protocol": {"n": 1, "features": dict(features)}, "every": 5}}
    expected = {**config, "protocol": {"n": 1, "features": "${features}"}}
    expected["callbacks"] = {"evaluate": {"protocol": "${protocol}", "every": 5}}
    assert without_copies(config) == expected


@pytest.mark.parametrize("mode", [None, "online", "offline", "disabled"])
def test_modes_of_wandb_are_taken(mode, tmp_path):
    assert wandb_logger(str(tmp_path), mode=mode).mode == mode


def test_a_mistyped_mode_is_a_sentence_before_training(tmp_path):
    with pytest.raises(UserError, match=r"mode=ofline: choose online, offline, disabled\. Did you mean offline"):
        wandb_logger(str(tmp_path), mode="ofline")


@pytest.mark.parametrize("mode", ["dryrun", "shared"])
def test_what_wandb_takes_from_the_environment_is_taken(mode, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert wandb_logger(str(tmp_path)).mode is None


@pytest.mark.parametrize("option", [None, "offline"])
def test_a_mistyped_mode_of_the_environment_ends_the_program_with_a_sentence(option, tmp_path, monkeypatch, capsys):
    """W&B reads the variable beside the option too, and refuses it with a traceback."""
    monkeypatch.setenv("WANDB_MODE", "offlien")
    with pytest.raises(SystemExit, match="1"), errors_as_sentences():
        wandb_logger(str(tmp_path), mode=option)
    message = capsys.readouterr().err
    assert message.startswith("error: the environment variable WANDB_MODE=offlien: choose online, offline, disabled,")
    assert "Did you mean offline" in message and message.count("\n") == 1


def test_a_resumed_run_continues_its_wandb_run(tmp_path):
    first = read_run_id(tmp_path / "wandb" / "id.txt")
    assert read_run_id(tmp_path / "wandb" / "id.txt") == first != read_run_id(tmp_path / "other" / "id.txt")


@pytest.mark.parametrize("kind", ["link", "other words", "too long", "pipe"])
def test_an_id_that_is_not_wandbs_is_not_used(tmp_path, kind):
    """Of a link the first line would be uploaded as the run's id."""
    (tmp_path / "secret").write_text("topsecre")
    path = tmp_path / "id.txt"
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("../../x!" if kind == "other words" else "a" * 1000)
    found = read_run_id(path)
    assert found != "topsecre" and len(found) == 8 and found.isalnum()
    assert path.read_text() == found and not path.is_symlink()
    assert (tmp_path / "secret").read_text() == "topsecre"

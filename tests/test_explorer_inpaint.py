"""The verb inpaint: what it writes, and the models that it refuses."""

import json

import pytest
import torch
from conftest import verb

from zerosum.applications.inpainting import left
from zerosum.commands.explore import explore
from zerosum.errors import UserError
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.explorer.inpaint import Inpaint

QUICK = {"steps": 2, "starts": 8, "kept": 1}


class QuickFeatures(ClassifierFeatures):
    """A classifier that is trained in a second."""

    def __init__(self):
        super().__init__(steps=20)


def options(**more):
    return {"_target_": "zerosum.explorer.inpaint.Inpaint", "count": 6, "shown": 3, **QUICK, **more}


@pytest.mark.parametrize("mask", ["center", "random"])
def test_it_judges_the_search_beside_what_needs_no_generator(finished_run, tmp_path, mask, monkeypatch):
    monkeypatch.setattr("zerosum.explorer.subject.ClassifierFeatures", QuickFeatures)
    printed = explore(finished_run, "inpaint", options(mask=mask), "last", output=str(tmp_path))
    assert "search in z: " in printed and (tmp_path / f"inpaint_{mask}.png").exists()
    values = json.loads((tmp_path / "inpaint.json").read_text())
    assert {"gray", "mean image", "nearest neighbour", "search in z", "truth"} <= values.keys()
    assert not any("own_accuracy" in value for value in values.values() if isinstance(value, dict))
    assert all(0 <= values[name]["accuracy"] <= 1 for name in ("mean image", "search in z", "truth"))


def test_a_mask_that_is_none_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"mask=centre: choose one of center, left, random\. Did you mean center"):
        Inpaint("centre")


def test_points_and_conditional_models_are_refused(made, tmp_path, tiny):
    from zerosum.experiment.train import train

    with pytest.raises(UserError, match="shows gray and colour images"):
        explore(made, "inpaint", options(), "last", output=str(tmp_path))
    train(tiny("labels=concat", "run.images=16", f"run.folder={tmp_path}/run", "~callbacks.evaluate"))
    with pytest.raises(UserError, match="no GAN without conditions"):
        explore(tmp_path / "run", "inpaint", options(), "last")


def test_a_semi_supervised_gan_classifies_what_was_filled_by_its_own_average_and_unmoved_images(
    tmp_path, tiny, monkeypatch
):
    from zerosum.experiment.train import train
    from zerosum.explorer.subject import Subject
    from zerosum.runs.trained import load

    monkeypatch.setattr("zerosum.explorer.subject.ClassifierFeatures", QuickFeatures)
    run = tmp_path / "run"
    asked = ("labels=semi_supervised", "labels.labelled=8", "loss=feature_matching", "augment=diffaugment")
    train(tiny(*asked, "regularizer=none", "run.images=64", f"run.folder={run}", "~callbacks.evaluate"))
    subject = Subject(load(run, "last"), run, tmp_path, root=str(tmp_path))

    def moved(images):
        raise AssertionError("the search must judge the images themselves, not moved ones")

    monkeypatch.setattr(subject.model.model.augment, "forward", moved)
    verb = Inpaint("left", 6, 3, **QUICK)
    values, _ = verb.look(subject)
    known = left(16, 16)
    images, labels = subject.real_images("test", range(6)), subject.dataset.split("test").labels[:6]
    for name, each in {"truth": images, "gray": torch.where(known, images, 0.0)}.items():
        guessed = subject.model.model.classifier.network(each).class_logits.argmax(1).numpy()
        assert values[name]["own_accuracy"] == pytest.approx((guessed == labels).mean())
    assert "by the GAN itself" in verb(subject).lines[0]


@pytest.mark.slow
def test_the_command_takes_the_verb_and_its_options(finished_run, tmp_path):
    words = [f"{name}={value}" for name, value in QUICK.items()]
    printed = verb(
        "explore.py",
        f"run={finished_run}",
        "checkpoint=last",
        f"output={tmp_path}",
        "inpaint",
        "mask=left",
        "count=4",
        *words,
    )
    assert "nearest neighbour" in printed and (tmp_path / "inpaint_left.png").exists()

"""Evaluation during training, and by the command evaluate: values, cards, and one best model."""

import json

import pytest
import torch
from lightning import Callback
from PIL import Image

from zerosum.commands.evaluate import evaluate
from zerosum.errors import DivergedError, UserError
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs import resume
from zerosum.training.callbacks.checkpoint import BEST_OF_LAST
from zerosum.training.callbacks.evaluate import Evaluate

POINTS = (
    *("dataset=ring", "trainer=cpu", "training.batch_size=16", "protocol.n_fake=100", "run.images=640"),
    *("callbacks.evaluate.every=64", "callbacks.checkpoint.every=320", "~callbacks.samples", "~callbacks.progress"),
)


def test_values_say_how_they_were_measured(finished_run):
    record = json.loads((finished_run / "metrics.json").read_text())
    assert [entry["card"]["run"]["images"] for entry in record["history"]] == [0, 160, 320]
    assert record["last"] == record["history"][-1]
    assert record["best"]["values"]["fid"] == min(entry["values"]["fid"] for entry in record["history"])
    expected = {"n_fake": 64, "n_real": 256, "split": "test", "features": "classifier", "weights": "ema"}
    assert expected.items() <= record["last"]["card"]["protocol"].items()
    assert record["last"]["card"]["run"]["seed"] == 0 and 0 < record["floor"]["fid"] < record["best"]["values"]["fid"]


def test_the_command_gives_the_same_values_again(finished_run):
    record = json.loads((finished_run / "metrics.json").read_text())
    evaluate(finished_run, "last")
    again = json.loads((finished_run / "evaluation_last.json").read_text())
    assert again["values"] == record["last"]["values"]
    assert again["card"]["protocol"] == record["last"]["card"]["protocol"]
    assert again["card"]["run"]["checkpoint"] == "last"
    assert again["floor"] == record["floor"]


def test_the_command_measures_the_generator_itself_and_by_other_metrics(finished_run):
    fid = {"fid": {"_target_": "zerosum.evaluation.distribution_metrics.FID"}}
    kid = {"kid": {"_target_": "zerosum.evaluation.distribution_metrics.KID"}}
    near = {"memorization": {"_target_": "zerosum.evaluation.neighbour_metrics.Memorization"}}
    evaluate(finished_run, "last", "raw", {"metrics": {**fid, **kid, **near}})
    raw = json.loads((finished_run / "evaluation_last_raw.json").read_text())
    average = json.loads((finished_run / "metrics.json").read_text())["last"]
    assert {"fid", "kid", "kid_std", "memorization"} <= raw["values"].keys()
    assert raw["card"]["protocol"]["weights"] == "raw"
    assert raw["values"]["fid"] != average["values"]["fid"]
    with Image.open(finished_run / "evaluation_last_raw_nearest.png") as sheet:
        assert sheet.width > sheet.height
    with pytest.raises(UserError, match="best, last or previous"):
        evaluate(finished_run, "newest")


# One branch


class Scores:
    """A protocol whose value at each number of images is given."""

    left_out: dict[str, str] = {}  # noqa: RUF012
    better = {"fid": "lower"}  # noqa: RUF012

    def __init__(self, values, default=9.0):
        self.values, self.default = values, default

    def prepare(self, dataset, device):
        pass

    def floor(self):
        return None

    def measure(self, model):
        return {"fid": self.values.get(model.images_seen, self.default)}

    def score(self, values):
        return (-values["fid"],)

    def card(self):
        return {"protocol": "given"}

    def notes(self):
        return {}

    def describe_selection(self):
        return "given"


class DivergeAt(Callback):
    """Diverges after so many images, once."""

    times = 0

    def __init__(self, images: int):
        self.images = images

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if pl_module.images_seen == self.images and DivergeAt.times == 0:
            DivergeAt.times += 1
            raise DivergedError("made up")


def best_and_record(run):
    stored = torch.load(run / "best.ckpt", weights_only=True)
    record = json.loads((run / "metrics.json").read_text())
    own = stored["callbacks"]["Evaluate"]["history"][-1]
    return stored["images_seen"], own, record


@pytest.fixture
def scored(monkeypatch):
    """Make Evaluate measure given values."""

    def give(values):
        prepare = Evaluate.setup

        def setup(self, *arguments, **named):
            self.protocol = Scores(values)
            prepare(self, *arguments, **named)

        monkeypatch.setattr(Evaluate, "setup", setup)
        monkeypatch.setattr(DivergeAt, "times", 0)

    return give


def test_after_a_rollback_the_best_checkpoint_is_of_the_same_branch_as_the_record(composed, scored, tmp_path):
    """best at 448 is of the branch that is lost when training goes back to 320; the best there is of 192."""
    values = {192: 2.0, 448: 1.0}
    scored(values)
    typed = validate(composed(*POINTS, "training.on_nan=rollback"))
    typed["callbacks"]["diverge"] = {"_target_": f"{__name__}.DivergeAt", "images": 512}
    typed["callbacks"]["forget"] = {"_target_": f"{__name__}.Forget"}
    Forget.values = values
    train(typed)
    images, own, record = best_and_record(tmp_path / "run")
    assert DivergeAt.times == 1
    assert images == 192 == record["best"]["card"]["run"]["images"] and own == record["best"]
    assert [entry["card"]["run"]["images"] for entry in record["history"]] == list(range(0, 641, 64))
    assert not (tmp_path / "run" / BEST_OF_LAST).exists()


class Forget(Callback):
    """In the second attempt no later model is better."""

    values: dict[int, float] = {}  # noqa: RUF012

    def on_train_start(self, trainer, pl_module):
        if pl_module.images_seen:
            self.values.pop(448, None)


def test_a_best_model_that_is_lost_is_said_and_not_replaced_by_another(composed, scored, tmp_path, caplog):
    run = tmp_path / "run"
    scored({192: 2.0})
    train(composed(*POINTS))
    other = torch.load(run / "best.ckpt", weights_only=True)
    other["callbacks"]["Evaluate"]["history"][-1]["values"]["fid"] = 1.5
    torch.save(other, run / "best.ckpt")
    train(composed(*POINTS, "run.images=1280"), run / "last.ckpt")
    assert "The best model so far, of 192 images, is lost" in caplog.text
    assert not (run / "best.ckpt").exists()


def test_samples_that_are_nan_diverge_and_training_goes_back(tiny, monkeypatch, tmp_path):
    """The evaluation is the first to see it: the average's weights are NaN, no loss is."""

    class Break(Callback):
        times = 0

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if pl_module.images_seen == 48 and Break.times == 0:
                Break.times += 1
                next(pl_module.ema.network.parameters()).data.fill_(float("nan"))

    monkeypatch.setattr(f"{__name__}.DivergeAt", Break, raising=True)
    options = ["run.images=96", "callbacks.evaluate.every=64", "callbacks.checkpoint.every=32"]
    typed = validate(tiny(*options, "training.on_nan=rollback"))
    typed["callbacks"]["break"] = {"_target_": f"{__name__}.DivergeAt"}
    outcome = train(typed)
    assert Break.times == 1
    assert [measurement.images for measurement in outcome.evaluate.history] == [0, 64, 96]
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["images_seen"] == 96


def test_going_on_with_a_finished_run_keeps_its_last_evaluation(composed, tmp_path):
    """The budget, 160, is a multiple of `checkpoint.every` but not of `evaluate.every`."""
    options = ("callbacks.evaluate.every=128", "callbacks.checkpoint.every=80")
    train(composed(*POINTS, *options, "run.images=160"))
    resume.resume(tmp_path / "run", ["run.images=320"])
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert [entry["card"]["run"]["images"] for entry in record["history"]] == [0, 128, 160, 256, 320]
    best = torch.load(tmp_path / "run" / "best.ckpt", weights_only=True)
    assert best["callbacks"]["Evaluate"]["history"][-1] == record["best"]

"""The controller of gamma: its equation, what it measures, what it refuses, and that it resumes bit for bit."""

import csv
import math
import shutil

import pytest
import torch
from conftest import SMALL_POINTS, verb
from lightning import Callback
from test_gan import dcgan_gan, fit, points_gan
from torch import nn

from zerosum.data.dataset import Batch
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.gan.augment import InstanceNoise
from zerosum.gan.gamma_control import GammaControl
from zerosum.gan.regularizers import R1, R2
from zerosum.models.networks import Scores
from zerosum.runs.resume import resume

CONTROLLED = ("callbacks=[default,gamma_control]", "callbacks.gamma_control.every=32", "regularizer=r1_r2")
FAST = (
    "callbacks.gamma_control.images=64",
    "callbacks.gamma_control.highest=1e4",
    "~callbacks.doctor",
    "~callbacks.evaluate",
)


def controller(gamma=1.0, **options):
    control = GammaControl(**{"every": 100, "images": 400, "lowest": 1e-3, "highest": 1e3, **options})
    control.weights = {"r1": gamma, "r2": 2 * gamma}
    return control


def test_gamma_falls_where_the_discriminator_is_steeper_at_fakes_and_rises_where_it_is_not():
    """Two measurements, against the equation: the average of the logarithm, then a factor; r1 and r2 alike."""
    control = controller()
    control.move(2.0, 100)
    assert control.weights["r1"] == pytest.approx(2**-0.25)
    control.move(0.5, 100)
    average = math.log(2) + 0.25 * (math.log(0.5) - math.log(2))
    assert control.weights["r1"] == pytest.approx(2**-0.25 * math.exp(-average / 4))
    assert control.weights["r2"] == pytest.approx(2 * control.weights["r1"])
    rising = controller()
    rising.move(0.5, 100)
    assert rising.weights["r1"] == pytest.approx(2**0.25)


def test_gamma_moves_by_e_over_the_average_at_most_and_stays_in_its_bounds():
    control = controller()
    control.move(1e9, 100)
    assert control.weights["r1"] == pytest.approx(math.exp(-0.25))
    for _ in range(100):
        control.move(1e9, 100)
    assert control.weights == pytest.approx({"r1": 1e-3, "r2": 2e-3})
    for _ in range(200):
        control.move(1e-9, 100)
    assert control.weights == pytest.approx({"r1": 500.0, "r2": 1000.0})


@pytest.mark.parametrize("ratio", [math.nan, math.inf, 0.0])
def test_a_ratio_that_says_nothing_moves_nothing(ratio):
    control = controller()
    control.move(ratio, 100)
    assert control.weights["r1"] == 1.0 and control.average is None


class Square(nn.Module):
    """|x|^2 / 2, whose gradient is x."""

    def forward(self, images, condition=None):
        return Scores(images.square().sum(1) / 2)


def test_the_ratio_is_that_of_the_batch_and_the_fakes_of_the_next_step():
    gan = points_gan(regularizers={"r1": R1(1.0)})
    gan.discriminator = Square()
    fit_nothing(gan)
    real = torch.randn(8, 2)
    fake = gan.generator(gan.noise(0, 8))
    expected = fake.square().sum(1).mean() / real.square().sum(1).mean()
    assert GammaControl().measure(gan, [Batch(real, None)]) == pytest.approx(expected.item())
    parts = points_gan(regularizers={"r1": R1(1.0)}, accumulate=2)
    parts.discriminator, parts.generator = gan.discriminator, gan.generator
    fit_nothing(parts)
    first = fake[:4].square().sum(1).mean() / real[:4].square().sum(1).mean()
    assert GammaControl().measure(parts, [Batch(real, None)]) == pytest.approx(first.item())


def fit_nothing(gan):
    """Make `gan.global_step` 0, as before the first step."""
    gan.trainer = type("Trainer", (), {"global_step": 0, "precision_plugin": None})()


class Measure(GammaControl):
    """Measures, and moves nothing."""

    def move(self, ratio, images):
        pass


def test_measuring_changes_nothing_of_training():
    """Neither the statistics of batch norm of both players, nor what augmentations draw."""
    trained = []
    for callbacks in ([], [Measure(every=8, images=8)]):
        gan = dcgan_gan()
        gan.augment = InstanceNoise(0.5)
        fit(gan, 6, *callbacks, dataset=Synthetic(16))
        trained.append(gan.state_dict())
    players = {name.split(".")[0] for name in trained[0] if "running_mean" in name}
    assert players >= {"generator", "discriminator"}
    for name, value in trained[0].items():
        assert torch.equal(value, trained[1][name]), name


def test_gamma_and_the_ratio_are_on_the_curves_and_a_resumed_run_has_the_same(composed, tmp_path):
    """With instance noise, which draws where the ratio is measured."""
    options = (*SMALL_POINTS, *CONTROLLED, *FAST, "augment=instance_noise", "callbacks.checkpoint.every=144")
    runs = tmp_path / "straight", tmp_path / "killed"
    train(composed(*options, "run.images=480", f"run.folder={runs[0]}"))
    train(composed(*options, "run.images=304", f"run.folder={runs[1]}"))
    shutil.copy(runs[1] / "previous.ckpt", runs[1] / "last.ckpt")
    resume(runs[1], ["run.images=480"])
    stored = [torch.load(run / "last.ckpt", weights_only=True) for run in runs]
    for name, value in stored[0]["state_dict"].items():
        assert torch.equal(value, stored[1]["state_dict"][name]), name
    assert stored[0]["callbacks"]["GammaControl"] == stored[1]["callbacks"]["GammaControl"]
    curves = [read_curve(run) for run in runs]
    assert curves[0] == curves[1] and len(curves[0]) == 14
    assert [row[0] for row in curves[0][:3]] == ["32", "64", "96"]
    gammas = [float(gamma) for _, gamma, _ in curves[0]]
    assert len(set(gammas)) == len(gammas) and stored[0]["callbacks"]["GammaControl"]["weights"]["r1"] == gammas[-1]


def read_curve(run):
    with (run / "metrics.csv").open() as file:
        rows = [(row["images"], row["game/gamma"], row["game/squared_gradient_ratio"]) for row in csv.DictReader(file)]
    return [row for row in rows if row[1]]


def test_the_terms_have_the_weights_that_the_curves_show():
    gan = points_gan(regularizers={"r1": R1(1.0), "r2": R2(3.0)})
    seen = []

    class Weights(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append([term.weight for term in pl_module.regularizers.values()])

    control = GammaControl(every=8, images=16)
    fit(gan, 4, control, Weights())
    assert seen[0] == [1.0, 3.0] and seen[-1] == list(control.weights.values()) and seen[-1][0] != 1.0
    assert all(r2 == pytest.approx(3 * r1) for r1, r2 in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["regularizer=none"], "this run has neither: set regularizer=r1_r2, or leave the callback out"),
        (["gamma=0"], r"regularizer\.r1\.weight=0: callbacks\.gamma_control starts from a gamma between its bounds"),
        (["gamma=500"], r"regularizer\.r1\.weight=500: .* between its bounds 0\.01 and 100"),
        (["callbacks.gamma_control.images=5"], r"images=5: choose at least 32, which is its `every`"),
        (["callbacks.gamma_control.lowest=0"], "choose the bounds of gamma, 0 < lowest < highest"),
        (
            ["callbacks=[default,anneal,gamma_control]", "callbacks.anneal.attribute=regularizers.r2.weight"],
            r"gamma_control and an anneal both move regularizers\.r2\.weight: leave out one of the two",
        ),
    ],
)
def test_what_it_cannot_move_is_refused(composed, options, message):
    with pytest.raises(UserError, match=message):
        build(validate(composed(*SMALL_POINTS, *CONTROLLED, *options)))


@pytest.mark.parametrize("change", [{"weights": {"r1": "x"}}, {"average": math.nan}, {"measured_at": 1.5}], ids=str)
def test_a_damaged_state_is_refused(change):
    with pytest.raises(ValueError, match="its gamma is not a number"):
        GammaControl().load_state_dict({**controller().state_dict(), **change})


@pytest.mark.slow
def test_two_processes_move_gamma_as_one(tmp_path):
    options = [option for option in (*SMALL_POINTS, *CONTROLLED, *FAST) if option != "trainer=cpu"]
    options += ["run.images=320", "+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"]
    verb("train.py", *options, "trainer=cpu", f"hydra.run.dir={tmp_path}/one")
    verb("train.py", *options, "trainer=ddp", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path}/two")
    one, two = (read_curve(tmp_path / name) for name in ("one", "two"))
    assert [float(row[1]) for row in two] == pytest.approx([float(row[1]) for row in one], rel=1e-2)

"""Numbers as functions of images seen."""

import math

import pytest
import torch
from conftest import SMALL_POINTS
from lightning import Callback
from test_gan import dcgan_gan, fit, points_gan

from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.experiment.train import train
from zerosum.gan.augment import ADA, InstanceNoise
from zerosum.gan.regularizers import R1
from zerosum.runs.resume import resume
from zerosum.training.callbacks.anneal import Anneal


@pytest.mark.parametrize(
    ("curve", "values"),
    [("linear", [1.0, 0.75, 0.5, 0.0]), ("cosine", [1.0, 0.853553, 0.5, 0.0]), ("constant", [1.0, 1.0, 1.0, 0.0])],
)
def test_curves_go_from_start_to_end_and_stay(curve, values):
    anneal = Anneal("x", 1.0, 0.0, 400, curve)
    assert [anneal.value(images) for images in (0, 100, 200, 400)] == pytest.approx(values)
    assert anneal.value(10_000) == 0.0


def test_regularizers_augmentation_and_learning_rates_are_reached():
    gan = points_gan(regularizers={"r1": R1(1.0)}, augment=InstanceNoise(0.5))
    anneals = [
        Anneal("regularizers.r1.weight", 1.0, 0.0, 40),
        Anneal("augment.sigma", 0.5, 0.1, 40),
        Anneal("optimizers.discriminator.lr", 1e-3, 1e-4, 40),
    ]
    fit(gan, 5, *anneals)  # the last step begins at 32 images
    assert gan.regularizers["r1"].weight == pytest.approx(0.2)
    assert gan.augment.sigma == pytest.approx(0.5 - 0.4 * 0.8)
    assert gan.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3 - 9e-4 * 0.8)
    assert gan.trainer.optimizers[1].param_groups[0]["lr"] == pytest.approx(2e-4)


def test_one_of_adams_betas_and_the_half_life_of_the_average_are_reached():
    gan = points_gan(ema_half_life=1000.0)
    anneals = [
        Anneal("optimizers.discriminator.betas.1", 0.9, 0.99, 40),
        Anneal("optimizers.generator.betas.0", 0.0, 0.5, 40),
        Anneal("ema.half_life", 500.0, 5000.0, 40, "cosine"),
    ]
    fit(gan, 5, *anneals)  # the last step begins at 32 images
    discriminator, generator = (optimizer.param_groups[0]["betas"] for optimizer in gan.trainer.optimizers)
    assert discriminator == pytest.approx((0.5, 0.9 + 0.09 * 0.8)) and type(discriminator) is tuple
    assert generator == pytest.approx((0.5 * 0.8, 0.999))
    assert gan.ema.half_life == pytest.approx(500 + 4500 * (1 - math.cos(0.8 * math.pi)) / 2)


def test_adam_uses_the_beta_of_each_step():
    """The second moment after two steps, from the gradients: betas 0.9 and then 0.5."""
    squares = []

    class Gradients(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            squares.append(next(iter(pl_module.generator.parameters())).grad.square().clone())

    gan = points_gan()
    fit(gan, 2, Anneal("optimizers.generator.betas.1", 0.9, 0.5, 8), Gradients())
    weight = next(iter(gan.generator.parameters()))
    moment = gan.trainer.optimizers[1].state[weight]["exp_avg_sq"]
    torch.testing.assert_close(moment, 0.5 * (0.1 * squares[0]) + 0.5 * squares[1])


def test_a_buffer_of_one_number_is_filled_in_place():
    gan = dcgan_gan()
    gan.augment = ADA(p=0.3, target=None)
    buffer = gan.augment.p
    fit(gan, 3, Anneal("augment.p", 0.0, 0.55, 32), dataset=Synthetic(16))
    assert gan.augment.p is buffer and float(buffer) == pytest.approx(0.55 / 2)
    assert gan.augment.curves()["augment/probability"] == pytest.approx(0.55 / 2)


def test_a_run_whose_betas_were_annealed_is_resumed(composed, tmp_path):
    anneal = ("callbacks=[default,anneal]", "callbacks.anneal.attribute=optimizers.generator.betas.1")
    config = composed(
        *SMALL_POINTS, *anneal, "callbacks.anneal.start=0.9", "callbacks.anneal.end=0.99", "run.images=32"
    )
    train(config)
    resume(tmp_path / "run", ["run.images=64"])
    stored = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert stored["optimizer_states"][1]["param_groups"][0]["betas"][1] == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("optimizers.generator.betas", r"has 2 numbers: choose optimizers\.generator\.betas\.0 or optimizers"),
        ("optimizers.generator.betas.2", r"there is no optimizers\.generator\.betas\.2: choose one such as"),
        ("optimizers.generator.betas.-1", "there is no optimizers"),
        ("optimizers.generator.lr.0", r"there is no optimizers\.generator\.lr\.0: choose one such as optimizers"),
        ("optimizers.generator.foreach", r"is not a number: choose one such as optimizers\.discriminator\.lr"),
        ("optimizers.critic.lr", r"there is no optimizers\.critic\.lr"),
    ],
)
def test_options_of_optimizers_that_are_no_numbers_are_refused(attribute, message):
    with pytest.raises(UserError, match=message):
        Anneal(attribute, 0.0, 0.5, 10).check(points_gan())


@pytest.mark.parametrize("numbers", [(0.5, 1.0), (-0.1, 0.5), (1.5, 0.9)])
def test_betas_with_which_adam_divides_by_zero_are_refused(numbers):
    with pytest.raises(UserError, match=r"betas\.1 from .* to .*: choose numbers of 0 or more, and less than 1"):
        Anneal("optimizers.generator.betas.1", *numbers, 10).check(points_gan())


def test_buffers_of_many_numbers_weights_and_counts_are_refused():
    gan = dcgan_gan()
    for name in (
        "generator.layers.0.running_mean",
        "generator.project.weight",
        "ema.network.layers.0.num_batches_tracked",
    ):
        with pytest.raises(UserError, match="is not a number of this model"):
            Anneal(name, 0.0, 1.0, 10).check(gan)


@pytest.mark.parametrize(
    "attribute",
    ["regularizers.r2.weight", "augment.sigma", "generator", "loss.generator.__globals__.torch.e"],
)
def test_what_is_not_there_is_refused_before_the_first_step(attribute):
    with pytest.raises(UserError, match="is not a number of this model"):
        fit(points_gan(), 1, Anneal(attribute, 0.0, 1.0, 10))

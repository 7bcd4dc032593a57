"""Numbers as functions of images seen."""

import pytest
from test_gan import fit, points_gan

from zerosum.errors import UserError
from zerosum.gan.augment import InstanceNoise
from zerosum.gan.regularizers import R1
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


@pytest.mark.parametrize(
    "attribute",
    ["regularizers.r2.weight", "augment.sigma", "generator", "loss.generator.__globals__.torch.e"],
)
def test_what_is_not_there_is_refused_before_the_first_step(attribute):
    with pytest.raises(UserError, match="is not a number of this model"):
        fit(points_gan(), 1, Anneal(attribute, 0.0, 1.0, 10))

"""D's logits on images that it was and was not trained on."""

import csv
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zerosum.data.dataset import Batch
from zerosum.data.synthetic import Synthetic
from zerosum.experiment.train import train
from zerosum.gan.gan import GAN
from zerosum.gan.losses import NonSaturating
from zerosum.gan.overfitting import Overfitting, undisturbed_logits
from zerosum.models import dcgan
from zerosum.models.networks import Scores
from zerosum.pixels import from_uint8


class KnowsByHeart(nn.Module):
    """Logit 2 for the training images, -1 for all others."""

    def __init__(self, training_images):
        super().__init__()
        self.training_images = training_images

    def forward(self, images, condition=None):
        known = (images[:, None] - self.training_images).abs().flatten(2).amax(2).amin(1) < 1e-3
        return Scores(known.float() * 3 - 1)


def test_a_discriminator_that_knows_its_images_by_heart_is_found_out(tmp_path):
    dataset = Synthetic(16, count=64, root=str(tmp_path))
    train = from_uint8(torch.from_numpy(dataset.split("train").images).permute(0, 3, 1, 2))
    generator = dcgan.Generator((dataset.sample_shape[0], 16, 16), 8, 8)
    gan = GAN(generator, KnowsByHeart(train), NonSaturating())
    callback = Overfitting(count=32)
    trainer = SimpleNamespace(is_global_zero=True, datamodule=SimpleNamespace(dataset=dataset, batch_size=8))
    callback.on_train_start(trainer, gan)
    values = callback.values(gan, 8)
    assert values["logits/train"] == 2 and values["logits/held_out"] == values["logits/fake"] == -1
    assert values["overfitting/gap"] == 3
    assert values["overfitting/r_v"] == pytest.approx(1) and values["overfitting/r_t"] == 1


def test_measuring_changes_nothing_of_the_discriminator():
    """Not even the statistics of batch norm and the vectors of spectral norm."""
    discriminator = dcgan.Discriminator((1, 16, 16), 8, spectral_norm=True).train()
    gan = GAN(dcgan.Generator((1, 16, 16), 8, 8), discriminator, NonSaturating())
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    logits = undisturbed_logits(gan, Batch(torch.rand(24, 1, 16, 16), None), 16)
    assert logits.shape == (24,) and logits.std() > 0
    for name, value in discriminator.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_is_logged_and_does_not_change_training(tiny, tmp_path):
    weights = []
    for options in ((), ("~callbacks.overfitting",)):
        train(tiny("run.images=64", "callbacks.overfitting.every=32", "~callbacks.evaluate", *options))
        weights.append(torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"])
        if not options:
            with (tmp_path / "run" / "metrics.csv").open() as file:
                rows = list(csv.DictReader(file))
            assert [row["images"] for row in rows if row["game/overfitting/gap"]] == ["32", "64"]
            assert all(row["game/overfitting/r_t"] for row in rows if row["game/overfitting/gap"])
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_points_have_no_held_out_split_and_nothing_is_logged(composed, tmp_path):
    options = ("dataset=ring", "run.images=512", "training.batch_size=64", "~callbacks.samples", "trainer=cpu")
    train(composed(*options, "callbacks.overfitting.every=64", "callbacks.curves.every=64"))
    assert "overfitting" not in (tmp_path / "run" / "metrics.csv").read_text()

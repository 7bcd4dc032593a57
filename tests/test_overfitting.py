"""D's logits on pictures that it was and was not trained on."""

import csv
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zerosum.experiment.train import train
from zerosum.gan.overfitting import Overfitting, asked
from zerosum.data.synthetic import Synthetic
from zerosum.gan.gan import GAN
from zerosum.gan.losses import NonSaturating
from zerosum.models import dcgan
from zerosum.pixels import from_uint8


class KnowsByHeart(nn.Module):
    """Logit 2 for the training pictures, -1 for all others."""

    def __init__(self, pictures):
        super().__init__()
        self.pictures = pictures

    def forward(self, images, labels=None):
        known = (images[:, None] - self.pictures).abs().flatten(2).amax(2).amin(1) < 1e-3
        return known.float() * 3 - 1


def test_a_discriminator_that_knows_its_pictures_by_heart_is_found_out(tmp_path):
    dataset = Synthetic(16, count=64, root=str(tmp_path))
    train = from_uint8(torch.from_numpy(dataset.split("train").images).permute(0, 3, 1, 2))
    generator = dcgan.Generator((dataset.channels, 16, 16), 8, 8)
    gan = GAN(generator, KnowsByHeart(train), NonSaturating())
    callback = Overfitting(count=32)
    trainer = SimpleNamespace(is_global_zero=True, datamodule=SimpleNamespace(dataset=dataset, batch_size=8))
    callback.on_train_start(trainer, gan)
    figures = callback.figures(gan, 8)
    assert figures["logits/train"] == 2 and figures["logits/held_out"] == figures["logits/fake"] == -1
    assert figures["overfitting/gap"] == 3
    assert figures["overfitting/r_v"] == pytest.approx(1) and figures["overfitting/r_t"] == 1


def test_asking_changes_nothing_of_the_discriminator():
    """Not even the averages of batch norm and the vectors of spectral norm."""
    discriminator = dcgan.Discriminator((1, 16, 16), 8, spectral_norm=True).train()
    gan = GAN(dcgan.Generator((1, 16, 16), 8, 8), discriminator, NonSaturating())
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    logits = asked(gan, torch.rand(24, 1, 16, 16), None, 16)
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
            assert [row["images"] for row in rows if row["overfitting/gap"]] == ["32", "64"]
            assert all(row["overfitting/r_t"] for row in rows if row["overfitting/gap"])
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_points_have_no_held_out_split_and_nothing_is_logged(composed, tmp_path):
    options = ("dataset=ring", "run.images=512", "training.batch_size=64", "~callbacks.samples", "trainer=cpu")
    train(composed(*options, "callbacks.overfitting.every=64", "callbacks.curves.every=64"))
    assert "overfitting" not in (tmp_path / "run" / "metrics.csv").read_text()

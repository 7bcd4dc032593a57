"""D's logits on images that it was and was not trained on."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from zerosum.data.dataset import Batch
from zerosum.data.synthetic import Synthetic
from zerosum.experiment.train import train
from zerosum.gan.gan import GAN
from zerosum.gan.logits import (
    BINS,
    choose_real,
    count_logits,
    describe_logits,
    has_batch_norm,
    measure_leak,
    separation,
    squared_gradients,
    undisturbed_logits,
)
from zerosum.gan.losses import NonSaturating
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
    gan = GAN(dcgan.Generator((dataset.sample_shape[0], 16, 16), 8, 8), KnowsByHeart(train), NonSaturating())
    real = choose_real(dataset, gan, 32)
    fakes = Batch(gan.sample(range(32)), None)
    sides = {name: undisturbed_logits(gan, side, 8) for name, side in (real | {"fake": fakes}).items()}
    values = describe_logits(sides, zero_separates=True)
    assert values["logits/train"] == 2 and values["logits/held_out"] == values["logits/fake"] == -1
    assert values["accuracy/train"] == values["accuracy/fake"] == 1 and values["accuracy/held_out"] == 0
    assert values["separation/train"] == 1 and values["separation/held_out"] == 0.5
    assert values["overfitting/gap"] == 3
    assert values["overfitting/r_v"] == pytest.approx(1) and values["overfitting/r_t"] == 1
    assert "accuracy/fake" not in describe_logits(sides, zero_separates=False)
    counts = count_logits(sides)
    assert counts["real"][-1] == counts["held_out"][0] == counts["fake"][0] == 32 and len(counts["edges"]) == BINS + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_separation_is_the_area_under_the_roc_curve(dtype):
    real, fake = (torch.randn(size, dtype=dtype).mul(3).round() for size in (70, 90))  # rounded, so that some tie
    labels = np.repeat([1, 0], [70, 90])
    expected = roc_auc_score(labels, torch.cat([real + 1, fake]).numpy())
    assert separation(real + 1, fake) == pytest.approx(expected, rel=1e-9)


class SeesTheBatch(nn.Module):
    """Logit -mean(x) of the normalized image plus what batch norm has subtracted, in batches of one kind."""

    def __init__(self, leaks):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, affine=False)
        self.leaks = leaks

    def forward(self, images, condition=None):
        own, batch = images.mean((1, 2, 3)), images.mean()
        return Scores(batch.expand(len(images)) + 0 * own if self.leaks else own)


@pytest.mark.parametrize(("leaks", "expected"), [(True, 0.5), (False, 0.0)])
def test_a_score_that_only_tells_batches_apart_leaks(leaks, expected):
    gan = GAN(dcgan.Generator((1, 16, 16), 8, 8), SeesTheBatch(leaks), NonSaturating())
    real, fake = (Batch(offset + 0.1 * torch.rand(32, 1, 16, 16), None) for offset in (0.5, -0.5))
    sides = {"train": undisturbed_logits(gan, real, 8), "fake": undisturbed_logits(gan, fake, 8)}
    assert has_batch_norm(gan.discriminator)
    assert measure_leak(gan, real, fake, 8, sides) == pytest.approx(expected)


def test_the_squared_gradient_is_that_of_a_linear_score():
    weights = torch.randn(16)

    class Linear(nn.Module):
        def forward(self, images, condition=None):
            return Scores(images.flatten(1) @ weights)

    gan = GAN(dcgan.Generator((1, 16, 16), 8, 8), Linear(), NonSaturating())
    found = squared_gradients(gan, {"real": Batch(torch.rand(8, 1, 4, 4), None)}, 8)
    assert found == {"squared_gradient/real": pytest.approx(float(weights.square().sum()), rel=1e-5)}


def test_measuring_changes_nothing_of_the_discriminator():
    """Not even the statistics of batch norm and the vectors of spectral norm."""
    discriminator = dcgan.Discriminator((1, 16, 16), 8, spectral_norm=True).train()
    gan = GAN(dcgan.Generator((1, 16, 16), 8, 8), discriminator, NonSaturating())
    before = {name: value.clone() for name, value in discriminator.state_dict().items()}
    logits = undisturbed_logits(gan, Batch(torch.rand(24, 1, 16, 16), None), 16)
    assert logits.shape == (24,) and logits.std() > 0
    for name, value in discriminator.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_overfitting_is_logged(tiny, tmp_path):
    train(tiny("run.images=64", "callbacks.logits.every=32", "~callbacks.evaluate"))
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["images"] for row in rows if row["game/overfitting/gap"]] == ["32", "64"]
    assert all(row["game/overfitting/r_t"] for row in rows if row["game/overfitting/gap"])


def test_points_have_no_held_out_images(composed, tmp_path):
    options = ("dataset=ring", "run.images=512", "training.batch_size=64", "~callbacks.samples", "trainer=cpu")
    train(composed(*options, "callbacks.logits.every=256", "callbacks.curves.every=64"))
    header = (tmp_path / "run" / "metrics.csv").read_text().splitlines()[0]
    assert "game/separation/train" in header and "held_out" not in header and "overfitting" not in header
    histograms = json.loads((tmp_path / "run" / "logit_histograms.json").read_text())
    assert [entry["images"] for entry in histograms] == [256, 512] and histograms[0]["held_out"] is None
    assert sum(histograms[0]["real"]) == sum(histograms[0]["fake"]) == 256

"""Update ratios and singular values, against numpy and closed forms."""

import csv
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from zerosum.experiment.train import train
from zerosum.training.callbacks.weights import greatest_singular_value, update_ratio


@pytest.mark.parametrize(
    "layer", [nn.Linear(5, 3), nn.Conv2d(4, 6, 3), nn.ConvTranspose2d(4, 6, 3), nn.Conv1d(2, 40, 3)]
)
def test_the_greatest_singular_value_is_numpys(layer):
    weight = layer.weight.detach().double().numpy()
    matrix = weight.swapaxes(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
    expected = np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False)[0]
    assert greatest_singular_value(layer) == pytest.approx(expected, rel=1e-5)


def test_reading_a_spectrally_normalized_weight_leaves_its_estimate_alone():
    layer = spectral_norm(nn.Linear(30, 20)).train()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    assert greatest_singular_value(layer) > 0
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer.training and all(module.training for module in layer.modules())


def test_weights_that_are_not_finite_have_no_singular_value():
    layer = nn.Linear(3, 2)
    nn.init.constant_(layer.weight, math.inf)
    assert math.isnan(greatest_singular_value(layer))
    nn.init.constant_(layer.weight, 1e30)
    assert greatest_singular_value(layer) == pytest.approx(1e30 * math.sqrt(6), rel=1e-5)


def test_the_update_ratio_is_that_of_all_weights_together():
    before = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    after = [nn.Parameter(torch.tensor([3.3])), nn.Parameter(torch.tensor([[4.4]]))]
    assert update_ratio(before, after) == pytest.approx(0.1)


def test_one_step_of_sgd_moves_the_weights_by_rate_times_gradient(composed, tmp_path):
    options = ("dataset=ring", "trainer=cpu", "training.batch_size=16", "run.images=64", "callbacks.weights.every=16")
    rates = ("optimizer=sgd", "optimizer.lr=0.001", "optimizer.generator.momentum=0", "callbacks.curves.every=16")
    train(composed(*options, *rates, "~callbacks.samples"))
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["game/update_ratio/generator"]]
    assert [row["images"] for row in rows] == ["16", "32", "48", "64"]
    norms = [float(row["game/gradient_norm/generator"]) / float(row["game/update_ratio/generator"]) for row in rows]
    assert norms == pytest.approx([norms[0]] * 4, rel=1e-2)  # |w| hardly changes
    assert all(float(row["game/singular_value/generator.layers.0"]) > 0 for row in rows)


def test_watching_does_not_change_training(tiny, tmp_path):
    """Neither logits nor weights, with the vectors of spectral norm and the statistics of batch norm."""
    watched = ("callbacks.weights.every=16", "callbacks.logits.every=16")
    weights = []
    for options in (watched, ("~callbacks.weights", "~callbacks.logits", "~callbacks.doctor")):
        train(tiny("run.images=64", "~callbacks.evaluate", "model.spectral_norm=true", *options))
        weights.append(torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"])
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name

"""What a model costs: which values there are, and parameters that are counted once."""

from types import SimpleNamespace

import pytest
import torch

from zerosum.errors import UserError
from zerosum.evaluation.cost import Cost
from zerosum.families.autoencoder import Autoencoder
from zerosum.families.gaussian_mixture import GaussianMixture

PROTOCOL = SimpleNamespace(batch_size=7)


def test_an_untrained_model_has_no_minutes_and_its_average_is_not_counted():
    model = Autoencoder((1, 8, 8), None, latent_dim=3, base_channels=8)
    values = Cost(count=10).measure_model(PROTOCOL, model)
    assert values.keys() == {"sample_seconds", "parameters"} and values["sample_seconds"] >= 0
    assert values["parameters"] == sum(weight.numel() for weight in model.network.parameters())
    model.processor_seconds = 90.0
    assert Cost(count=10).measure_model(PROTOCOL, model)["train_minutes"] == 1.5


def test_a_model_without_an_optimizer_counts_its_buffers():
    """Weights, means and covariances of 3 components in 2 dimensions."""
    model = GaussianMixture((2,), levels=None, components=3)
    assert Cost(count=1).measure_model(PROTOCOL, model)["parameters"] == 3 + 3 * 2 + 3 * 4


def test_as_many_samples_are_made_as_asked_for():
    made = []

    class Counting(torch.nn.Module):
        network = torch.nn.Identity()

        def sample(self, seeds, condition=None):
            made.extend(seeds)
            return torch.zeros(len(seeds), 1)

    Cost(count=16).measure_model(PROTOCOL, Counting())
    assert made == list(range(16))
    with pytest.raises(UserError, match=r"metrics\.cost\.count=0"):
        Cost(count=0)

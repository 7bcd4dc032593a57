"""Counts of modes against closed forms."""

import math

import numpy as np
import pytest
import torch
from given_features import GivenReference, draw

from zerosum.data.mixtures import Ring
from zerosum.errors import UnmeasurableError
from zerosum.evaluation.mode_coverage import ModeCoverage, Modes
from zerosum.evaluation.reference import FeatureSet


def test_modes_counts_classes_and_the_kl_of_their_histogram():
    guesses = torch.tensor([0, 0, 0, 2, 2, 5])
    reference = GivenReference(classes=tuple("abcdef"), test=FeatureSet(draw(9, 0)))
    found = Modes()(reference, FeatureSet(draw(6, 0), torch.eye(6)[guesses]))
    share = np.array([3, 2, 1]) / 6
    assert found["modes"] == 3
    assert found["mode_kl"] == pytest.approx(float((share * np.log(share * 6)).sum()))
    assert found["mode_kl_floor"] == pytest.approx(5 / 12)


def test_the_floor_of_the_mode_kl_is_what_uniform_samples_have():
    """(K - 1) / (2 N): 0.0192 for 26,000 samples of 1,000 modes, plus a small second order."""
    classes = tuple(map(str, range(1000)))
    guesses = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    logits = torch.zeros(26_000, 1000).scatter_(1, guesses[:, None], 1.0)
    found = Modes()(GivenReference(classes=classes, test=FeatureSet(draw(9, 0))), FeatureSet(draw(26_000, 0), logits))
    assert found["mode_kl_floor"] == pytest.approx(0.0192, abs=1e-4)
    assert found["mode_kl"] == pytest.approx(found["mode_kl_floor"], rel=0.1)
    assert math.isclose(found["modes"], 1000)


def test_modes_refuses_features_that_predict_other_classes():
    reference = GivenReference(classes=tuple("abc"), test=FeatureSet(draw(9, 0)))
    with pytest.raises(UnmeasurableError, match="3 classes"):
        Modes()(reference, FeatureSet(draw(6, 0), torch.eye(6)))


def test_mode_coverage_of_known_samples():
    ring = Ring(modes=4, radius=1.0, sigma=0.1)
    samples = torch.cat([ring.means[:1].expand(6, 2), ring.means[1:2] * 1.29, ring.means[2:3] * 1.31])
    values = ModeCoverage()(ring, samples)
    share = [6 / 8, 1 / 8, 1 / 8]
    assert values["modes"] == 2
    assert values["high_quality"] == pytest.approx(7 / 8)
    assert values["mode_kl"] == pytest.approx(sum(p * math.log(p * 4) for p in share), abs=1e-6)


def test_mode_coverage_needs_known_modes():
    with pytest.raises(UnmeasurableError, match="known modes"):
        ModeCoverage()(object(), torch.zeros(3, 2))

"""FID and its variants, KID and Inception Score against torch-fidelity, closed forms and simulations."""

import numpy as np
import pytest
import torch
from given_features import GivenReference, draw
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.distribution_metrics import FID, KID, FIDByClass, FIDInfinity, InceptionScore
from zerosum.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance
from zerosum.evaluation.reference import FeatureSet

SETS = [(60, 50, 0.0), (300, 200, 0.5), (2500, 2100, 1.0)]
"""Numbers of reals and fakes, and how far they are apart."""


@pytest.fixture(params=SETS, ids=str)
def sides(request):
    real, fake, shift = request.param
    return GivenReference(test=FeatureSet(draw(real, 1))), FeatureSet(draw(fake, 2, shift))


def test_kid_is_torch_fidelitys_over_the_whole_sets(sides):
    reference, fake = sides
    size = min(len(reference.real.features), len(fake.features))
    cut = GivenReference(test=FeatureSet(reference.real.features[:size])), FeatureSet(fake.features[:size])
    found = KID(subsets=2, subset_size=10**6)(*cut)
    expected = kid_features_to_metric(
        *(side.double() for side in (cut[1].features, cut[0].real.features)),
        kid_subsets=2,
        kid_subset_size=size,
        verbose=False,
    )
    assert found["kid"] == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9, abs=1e-12)
    assert found["kid_std"] == pytest.approx(0, abs=1e-9)


def test_kid_is_a_function_of_its_seed_and_leaves_the_global_generator_alone(sides):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, other = (KID(subsets=3, subset_size=40, seed=seed)(*sides) for seed in (0, 1))
    assert torch.rand(1) == expected
    assert first == KID(subsets=3, subset_size=40)(*sides)
    assert first != other


def test_inception_score_of_known_probabilities():
    """One sure guess for each of 10 classes scores 10, a shrug scores 1."""
    sure = (
        100 * torch.eye(10).repeat_interleave(200, 0)[torch.randperm(2000, generator=torch.Generator().manual_seed(0))]
    )
    reference = GivenReference(test=FeatureSet(draw(9, 0)))
    score = InceptionScore()(reference, FeatureSet(draw(2000, 0), sure))
    assert score["inception_score"] == pytest.approx(10, abs=0.3)
    assert InceptionScore()(reference, FeatureSet(draw(50, 0), torch.zeros(50, 10)))[
        "inception_score"
    ] == pytest.approx(1)


def test_inception_score_is_torch_fidelitys_where_the_order_does_not_matter():
    logits = draw(400, 3, size=10) * 3
    found = InceptionScore(splits=1)(GivenReference(test=FeatureSet(draw(9, 0))), FeatureSet(draw(400, 1), logits))
    expected = isc_features_to_metric(logits, splits=1)["inception_score_mean"]
    assert found["inception_score"] == pytest.approx(expected, rel=1e-9)


def test_fid_infinity_extrapolates_the_bias_of_few_samples_away():
    """The biased FID of N samples of the same Gaussian is far from 0; its extrapolation is not."""
    reference = GivenReference(test=FeatureSet(draw(200_000, 1, size=16)))
    found = FIDInfinity()(reference, FeatureSet(draw(3000, 2, size=16)))
    biased = FID()(reference, FeatureSet(draw(3000, 2, size=16)))["fid"]
    assert biased > 0.02
    assert abs(found["fid_infinity"]) < biased / 3
    assert 0 < found["fid_infinity_error"] < biased


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.4, 1.0), (0.0, 1.3)])
def test_the_error_of_fid_infinity_is_its_deviation_over_draws_of_the_samples(shift, scale):
    reference = GivenReference(test=FeatureSet(draw(2000, 1, size=8)))
    truth = Gaussian(torch.full((8,), shift).double(), scale**2 * torch.eye(8).double(), None)
    expected = float(frechet_distance(reference.gaussian, truth))
    metric, found = FIDInfinity(points=8), []
    for seed in range(100, 180):
        values = metric(reference, FeatureSet(draw(1000, seed, shift, 8, scale)))
        found.append((values["fid_infinity"], values["fid_infinity_error"]))
    values, errors = np.array(found).T
    assert 0.75 < ((values - expected) / errors).std() < 1.3  # 2 where the samples' own deviation is left out
    assert errors.mean() == pytest.approx(values.std(), rel=0.25)


def test_fid_infinity_needs_three_points():
    with pytest.raises(UserError, match="points=2"):
        FIDInfinity(points=2)


@pytest.mark.parametrize(
    ("size", "decay", "real", "fewer", "count"), [(32, 0, 2000, 800, 4000), (64, 1, 359, 1438, 10_000)]
)
def test_the_floor_of_fewer_images_is_extrapolated_to_that_of_a_perfect_generator(size, decay, real, fewer, count):
    """FID of `count` draws from the data's law, estimated from `fewer`; uncorrected it is 20% to 140% too high."""
    scale = torch.arange(1, size + 1.0) ** (-decay / 2)
    perfect, uncorrected, corrected = [], [], []
    for seed in range(20):
        reference = GivenReference(test=FeatureSet(draw(real, seed, size=size) * scale))
        others = FeatureSet(draw(fewer, 100 + seed, size=size) * scale)
        perfect.append(FID()(reference, FeatureSet(draw(count, 200 + seed, size=size) * scale))["fid"])
        uncorrected.append(FID()(reference, others)["fid"])
        corrected.append(FID().extrapolate(reference, others, count)["fid"])
    assert np.mean(uncorrected) > 1.15 * np.mean(perfect)
    assert np.mean(corrected) == pytest.approx(np.mean(perfect), rel=0.1)


def test_a_floor_of_too_few_images_is_not_extrapolated():
    reference = GivenReference(test=FeatureSet(draw(99, 1, size=16)))
    with pytest.raises(UnmeasurableError, match="needs 64 images"):
        FID().extrapolate(reference, FeatureSet(draw(63, 2, size=16)), 1000)


def test_kid_of_fewer_images_is_its_own_estimate():
    reference, fewer = GivenReference(test=FeatureSet(draw(300, 1))), FeatureSet(draw(60, 2))
    assert KID(subsets=2).extrapolate(reference, fewer, 1000) == KID(subsets=2)(reference, fewer)


def test_fid_infinity_needs_enough_samples():
    with pytest.raises(UnmeasurableError, match="needs 64 images"):
        FIDInfinity()(GivenReference(test=FeatureSet(draw(99, 1, size=16))), FeatureSet(draw(60, 2, size=16)))


def test_fid_by_class_is_the_mean_of_the_classes_distances():
    labels = torch.arange(100) % 2
    real = FeatureSet(draw(100, 1), labels=labels)
    features, logits = draw(80, 2), draw(80, 3, size=2)
    found = FIDByClass()(GivenReference(test=real), FeatureSet(features, logits))["fid_by_class"]
    guesses = logits.argmax(1)
    pairs = [(real.features[labels == c], features[guesses == c]) for c in range(2)]
    expected = [frechet_distance(*map(fit_gaussian, pair)) for pair in pairs]
    assert found == pytest.approx(float(sum(expected)) / 2, rel=1e-9)


def test_fid_by_class_says_which_class_is_missing_and_what_else_it_needs():
    real = FeatureSet(draw(10, 1), labels=torch.arange(10) % 2)
    with pytest.raises(UnmeasurableError, match="2 or more samples of class 1"):
        FIDByClass()(GivenReference(test=real), FeatureSet(draw(9, 2), torch.tensor([[1.0, 0.0]]).repeat(9, 1)))
    with pytest.raises(UnmeasurableError, match="features that classify"):
        FIDByClass()(GivenReference(test=real), FeatureSet(draw(9, 2)))
    with pytest.raises(UnmeasurableError, match="labelled images"):
        FIDByClass()(GivenReference(test=FeatureSet(draw(9, 2))), FeatureSet(draw(9, 2)))


def test_fid_by_class_refuses_the_classes_of_another_dataset():
    """Inception's 1,008 classes are not the dataset's two."""
    real = FeatureSet(draw(10, 1), labels=torch.arange(10) % 2)
    with pytest.raises(UnmeasurableError, match=r"predict the 2 classes of Given.*1008 others"):
        FIDByClass()(GivenReference(test=real), FeatureSet(draw(9, 2), torch.eye(1008)[torch.arange(9) % 2]))
    labels = torch.arange(9) % 2
    asked = FeatureSet(draw(9, 2), torch.eye(1008)[:9], labels)
    assert (
        FIDByClass()(GivenReference(test=real), asked)["fid_by_class"] > 0
    )  # labels that were asked for need no guess

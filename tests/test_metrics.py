"""Each metric against torch-fidelity, the definition in numpy, or a closed form."""

import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from zerosum.evaluation.protocol import UnmeasurableError
from zerosum.evaluation.distribution_metrics import FID, FIDByClass, FIDInfinity, InceptionScore, KID
from zerosum.evaluation.frechet import fitted, frechet_distance
from zerosum.evaluation.mode_coverage import Modes
from zerosum.evaluation.neighbour_metrics import DensityCoverage, Memorization, PrecisionRecall, nearest, radii
from zerosum.evaluation.reference import FeatureSet, fit_gaussian_of


class GivenReference:
    """The real side made of given sets."""

    def __init__(self, classes=("0", "1"), **sets):
        self.sets = sets
        self.dataset = type("Named", (), {"splits": tuple(sets), "classes": classes, "name": "Given"})

    def of(self, split):
        return self.sets[split]

    real = property(lambda self: self.sets["test"])
    gaussian = property(lambda self: fit_gaussian_of(self.real.features))


def draw(count, seed, shift=0.0, size=6):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + shift


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


def test_precision_and_recall_are_torch_fidelitys(sides):
    reference, fake = sides
    found = PrecisionRecall(k=3)(reference, fake)
    expected = prc_features_to_metric(
        fake.features,
        reference.real.features,
        prc_neighborhood=3,
        prc_batch_size=1000,
        save_cpu_ram=True,
        verbose=False,
    )
    one_picture = 1 / min(len(reference.real.features), len(fake.features))
    assert found["precision"] == pytest.approx(expected["precision"], abs=one_picture / 2)
    assert found["recall"] == pytest.approx(expected["recall"], abs=one_picture / 2)


def test_density_and_coverage_are_their_definition(sides):
    """Naeem et al. 2020, equations 3 and 5, in float64 and without blocks."""
    reference, fake = sides
    real, fakes = reference.real.features.double().numpy(), fake.features.double().numpy()
    k = 5
    among_reals = np.linalg.norm(real[:, None] - real[None], axis=2)
    radius = np.sort(among_reals, axis=1)[:, k]
    inside = np.linalg.norm(real[:, None] - fakes[None], axis=2) <= radius[:, None]
    found = DensityCoverage(k)(reference, fake)
    assert found["density"] == pytest.approx(inside.sum() / (k * len(fakes)), rel=1e-3)
    assert found["coverage"] == pytest.approx(inside.any(1).mean(), abs=1.5 / len(real))


def test_radii_do_not_count_a_picture_itself_but_do_count_its_double():
    points = torch.tensor([[0.0], [0.0], [3.0], [10.0]])
    assert radii(points, 1).tolist() == pytest.approx([0, 0, 3, 7])
    with pytest.raises(UnmeasurableError, match="4 pictures have no 4-th neighbour"):
        radii(points, 4)


def test_nearest_neighbours_over_more_than_one_block():
    features, others = draw(2100, 1), draw(700, 2)
    found = nearest(features, others)
    exact = torch.cdist(features.double(), others.double())
    torch.testing.assert_close(found.distances.double(), exact.min(1).values, rtol=1e-4, atol=1e-5)
    assert (found.indices == exact.argmin(1)).float().mean() > 0.999


def test_memorization_is_a_half_for_new_draws_one_for_copies_zero_for_noise():
    train, test = draw(2000, 1), draw(500, 2)
    reference = GivenReference(train=FeatureSet(train), test=FeatureSet(test))
    metric = Memorization()
    assert metric(reference, FeatureSet(draw(2000, 3)))["memorization"] == pytest.approx(0.5, abs=0.03)
    assert metric(reference, FeatureSet(train[:300]))["memorization"] > 0.999
    assert metric(reference, FeatureSet(draw(300, 4, shift=50.0)))["memorization"] == 0
    assert metric(reference, FeatureSet(test))["memorization"] == 0.5  # ties count one half
    half = torch.cat([train[:500], draw(500, 5)])
    assert metric(reference, FeatureSet(half))["memorization"] == pytest.approx(0.75, abs=0.03)


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


def test_fid_infinity_needs_enough_samples():
    with pytest.raises(UnmeasurableError, match="n_fake over 64"):
        FIDInfinity()(GivenReference(test=FeatureSet(draw(99, 1, size=16))), FeatureSet(draw(60, 2, size=16)))


def test_fid_by_class_is_the_mean_of_the_classes_distances():
    labels = torch.arange(100) % 2
    real = FeatureSet(draw(100, 1), labels=labels)
    features, logits = draw(80, 2), draw(80, 3, size=2)
    found = FIDByClass()(GivenReference(test=real), FeatureSet(features, logits))["fid_by_class"]
    guesses = logits.argmax(1)
    expected = [frechet_distance(fitted(real.features[labels == c]), fitted(features[guesses == c])) for c in range(2)]
    assert found == pytest.approx(float(sum(expected)) / 2, rel=1e-9)


def test_fid_by_class_says_which_class_is_missing_and_what_else_it_needs():
    real = FeatureSet(draw(10, 1), labels=torch.arange(10) % 2)
    with pytest.raises(UnmeasurableError, match="no samples of class 1"):
        FIDByClass()(GivenReference(test=real), FeatureSet(draw(9, 2), torch.tensor([[1.0, 0.0]]).repeat(9, 1)))
    with pytest.raises(UnmeasurableError, match="features that classify"):
        FIDByClass()(GivenReference(test=real), FeatureSet(draw(9, 2)))
    with pytest.raises(UnmeasurableError, match="labelled pictures"):
        FIDByClass()(GivenReference(test=FeatureSet(draw(9, 2))), FeatureSet(draw(9, 2)))


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


def test_modes_refuses_features_that_tell_other_classes_apart():
    reference = GivenReference(classes=tuple("abc"), test=FeatureSet(draw(9, 0)))
    with pytest.raises(UnmeasurableError, match="3 classes"):
        Modes()(reference, FeatureSet(draw(6, 0), torch.eye(6)))

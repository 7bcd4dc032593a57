"""Metrics of nearest neighbours against torch-fidelity and their definitions in numpy."""

import numpy as np
import pytest
import torch
from given_features import GivenReference, draw
from torch_fidelity.metric_prc import prc_features_to_metric

from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.neighbour_metrics import DensityCoverage, Memorization, PrecisionRecall, nearest, radii
from zerosum.evaluation.reference import FeatureSet

SETS = [(60, 50, 0.0), (300, 200, 0.5), (2500, 2100, 1.0)]
"""Numbers of reals and fakes, and how far they are apart."""


@pytest.fixture(params=SETS, ids=str)
def sides(request):
    real, fake, shift = request.param
    return GivenReference(test=FeatureSet(draw(real, 1))), FeatureSet(draw(fake, 2, shift))


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
    one_image = 1 / min(len(reference.real.features), len(fake.features))
    assert found["precision"] == pytest.approx(expected["precision"], abs=one_image / 2)
    assert found["recall"] == pytest.approx(expected["recall"], abs=one_image / 2)


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


def test_radii_do_not_count_an_image_itself_but_do_count_its_double():
    points = torch.tensor([[0.0], [0.0], [3.0], [10.0]])
    assert radii(points, 1).tolist() == pytest.approx([0, 0, 3, 7])
    with pytest.raises(UnmeasurableError, match="4 images have no 4-th neighbour"):
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


def mixture(count, seed, share):
    """A dense cluster with `share` of the points, and a wide one."""
    points, dense = draw(count, seed, size=8), torch.rand(count, generator=torch.Generator().manual_seed(seed)) < share
    return torch.where(dense[:, None], 0.2 * points - 6, points + 6)


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_memorization_is_a_half_for_new_draws_with_other_shares_of_the_clusters(share):
    """Without cells more samples of the dense cluster would look like copies: 0.69."""
    reference = GivenReference(train=FeatureSet(mixture(3000, 1, 0.5)), test=FeatureSet(mixture(1000, 2, 0.5)))
    found = Memorization()(reference, FeatureSet(mixture(3000, 3, share)))
    assert found["memorization"] == pytest.approx(0.5, abs=0.04)
    assert abs(found["memorization_z"]) < 3
    whole = Memorization(cells=1)(reference, FeatureSet(mixture(3000, 3, share)))
    assert abs(whole["memorization"] - 0.5) > 0.1


def test_memorization_says_in_how_many_cells_it_saw_samples():
    """Samples that are all equal are near the training images of one cell: no copies of the others."""
    reference = GivenReference(train=FeatureSet(draw(3000, 1)), test=FeatureSet(draw(1000, 2)))
    assert Memorization()(reference, FeatureSet(draw(3000, 3)))["memorization_cells"] == 1
    assert Memorization()(reference, FeatureSet(torch.zeros(3000, 6)))["memorization_cells"] < 0.3


def test_the_score_of_memorization_is_meehans_statistic_with_the_sign_reversed():
    """Mann and Whitney's z in each cell by scipy, weighted by the held-out images, as section 3 says."""
    from scipy.stats import mannwhitneyu

    train, test, fake = draw(300, 1), draw(120, 2), draw(200, 3, scale=0.8)
    found = Memorization(cells=1)(GivenReference(train=FeatureSet(train), test=FeatureSet(test)), FeatureSet(fake))
    distances = [torch.cdist(side.double(), train.double()).min(1).values.numpy() for side in (fake, test)]
    u, (n, m) = mannwhitneyu(*distances).statistic, (120, 200)
    assert found["memorization_z"] == pytest.approx((n * m / 2 - u) / np.sqrt(n * m * (n + m + 1) / 12), rel=1e-6)
    assert found["memorization"] == pytest.approx(1 - u / (n * m), abs=1e-6)


def test_memorization_needs_enough_images_in_a_cell_and_a_held_out_split():
    reference = GivenReference(train=FeatureSet(draw(300, 1)), test=FeatureSet(draw(19, 2)))
    with pytest.raises(UnmeasurableError, match="20 held-out images"):
        Memorization()(reference, FeatureSet(draw(300, 3)))
    with pytest.raises(UnmeasurableError, match="held-out split"):
        Memorization()(GivenReference(train=FeatureSet(draw(300, 1))), FeatureSet(draw(300, 3)))
    with pytest.raises(UserError, match="cells=0"):
        Memorization(cells=0)

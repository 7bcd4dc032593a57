"""Power-function averages against numerical integration, and what of a profile snapshots can add up to."""

import numpy as np
import pytest

from zerosum.errors import UserError
from zerosum.training.power_functions import check_choice, decay, gamma_of, inner_products, solve, width_of

TIMES = (np.arange(200_000) + 0.5) / 200_000  # midpoints of [0, 1]


def profile(gamma, end=1.0):
    return np.where(end >= TIMES, (gamma + 1) / end * (TIMES / end) ** gamma, 0.0)


@pytest.mark.parametrize("gamma", [0.0, 6.94, 16.97, 100.0])
def test_the_width_is_the_standard_deviation_of_the_profile(gamma):
    mean = (profile(gamma) * TIMES).mean()
    deviation = np.sqrt((profile(gamma) * (TIMES - mean) ** 2).mean())
    assert width_of(gamma) == pytest.approx(deviation, rel=1e-6)
    assert gamma_of(width_of(gamma)) == pytest.approx(gamma, abs=1e-9)


def test_the_papers_two_widths_have_the_papers_gammas():
    assert gamma_of(0.05) == pytest.approx(16.97, abs=0.005) and gamma_of(0.10) == pytest.approx(6.94, abs=0.005)


def test_products_of_profiles_are_their_integrals():
    for one, end, other, other_end in [(6.94, 0.4, 16.97, 0.9), (6.94, 0.9, 16.97, 0.4), (3.0, 1.0, 3.0, 1.0)]:
        expected = (profile(one, end) * profile(other, other_end)).mean()
        found = inner_products(np.float64(end), np.float64(one), np.float64(other_end), np.float64(other))
        assert found == pytest.approx(expected, rel=1e-3)


def test_steps_of_any_size_make_the_integral_of_weights_that_stay_between_steps():
    """Steps of 3, 1 and 6 images: each weight's share is the integral of the profile over its step."""
    gamma, average, seen = 4.0, np.zeros(3), 0
    for index, images in enumerate((3, 1, 6)):
        seen += images
        beta = decay(gamma, images, seen)
        average = beta * average + (1 - beta) * np.eye(3)[index]
    edges = np.array([0, 3, 4, 10]) / 10
    assert average == pytest.approx(np.diff(edges ** (gamma + 1)), rel=1e-12)


def test_a_stored_average_is_taken_as_it_is():
    for width, expected in ((0.05, [1, 0]), (0.10, [0, 1])):
        coefficients, misfit = solve([10, 25, 40], [0.05, 0.10], 40, width)
        assert coefficients[2] == pytest.approx(expected, abs=1e-10)
        assert coefficients[:2] == pytest.approx(0, abs=1e-10) and misfit < 1e-6


def test_a_snapshot_of_the_first_images_of_a_long_run_does_no_harm():
    times = [1, *range(1_000_000, 64_000_001, 1_000_000)]
    coefficients, misfit = solve(times, [0.05, 0.10], times[-1], 0.07)
    assert misfit < 1e-3 and np.abs(coefficients[0]).max() < 1e-6
    assert misfit == pytest.approx(solve(times[1:], [0.05, 0.10], times[-1], 0.07)[1], rel=1e-3)


@pytest.mark.parametrize("width", [0.03, 0.07, 0.15])
def test_the_sum_of_profiles_is_as_far_off_as_it_says_and_nearer_with_more_snapshots(width):
    misfits = []
    for count in (8, 32):
        times = list(range(100, 100 * count + 1, 100))
        coefficients, misfit = solve(times, [0.05, 0.10], times[-1], width)
        profiles = [[profile(gamma_of(each), time / times[-1]) for each in (0.05, 0.10)] for time in times]
        total = np.einsum("tw,twx->x", coefficients, profiles)
        wanted = profile(gamma_of(width))
        assert misfit == pytest.approx(np.linalg.norm(total - wanted) / np.linalg.norm(wanted), rel=0.02)
        assert coefficients.sum() == pytest.approx(1)
        misfits.append(misfit)
    assert misfits[1] < 0.012 and misfits[1] < misfits[0] / 5


@pytest.mark.parametrize("width", [0, -0.05, 0.001, 0.3, 5, True, "0.05", [0.05], float("nan")], ids=repr)
def test_other_widths_are_one_sentence(width):
    with pytest.raises(UserError, match=r"ema=.*: the width of an average.* is a number from 0\.005 to 0\.28"):
        check_choice("ema", width)


def test_raw_weights_are_no_average():
    with pytest.raises(UserError, match=r"weights=raw ema=0\.05: .* leave out one of the two"):
        check_choice("raw", 0.05)
    with pytest.raises(UserError, match="weights=best: choose ema or raw"):
        check_choice("best", None)
    check_choice("raw", None)

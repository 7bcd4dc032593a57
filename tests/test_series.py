"""Time series with known laws: moments, exact forecasters, and the cut of the real one."""

import math

import pytest
import torch

from zerosum.data.series import AR2, RegimeSines, Sunspots
from zerosum.errors import UserError
from zerosum.evaluation.futures import LEVELS, share_below


def test_ar2_is_stationary_with_the_correlations_of_yule_and_walker():
    series = AR2()
    futures, pasts = series.windows(40_000, "train", torch.Generator().manual_seed(0))
    whole = torch.cat([pasts, futures], 1).double()
    expected = [1.0, series.first / (1 - series.second)]
    for _ in range(3):
        expected.append(series.first * expected[-1] + series.second * expected[-2])
    for start in (0, 30):
        for lag, value in enumerate(expected):
            found = float((whole[:, start] * whole[:, start + lag]).mean())
            assert abs(found - value) < 4 * math.sqrt(2 / 40_000), (start, lag)


def test_ar2s_exact_future_is_gaussian_with_its_mean_and_variance():
    series = AR2()
    past = torch.randn(1, 24)
    found = series.exact(past, 40_000, torch.Generator().manual_seed(1))[0].double()
    means, weights = [past[0, -2].item(), past[0, -1].item()], [0.0, 1.0]
    for _ in range(6):
        means.append(series.first * means[-1] + series.second * means[-2])
        weights.append(series.first * weights[-1] + series.second * weights[-2])
    for step in range(6):
        variance = series.sigma**2 * sum(weight**2 for weight in weights[1 : step + 2])
        assert abs(float(found[:, step].mean()) - means[step + 2]) < 4 * math.sqrt(variance / 40_000)
        assert abs(float(found[:, step].var()) / variance - 1) < 4 * math.sqrt(2 / 40_000)


@pytest.mark.parametrize("series", [AR2(), RegimeSines(), RegimeSines(sigma=1.0)])
def test_what_followed_lies_below_the_exact_quantiles_as_often_as_they_say(series):
    """So `exact` is the law of the future given the past, the phase's posterior included."""
    truth, pasts = series.windows(1_000, "test", torch.Generator().manual_seed(2))
    exact = series.exact(pasts, 400, torch.Generator().manual_seed(3))
    ranks = share_below(exact, truth[None])[0]
    for level in LEVELS:
        found = (ranks < level).double().mean(0)  # (future,)
        assert (found - level).abs().max() < 4.5 * math.sqrt(level * (1 - level) / 1_000) + 1 / 400, level


def test_a_regime_holds_with_a_known_probability():
    series = RegimeSines(sigma=0.001, hazard=0.2)
    start = torch.zeros(20_000)
    futures = series.futures(start, torch.Generator().manual_seed(0))
    for step in (0, 3, 6):
        unchanged = math.sin(2 * math.pi / 12 * (24 + step))
        share = float(((futures[:, step] - unchanged).abs() < 0.01).double().mean())
        alike = sum(  # changes after which the doubled phase is at the same height
            0.2 * 0.8**k
            for k in range(step + 1)
            if abs(math.sin(2 * math.pi / 12 * (23 + k + 2 * (step + 1 - k))) - unchanged) < 0.01
        )
        expected = 0.8 ** (step + 1) + alike
        assert abs(share - expected) < 4 * math.sqrt(expected / 20_000)


def test_batches_are_functions_of_their_index():
    stream = AR2().stream(0, torch.device("cpu"))
    whole = stream.batch(3, 8, slice(0, 8))
    part = stream.batch(3, 8, slice(2, 5))
    assert torch.equal(whole.images[2:5], part.images) and torch.equal(whole.condition[2:5], part.condition)
    assert whole.images.shape == (8, 16) and whole.condition.shape == (8, 24)


def test_sunspots_are_trained_before_the_year_and_tested_after():
    datasets = pytest.importorskip("statsmodels.datasets")
    table = datasets.sunspots.load_pandas().data
    roots = torch.tensor(table["SUNACTIVITY"].to_numpy()).sqrt().float()
    series = Sunspots(until=1900)
    series.prepare()
    train, test = series.values["train"], series.values["test"]
    assert len(train) == 200 - 40 + 1 and len(test) == len(roots) - 200 - 16 + 1
    known = roots[:200]
    torch.testing.assert_close(train[-1, -1] * known.std() + known.mean(), roots[199])  # 1899
    torch.testing.assert_close(test[0, 24] * known.std() + known.mean(), roots[200])  # the first future begins in 1900


@pytest.mark.parametrize(
    "make",
    [lambda: AR2(first=2.0), lambda: RegimeSines(hazard=0.0), lambda: AR2(past=4, future=8), lambda: AR2(past=0)],
)
def test_series_that_do_not_exist_are_refused(make):
    with pytest.raises(UserError, match="dataset"):
        make()

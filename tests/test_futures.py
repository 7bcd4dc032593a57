"""Forecasts: scores against closed forms, planning where the mean misleads, and the networks that make them."""

import math

import pytest
import torch

from zerosum.applications.forecaster import energy_score
from zerosum.data.series import AR2
from zerosum.evaluation.catch import Catch, best_places
from zerosum.evaluation.futures import Forecasts, ForecastScores, FuturesProtocol, crps
from zerosum.evaluation.series_scores import StrongJudge
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.models.recurrent import Generator


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_crps_of_a_normal_law_is_its_closed_form(dtype):
    random = torch.Generator().manual_seed(0)
    sampled = 2 * torch.randn(1, 100_000, 3, generator=random, dtype=dtype)
    truth = torch.tensor([[-1.0, 0.5, 6.0]], dtype=dtype)
    normal = torch.distributions.Normal(0.0, 1.0)
    z = truth / 2
    expected = 2 * (z * (2 * normal.cdf(z) - 1) + 2 * normal.log_prob(z).exp() - 1 / math.sqrt(math.pi))
    torch.testing.assert_close(crps(sampled, truth), expected, rtol=0, atol=0.03)


def test_crps_is_the_mean_over_pairs():
    sampled, truth = torch.randn(2, 5, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    pairs = (sampled[:, :, None] - sampled[:, None]).abs().sum((1, 2)) / (5 * 4)
    expected = (sampled - truth[:, None]).abs().mean(1) - pairs / 2
    torch.testing.assert_close(crps(sampled, truth), expected)


def ar2_forecasts(sampled_of) -> dict[str, float]:
    protocol = FuturesProtocol("futures", {"forecasts": ForecastScores()}, pasts=300, futures=200)
    protocol.prepare(AR2())
    return protocol.judge(sampled_of(protocol))


def test_the_exact_forecaster_has_no_excess_and_too_narrow_a_fan_is_seen():
    exact = ar2_forecasts(
        lambda protocol: protocol.dataset.exact(protocol.known, 200, torch.Generator().manual_seed(5))
    )
    assert abs(exact["crps_excess"]) < 0.003 and exact["quantile_error"] < 0.035
    assert abs(exact["covered_90"] - 0.9) < 0.03 and abs(exact["covered_50"] - 0.5) < 0.04

    def narrow(protocol):
        mean = protocol.exact.mean(1, keepdim=True)
        return mean + 0.3 * (protocol.exact - mean)

    found = ar2_forecasts(narrow)
    assert found["crps_excess"] > 0.03 and found["covered_90"] < 0.5 and found["quantile_error"] > 0.1


def test_planning_by_futures_goes_where_they_go_and_the_mean_misleads():
    random = torch.Generator().manual_seed(0)
    sides = torch.where(torch.rand(50, 200, 1, generator=random) < 0.6, 1.0, -1.0)
    futures = sides + 0.02 * torch.randn(50, 200, 4, generator=random)
    forecasts = Forecasts(torch.zeros(50, 4), futures[:, 0], futures, futures)
    values = Catch(step=2, reach=0.2)(forecasts)
    assert abs(values["caught_by_futures"] - 0.6) < 0.05 and values["caught_by_mean"] == 0
    places = best_places(futures[:, :, 1], 0.2)
    assert (places - 1).abs().max() < 0.11  # the middle of places that reach all of the greater side


def test_a_judge_tells_other_series_apart_and_equal_ones_not():
    random = torch.Generator().manual_seed(0)
    first, second = AR2().windows(600, "test", random), AR2().windows(600, "test", random)
    judge = StrongJudge(width=8, steps=100)
    real = torch.cat([first.attributes, first.images], 1)
    same = torch.cat([second.attributes, second.images], 1)
    assert judge.discriminate(real, same) < 0.1
    assert judge.discriminate(real, real + 0.7 * torch.randn(real.shape, generator=random)) > 0.3
    assert judge.predict(real, same, 16) < judge.predict(real, torch.randn(same.shape, generator=random), 16) - 0.1


def test_a_future_is_not_surprised_before_its_noise_comes():
    generator = Generator((6,), noise=2, width=8, condition_size=9)
    z, past = torch.randn(3, 12), torch.randn(3, 9)
    later = z.clone()
    later[:, 6:] += 1  # the noise of steps 3 to 5
    changed = (generator(z, past) - generator(later, past)).abs().amax(0) > 1e-6
    assert changed.tolist() == [False] * 3 + [True] * 3
    assert ((generator(z, past) - generator(z, past + 1)).abs() > 1e-6).all()


def test_the_energy_score_with_exponent_2_is_the_squared_error_of_the_mean():
    random = torch.Generator().manual_seed(0)
    truth = torch.randn(1, 4, generator=random, dtype=torch.float64).expand(200_000, 4)
    one, other = (0.5 + torch.randn(200_000, 4, generator=random, dtype=torch.float64) for _ in range(2))
    expected = (0.5 - truth[0]).square().mean()
    torch.testing.assert_close(energy_score(one, other, truth, 2.0), expected, rtol=0, atol=0.01)


def test_the_energy_score_of_one_step_is_the_crps():
    sampled, truth = torch.randn(7, 2, 1, dtype=torch.float64), torch.randn(7, 1, dtype=torch.float64)
    found = energy_score(sampled[:, 0], sampled[:, 1], truth, 1.0)
    torch.testing.assert_close(found, crps(sampled, truth).mean(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [("model=recurrent",), ("model=scored_forecaster",)])
def test_forecasters_train_sample_and_draw(composed, tmp_path, options):
    small = ("protocol.pasts=5", "protocol.futures=4", "run.images=64", "training.batch_size=16", "trainer=cpu")
    config = composed("dataset=ar2", *options, *small, f"run.folder={tmp_path}", "callbacks.samples.frames=1")
    experiment = build(validate(config))
    experiment.trainer.fit(experiment.module, datamodule=experiment.data)
    past = torch.randn(2, 24)
    together = experiment.module.sample([4, 5], past)
    assert together.shape == (2, 16)
    torch.testing.assert_close(experiment.module.sample([5], past[1:]), together[1:])
    assert len(list((tmp_path / "samples").glob("*.png"))) == 2


def test_micro_batches_train_the_scored_forecaster_as_the_whole_batch(composed, tmp_path):
    silent = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")]
    small = ("run.images=64", "training.batch_size=16", "trainer=cpu", "+optimizer.eps=1e-3", "~logger.csv", *silent)
    weights = []
    for parts in (1, 4):
        config = composed("dataset=ar2", "model=scored_forecaster", *small, f"training.accumulate={parts}")
        experiment = build(validate(config))
        experiment.trainer.fit(experiment.module, datamodule=experiment.data)
        weights.append(torch.cat([weight.flatten() for weight in experiment.module.network.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-5)

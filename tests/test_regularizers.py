"""Each penalty against its closed form on D(x) = w.x, whose gradient is w everywhere."""

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

import zerosum.distributed
from zerosum.errors import UserError
from zerosum.experiment.schema import check
from zerosum.gan.regularizers import (
    DRAGAN,
    R1,
    R2,
    Clip,
    Consistency,
    Drift,
    GradientPenalty,
    LeCam,
    Regularizer,
    ScoredBatch,
)
from zerosum.models import mlp
from zerosum.models.networks import Scores

CONFIGS = sorted((Path(__file__).parents[1] / "conf" / "regularizer").glob("*.yaml"))
SHAPE = (5, 3, 4, 4)


class Linear(nn.Module):
    """D(x) = w.x, in float64; the gradient's norm is `norm`."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        w = torch.randn(math.prod(SHAPE[1:]), dtype=torch.float64)
        self.w = nn.Parameter(norm * w / w.norm())

    def forward(self, images):
        return Scores(images.flatten(1) @ self.w)


class Twice(nn.Module):
    """A fixed augmentation."""

    def forward(self, images):
        return 2 * images


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def scored(critic, images=None) -> ScoredBatch:
    images = (torch.randn(SHAPE, dtype=torch.float64) if images is None else images).requires_grad_()
    return ScoredBatch(images, critic(images))


def both(critic) -> tuple[ScoredBatch, ScoredBatch]:
    return scored(critic), scored(critic)


def evaluate(term, critic, real, fake):
    """The weighted penalty of a batch that comes in one part."""
    if term.observes_batch:
        term.observe(real, fake)
    return term(critic, real, fake)


def gradient_of(value, critic):
    (gradient,) = torch.autograd.grad(value, critic.w, retain_graph=True)
    return gradient


@pytest.mark.parametrize("kind", [R1, R2])
def test_r1_and_r2_are_half_gamma_squared_norm_on_a_linear_critic(kind):
    critic = Linear(3.0)
    value = kind(weight=5.0)(critic, *both(critic))
    torch.testing.assert_close(value.item(), 5.0 / 2 * 3.0**2)
    torch.testing.assert_close(gradient_of(value, critic), 5.0 * critic.w.detach())  # d/dw gamma/2 |w|^2


def test_r1_looks_at_reals_and_r2_at_fakes():
    real, fake = both(lambda x: Scores(x.square().flatten(1).sum(1) / 2))  # the gradient at x is x
    halves = [scored.images.square().sum((1, 2, 3)).mean() / 2 for scored in (real, fake)]
    torch.testing.assert_close(R1(1.0).penalty(None, real, fake), halves[0])
    torch.testing.assert_close(R2(1.0).penalty(None, real, fake), halves[1])


@pytest.mark.parametrize("kind", [GradientPenalty, DRAGAN])
@pytest.mark.parametrize("one_sided", [False, True])
@pytest.mark.parametrize("norm", [0.25, 3.0])
def test_gradient_penalties_are_the_squared_distance_of_the_norm_from_one(kind, one_sided, norm):
    critic = Linear(norm)
    value = evaluate(kind(10.0, one_sided=one_sided), critic, *both(critic))
    excess = max(norm - 1, 0) if one_sided else norm - 1
    torch.testing.assert_close(value.item(), 10.0 * excess**2)
    # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(gradient_of(value, critic), 10.0 * 2 * excess / norm * critic.w.detach())


def test_gradient_penalty_is_taken_between_real_and_fake_with_one_epsilon_for_each_image():
    real, fake = torch.zeros(SHAPE, dtype=torch.float64), torch.ones(SHAPE, dtype=torch.float64)
    points = GradientPenalty(1.0).points(real, fake).flatten(1)
    assert (points == points[:, :1]).all()
    assert len(points[:, 0].unique()) == len(real)
    assert (points > 0).all() and (points < 1).all()


def test_dragan_is_taken_at_reals_with_noise_of_half_their_deviation():
    real = torch.randn(64, 3, 16, 16, dtype=torch.float64)
    dragan = DRAGAN(1.0)
    dragan.observe(ScoredBatch(real, None), ScoredBatch(real, None))
    shares = (dragan.points(real, real) - real) / (0.5 * real.numpy().std())
    assert shares.min() >= 0 and shares.max() <= 1
    torch.testing.assert_close(shares.mean().item(), 0.5, atol=0.01, rtol=0)
    torch.testing.assert_close(shares.std().item(), 12**-0.5, atol=0.01, rtol=0)


@pytest.mark.parametrize("kind", [R1, R2, GradientPenalty, DRAGAN])
def test_the_gradient_of_a_pack_is_one_gradient(kind):
    w = torch.randn(2 * 7, dtype=torch.float64)
    pairs = lambda images: Scores(images.reshape(-1, 2 * 7) @ w)  # noqa: E731
    real, fake = (scored(pairs, torch.randn(6, 7, dtype=torch.float64)) for _ in range(2))
    expected = (w.norm() - 1) ** 2 if issubclass(kind, GradientPenalty) else w.square().sum() / 2
    torch.testing.assert_close(evaluate(kind(1.0), pairs, real, fake), expected)


@pytest.mark.parametrize("kind", [R1, R2, GradientPenalty, DRAGAN])
def test_a_critic_without_a_gradient_has_a_finite_penalty_with_finite_derivatives(kind):
    critic = Linear(0.0)
    value = evaluate(kind(10.0), critic, *both(critic))
    assert value.item() == (0.0 if kind in (R1, R2) else 10.0)
    assert gradient_of(value, critic).isfinite().all()


def test_drift_is_the_mean_squared_logit_of_reals():
    critic = Linear(2.0)
    real, fake = both(critic)
    value = Drift(0.5)(critic, real, fake)
    outer = real.images.detach().flatten(1).T @ real.images.detach().flatten(1) / len(real.images)  # E x x^T
    torch.testing.assert_close(value, 0.5 * critic.w @ outer @ critic.w)
    torch.testing.assert_close(gradient_of(value, critic), (outer @ critic.w).detach())


@pytest.mark.parametrize("fake_weight", [0.0, 1.0, 0.5])
def test_consistency_on_a_fixed_augmentation(fake_weight):
    critic = Linear(2.0)
    real, fake = both(critic)
    value = Consistency(10.0, Twice(), fake_weight=fake_weight)(critic, real, fake)
    # D(x) - D(2x) = -w.x
    expected = 10 * (real.logits.square().mean() + fake_weight * fake.logits.square().mean())
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient_of(value, critic), gradient_of(expected, critic))


def test_consistency_without_fakes_costs_one_forward():
    critic, calls = Linear(1.0), []
    real, fake = both(critic)
    for fake_weight in (0.0, 1.0):
        calls.clear()
        Consistency(1.0, Twice(), fake_weight=fake_weight)(lambda x: calls.append(0) or critic(x), real, fake)
        assert len(calls) == 1 + bool(fake_weight)


def with_logits(real: list[float], fake: list[float]) -> tuple[ScoredBatch, ScoredBatch]:
    return tuple(
        ScoredBatch(torch.empty(0), Scores(torch.tensor(logits, requires_grad=True))) for logits in (real, fake)
    )


def test_lecam_by_hand():
    lecam = LeCam(2.0, decay=0.75)
    # The first batch: a_R = 2, a_F = 1.
    real, fake = with_logits([1.0, 3.0], [0.0, 2.0])
    torch.testing.assert_close(evaluate(lecam, None, real, fake).item(), 2 * ((0 + 4) / 2 + (4 + 0) / 2))
    # The second, means 6 and -3: a_R = 0.75 * 2 + 0.25 * 6 = 3, a_F = 0.75 * 1 - 0.25 * 3 = 0.
    real, fake = with_logits([5.0, 7.0], [-4.0, -2.0])
    value = evaluate(lecam, None, real, fake)
    torch.testing.assert_close(value.item(), 2 * ((25 + 49) / 2 + (49 + 25) / 2))
    value.backward()  # the averages are constants: d/dD (D - a)^2 / 2 * 2 = 2 (D - a)
    torch.testing.assert_close(real.logits.grad, torch.tensor([10.0, 14.0]))
    torch.testing.assert_close(fake.logits.grad, torch.tensor([-14.0, -10.0]))


def test_lecam_one_sided_lets_a_discriminator_that_errs_alone():
    # a_R = 0 and a_F = 3: the first real and no fake are on the right side, D(x) > a_F and D(G(z)) < a_R.
    real, fake = with_logits([4.0, -4.0], [3.0, 3.0])
    torch.testing.assert_close(evaluate(LeCam(1.0, one_sided=True), None, real, fake).item(), 1.0 / 2)
    torch.testing.assert_close(evaluate(LeCam(1.0), None, real, fake).item(), (1 + 49) / 2 + 9.0)


def test_lecam_goes_on_from_its_state():
    first, second = LeCam(1.0), LeCam(1.0)
    evaluate(first, None, *with_logits([5.0], [-5.0]))
    second.load_state_dict(first.state_dict())
    assert torch.equal(*(evaluate(each, None, *with_logits([1.0], [2.0])) for each in (first, second)))
    torch.testing.assert_close(second.real_average.item(), 0.99 * 5 + 0.01 * 1)


def test_what_is_averaged_is_averaged_over_processes(monkeypatch):
    monkeypatch.setattr(zerosum.distributed, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.add_(7.0))  # the other process has 7
    lecam = LeCam(1.0)
    real, fake = with_logits([1.0], [3.0])
    evaluate(lecam, None, real, fake)
    assert (lecam.real_average.item(), lecam.fake_average.item()) == (4.0, 5.0)
    assert real.logits.item() == 1.0


def test_dragans_deviation_is_that_of_all_processes_together(monkeypatch):
    """The other process's images are all 3; joined with ours the mean is 2 and the variance (1 + 9 + 1 + 1) / 4."""
    replies = iter([3.0, 1.0])  # the other's mean, and its mean squared distance from 2
    monkeypatch.setattr(zerosum.distributed, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.add_(next(replies)))
    dragan, real = DRAGAN(1.0), ScoredBatch(torch.tensor([[3.0], [-1.0]]), None)
    dragan.observe(real, real)
    assert dragan.deviation.item() == pytest.approx(torch.tensor([3.0, -1.0, 3.0, 3.0]).std(correction=0).item())


@pytest.mark.parametrize("kind", [R1, R2, GradientPenalty, DRAGAN, Drift, LeCam])
def test_lazy_evaluation_has_the_same_mean_gradient(kind):
    critic, sums = Linear(3.0), {}
    real, fake = both(critic)
    for every in (1, 4):
        regularizer = kind(2.0, every=every)
        due = [step for step in range(8, 12) if regularizer.due(step)]
        assert len(due) == 4 // every
        sums[every] = sum(gradient_of(evaluate(regularizer, critic, real, fake), critic) for _ in due)
    torch.testing.assert_close(sums[4], sums[1])


def test_clip_bounds_every_weight_after_a_step_and_adds_no_penalty():
    clip, discriminator = Clip(0.01), mlp.Discriminator((2,), 8, 1)
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    clip.after_step(discriminator)
    for parameter, old in zip(discriminator.parameters(), before, strict=True):
        assert torch.equal(parameter, old.clamp(-0.01, 0.01))
    assert max(old.abs().max() for old in before) > 0.01
    assert not any(clip.due(step) for step in range(4))


def test_other_regularizers_leave_the_weights_alone():
    discriminator = mlp.Discriminator((2,), 8, 1)
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    R1(1.0).after_step(discriminator)
    assert all(map(torch.equal, discriminator.parameters(), before))


@pytest.mark.parametrize("make", [lambda: R1(1.0, every=0), lambda: LeCam(1.0, decay=1.0), lambda: Clip(-0.01)])
def test_impossible_numbers_are_refused(make):
    with pytest.raises(UserError, match=r"^(every|decay|bound)="):
        make()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_regularizers_that_reach_the_weights(path):
    config = OmegaConf.create({"gamma": 1.0, "regularizer": OmegaConf.load(path)})
    node = check(OmegaConf.to_container(config, resolve=True)["regularizer"])
    regularizers = {name: instantiate(entry, _convert_="all") for name, entry in node.items()}
    assert path.stem == "none" or regularizers
    for regularizer in regularizers.values():
        assert isinstance(regularizer, Regularizer)
        if not regularizer.due(0):
            continue
        critic = mlp.Discriminator((1, 8, 8), 16, 2)
        real, fake = (scored(critic, torch.randn(4, 1, 8, 8)) for _ in range(2))
        evaluate(regularizer, critic, real, fake).backward()
        gradients = [parameter.grad for parameter in critic.parameters() if parameter.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().max() > 0 for gradient in gradients)

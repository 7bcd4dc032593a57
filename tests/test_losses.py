"""Each loss against closed forms, quadrature and the sign, stability and optimality that its paper promises."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.integrate import quad
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm
from torch.func import vmap

from zerosum.errors import UserError
from zerosum.experiment.build import make
from zerosum.experiment.schema import check
from zerosum.gan import fgan, losses
from zerosum.gan.fgan import DIVERGENCES, FGAN, alpha_divergence
from zerosum.gan.losses import LeastSquares, MaximumLikelihood, Minimax, NonSaturating

CONF = Path(__file__).parents[1] / "conf" / "loss"
ALPHAS = [-1.0, 0.5, 0.9, 1.2, 1.5, 2.0, 3.0]

EVERY = {
    "minimax": losses.Minimax(),
    "nonsat": losses.NonSaturating(),
    "maximum_likelihood": losses.MaximumLikelihood(),
    "lsgan": losses.LeastSquares(),
    "hinge": losses.Hinge(),
    "wasserstein": losses.Wasserstein(),
    "relativistic": losses.Relativistic(),
    "relativistic_average": losses.RelativisticAverage(),
    "fgan": FGAN("jensen_shannon"),
    "minimax, smooth": losses.Minimax(smooth=0.1),
    "nonsat, smooth": losses.NonSaturating(smooth=0.1),
    **{f"fgan {name}": FGAN(name) for name in DIVERGENCES},
    **{f"fgan {name}, saturating": FGAN(name, saturating=True) for name in DIVERGENCES},
    **{f"fgan alpha {alpha}": FGAN("alpha", alpha) for alpha in ALPHAS},
    **{f"fgan alpha {alpha}, saturating": FGAN("alpha", alpha, saturating=True) for alpha in ALPHAS},
}
every_loss = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY.keys())


def softplus(x):
    return math.log1p(math.exp(x))


def logits(*values: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype, requires_grad=True)


# Configs


def test_every_config_is_tested_and_every_test_is_of_a_config():
    elsewhere = {"feature_matching", "weighted"}  # test_semi_supervised.py, test_image_to_image.py
    assert {path.stem for path in CONF.glob("*.yaml")} - elsewhere == {name for name in EVERY if " " not in name}


@pytest.mark.parametrize("name", [name for name in EVERY if " " not in name])
def test_every_config_builds_the_loss_of_its_name_with_the_defaults_of_its_class(name):
    node = check(OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml")), "loss")
    built = make(node)
    assert type(built) is type(EVERY[name])
    assert vars(built) == vars(EVERY[name])
    assert (CONF / f"{name}.yaml").read_text().startswith("# ")


# Closed forms at real logits 1, -2 and fake logits 0, 3


REAL, FAKE = (1.0, -2.0), (0.0, 3.0)
CROSS_ENTROPY = 0.25 * (softplus(-1) + softplus(2) + softplus(0) + softplus(3))
SMOOTHED = 0.25 * (0.9 * softplus(-1) + 0.1 * softplus(1) + 0.9 * softplus(2) + 0.1 * softplus(-2))
E, LOG2 = math.e, math.log(2)

CLOSED_FORMS = {  # name: J_D, J_G
    "minimax": (CROSS_ENTROPY, -CROSS_ENTROPY),
    "nonsat": (CROSS_ENTROPY, 0.25 * (softplus(0) + softplus(-3))),
    "minimax, smooth": (
        SMOOTHED + 0.25 * (softplus(0) + softplus(3)),
        -SMOOTHED - 0.25 * (softplus(0) + softplus(3)),
    ),
    "nonsat, smooth": (SMOOTHED + 0.25 * (softplus(0) + softplus(3)), 0.25 * (softplus(0) + softplus(-3))),
    "maximum_likelihood": (CROSS_ENTROPY, -0.25 * (1 + E**3)),
    "lsgan": (0.25 * (0 + 9) + 0.25 * (0 + 9), 0.25 * (1 + 4)),
    "hinge": (0.5 * (0 + 3) + 0.5 * (1 + 4), -1.5),
    "wasserstein": (1.5 + 0.5, -1.5),
    "relativistic": (0.5 * (softplus(-1) + softplus(5)), 0.5 * (softplus(1) + softplus(-5))),
    "relativistic_average": (
        0.5 * (softplus(0.5) + softplus(3.5)) + 0.5 * (softplus(0.5) + softplus(3.5)),
        0.5 * (softplus(-0.5) + softplus(-3.5)) + 0.5 * (softplus(-0.5) + softplus(-3.5)),
    ),
    "fgan": (0.5 * (softplus(-1) + softplus(2) + softplus(0) + softplus(3)) - 2 * LOG2, None),
    "fgan kl": (0.5 * (1 / E + E**2) - 0.5 * (1 - 2), -1.5),
    "fgan kl, saturating": (0.5 * (1 / E + E**2) - 0.5 * (1 - 2), -0.5 * (1 / E + E**2)),
    "fgan reverse_kl": (0.5 * (-1 + 2) + 0.5 * (1 / E + E**2), 0.5 * (1 + E**-3)),
    "fgan pearson": (0.5 * (0 + 3 + 9 / 4) - 0.5 * (1 - 2), -1.5),
    "fgan pearson, saturating": (0.5 * (0 + 3 + 9 / 4) - 0.5 * (1 - 2), -0.5 * (3 + 9 / 4)),
    "fgan neyman": (0.5 * (0 + 2 - 2 * E**-1.5) - 0.5 * (1 - 1 / E + 1 - E**2), -0.5 * (0 + 1 - E**-3)),
    "fgan hellinger": (0.5 * (0 + E**3 - 1) - 0.5 * (1 - 1 / E + 1 - E**2), -0.5 * (0 + 1 - E**-3)),
    "fgan gan": (2 * CROSS_ENTROPY, 0.5 * (softplus(0) + softplus(-3))),
    "fgan gan, saturating": (2 * CROSS_ENTROPY, -0.5 * (softplus(0) + softplus(3))),
    "fgan total_variation": (
        0.25 * (0 + math.tanh(3)) - 0.25 * (math.tanh(1) - math.tanh(2)),
        -0.25 * (0 + math.tanh(3)),
    ),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_form(name):
    loss, (discriminator_cost, generator_cost) = EVERY[name], CLOSED_FORMS[name]
    real, fake = logits(*REAL), logits(*FAKE)
    # torch's softplus is the identity beyond 20, off by 2e-9; none of these logits is.
    assert loss.discriminator(real, fake).item() == pytest.approx(discriminator_cost, rel=1e-12)
    if generator_cost is not None:
        assert loss.generator(fake, real).item() == pytest.approx(generator_cost, rel=1e-12)


def test_labels_of_least_squares():
    loss, real, fake = LeastSquares(a=-1, b=1, c=0), logits(*REAL), logits(*FAKE)
    assert loss.discriminator(real, fake).item() == pytest.approx(0.25 * (0 + 9) + 0.25 * (1 + 16))
    assert loss.generator(fake).item() == pytest.approx(0.25 * (0 + 9))


def test_minimax_is_zero_sum_to_rounding():
    torch.manual_seed(0)
    real, fake = torch.randn(1000) * 5, torch.randn(1000) * 5
    for smooth in (0.0, 0.2):
        loss = Minimax(smooth)
        assert loss.discriminator(real, fake) + loss.generator(fake, real) == 0


@every_loss
def test_the_generator_ignores_or_needs_the_real_logits_as_paired_says(loss):
    fake = logits(0.5, 2.0)
    if loss.paired:
        with pytest.raises(AssertionError):
            loss.generator(fake)
        return
    (alone,) = torch.autograd.grad(loss.generator(fake), fake)
    (beside,) = torch.autograd.grad(loss.generator(fake, logits(-1.0, 3.0)), fake)
    assert torch.equal(alone, beside)


# Gradients


@every_loss
def test_signs_of_gradients(loss):
    """D raises real logits and lowers fake ones, G raises fake ones.

    lsgan regresses on its labels and smoothing on a real target of 0.9, so there the rule holds up to the targets only:
    logits in [a, b] = [0, 1], real ones with D(x) <= 0.9. Elsewhere it holds everywhere.
    """
    span = torch.linspace(0, 1, 101) if isinstance(loss, LeastSquares) else torch.linspace(-50, 50, 1001)
    smooth = getattr(loss, "smooth", 0.0)
    top = math.log((1 - smooth) / smooth) if smooth else math.inf
    real = span.double().clamp(max=top).requires_grad_()
    fake = span.double().flip(0).requires_grad_()
    by_real, by_fake = torch.autograd.grad(loss.discriminator(real, fake), (real, fake))
    assert by_real.max() <= 1e-12
    assert by_fake.min() >= 0
    assert torch.autograd.grad(loss.generator(fake, real), fake)[0].max() <= 0


@every_loss
def test_gradcheck(loss):
    # No kink among them: hinge's are at +-1, pearson's at -2, those of alpha at -2 (for 1.5) and -1/2 (for 3).
    real, fake = logits(-4.0, -0.7, 0.3, 1.2, 3.5), logits(-3.0, -0.2, 0.1, 0.9, 4.0)
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake), rtol=1e-5)
    assert torch.autograd.gradcheck(lambda fake: loss.generator(fake, real.detach()), (fake,), rtol=1e-5)


@every_loss
def test_gradients_in_float32_are_those_of_float64(loss):
    """Relative 1e-5: alpha above 1 once had none in float32, where float64 had it."""
    span = torch.linspace(-8, 8, 161)
    found, expected = (gradients(loss, span.to(dtype)) for dtype in (torch.float32, torch.float64))
    for single, double in zip(found, expected, strict=True):
        assert double.abs().max() > 0
        torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-7)


def gradients(loss, span: torch.Tensor) -> list[torch.Tensor]:
    """Of J_D in the real and the fake logits, and of J_G in the fake ones, all logits of `span` against 0.3."""
    other = torch.full_like(span, 0.3)
    losses_of = [
        lambda x: loss.discriminator(x, other),
        lambda x: loss.discriminator(other, x),
        lambda x: loss.generator(x, other),
    ]
    at = span.clone().requires_grad_()
    return [torch.autograd.grad(value(at), at)[0] for value in losses_of]


@pytest.mark.parametrize("alpha", [1.05, 1.2, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("saturating", [False, True])
def test_alpha_above_one_has_its_gradient_in_float32(alpha, saturating):
    """d/dv f*(v) = max(0, (alpha - 1) v + 1)^(1 / (alpha - 1)), which is the ratio p/q."""
    fake = logits(-1.5, -0.5, 0.0, 1.0, 2.0, dtype=torch.float32)
    loss = FGAN("alpha", alpha, saturating)
    cost = -loss.generator(fake) if saturating else loss.discriminator(torch.zeros(4), fake)
    (gradient,) = torch.autograd.grad(cost, fake)
    expected = ((alpha - 1) * fake.detach() + 1).relu() ** (1 / (alpha - 1))
    torch.testing.assert_close(len(fake) * gradient, expected, rtol=1e-5, atol=0)


# Where the best D has its zero


@every_loss
def test_zero_separates_if_the_best_logit_has_the_sign_of_the_log_ratio(loss):
    """ADA reads signs: of logits or, where the loss is paired, of their differences.

    Best means argmin of p J_real(v) + q J_fake(v), on either side of p = q; it must not be free to move.
    """
    grid = torch.linspace(-30, 30, 60_001, dtype=torch.float64)[:, None]
    zero = torch.zeros_like(grid)
    by_real, by_fake = vmap(loss.discriminator)(grid, zero), vmap(loss.discriminator)(zero, grid)
    best = [float(grid[(p * by_real + (1 - p) * by_fake).argmin()]) for p in (0.49, 0.51)]
    here, above = (loss.discriminator(zero[0] + 1 + level, zero[0] - 1 + level) for level in (0, 7))
    level_matters = loss.paired or abs(float(above - here)) > 1e-9
    assert loss.zero_separates == (best[0] < 0 < best[1] and level_matters)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (LeastSquares(), False),
        (LeastSquares(-1, 1, 0), True),
        (FGAN("kl"), False),
        (FGAN("jensen_shannon"), True),
        (Minimax(0.1), False),
    ],
)
def test_losses_of_which_zero_separates(loss, expected):
    assert loss.zero_separates == expected


@every_loss
@pytest.mark.parametrize("far", [-45.0, -25.0, 23.0, 45.0])
def test_gradcheck_where_exp_has_left_for_its_tangent(loss, far):
    at, zero = logits(far), torch.zeros(1, dtype=torch.float64)
    for cost in (
        lambda real: loss.discriminator(real, zero),
        lambda fake: loss.discriminator(zero, fake),
        lambda fake: loss.generator(fake, zero),
    ):
        assert torch.autograd.gradcheck(cost, (at,), rtol=1e-5, atol=1e-7)


@every_loss
@pytest.mark.parametrize("real_logit", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("fake_logit", [-1e4, 0.0, 1e4])
def test_finite_at_logits_of_ten_thousand_in_float32(loss, real_logit, fake_logit):
    real, fake = logits(real_logit, dtype=torch.float32), logits(fake_logit, dtype=torch.float32)
    for cost, wanted in [(loss.discriminator(real, fake), (real, fake)), (loss.generator(fake, real), (fake,))]:
        assert cost.isfinite()
        assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(cost, wanted))


def test_generator_gradient_where_the_discriminator_is_sure():
    """The figure of Goodfellow 2016, section 3.2.6: minimax is silent on rejected fakes, nonsat speaks."""
    fake = logits(-1e4, dtype=torch.float32)
    gradients = {
        name: torch.autograd.grad(EVERY[name].generator(fake), fake)[0].item() for name in ("minimax", "nonsat")
    }
    assert gradients == {"minimax": 0.0, "nonsat": -0.5}


def test_exponential_is_exp_then_its_tangent():
    below, beyond = logits(-1e4, -3.0, 0.0, 19.9), logits(20.0, 30.0, 1e4)
    torch.testing.assert_close(losses.exponential(below), below.exp())
    torch.testing.assert_close(losses.exponential(beyond), math.exp(20) * (1 + beyond - 20))
    torch.testing.assert_close(losses.tempered(beyond).exp(), losses.exponential(beyond))
    (slope,) = torch.autograd.grad(losses.exponential(beyond).sum(), beyond)
    torch.testing.assert_close(slope, torch.full_like(slope, math.exp(20)))


def test_log_softplus_where_softplus_underflows():
    x = logits(-1e4, -200.0, -31.0, -29.0, 0.0, 50.0)
    expected = torch.tensor([-1e4, -200.0, -31.0, math.log(softplus(-29)), math.log(LOG2), math.log(50)], dtype=x.dtype)
    torch.testing.assert_close(fgan.log_softplus(x), expected, rtol=1e-8, atol=0)


# Label smoothing


@pytest.mark.parametrize("loss", [Minimax, NonSaturating])
@pytest.mark.parametrize("smooth", [0.0, 0.1, 0.3])
def test_smoothing_moves_the_optimum_to_one_minus_smooth_times_p_over_p_plus_q(loss, smooth):
    """The derivative of p J_real(v) + q J_fake(v) vanishes where D = (1 - smooth) p / (p + q)."""
    p, q = 0.7, 0.4
    game = loss(smooth)

    def derivative(logit: float) -> float:
        real, fake = logits(logit), logits(logit)
        by_real, by_fake = torch.autograd.grad(game.discriminator(real, fake), (real, fake))
        return p * by_real.item() + q * by_fake.item()

    best = 1 / (1 + math.exp(-brentq(derivative, -20, 20, xtol=1e-12)))
    assert best == pytest.approx((1 - smooth) * p / (p + q), abs=1e-9)


@pytest.mark.parametrize("loss", ["minimax", "nonsat"])
@pytest.mark.parametrize(
    ("smooth", "reason"),
    [
        ([0.1, 0.1], "Two-sided smoothing moves the optimal D away"),
        (0.5, "0 <= smooth < 0.5"),
        (-0.1, "0 <= smooth < 0.5"),
        (math.nan, "0 <= smooth < 0.5"),
    ],
)
def test_smoothing_that_makes_no_sense_is_refused_with_the_reason(loss, smooth, reason):
    node = OmegaConf.to_container(OmegaConf.load(CONF / f"{loss}.yaml"))
    with pytest.raises(UserError, match=reason):
        make(check({**node, "smooth": smooth}, "loss"))


# f-divergences: p = N(1/2, 1), q = N(0, 1.1^2)


GENERATORS = {  # f(u) of Nowozin et al. 2016, table 6, and the optimal logit g^-1(f'(u)) at log u
    "kl": (lambda u: u * np.log(u), lambda s: 1 + s),
    "reverse_kl": (lambda u: -np.log(u), lambda s: s),
    "pearson": (lambda u: (u - 1) ** 2, lambda s: 2 * np.expm1(s)),
    "neyman": (lambda u: (u - 1) ** 2 / u, lambda s: 2 * s),
    "hellinger": (lambda u: (np.sqrt(u) - 1) ** 2, lambda s: s / 2),
    "jensen_shannon": (lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2), lambda s: s),
    "gan": (lambda u: u * np.log(u) - (u + 1) * np.log(u + 1), lambda s: s),
    "total_variation": (lambda u: np.abs(u - 1) / 2, lambda s: 1e4 * np.sign(s)),
}


def alpha_generator(alpha):
    def best(s):
        if alpha > 1:
            return np.expm1((alpha - 1) * s) / (alpha - 1)
        return paper_logit(s) - paper_logit(0.0)

    def paper_logit(s):
        softplus_of_minus_v = np.exp((alpha - 1) * s) / (1 - alpha)
        return -(softplus_of_minus_v + np.log(-np.expm1(-softplus_of_minus_v)))

    return lambda u: (u**alpha - 1 - alpha * (u - 1)) / (alpha * (alpha - 1)), best


F_DIVERGENCES = {name: (FGAN(name), *row) for name, row in GENERATORS.items()} | {
    f"alpha {alpha}": (FGAN("alpha", alpha), *alpha_generator(alpha)) for alpha in ALPHAS
}
every_divergence = pytest.mark.parametrize("name", F_DIVERGENCES)

GRID = np.linspace(-12, 12, 24_001)
DATA = np.exp(-0.5 * (GRID - 0.5) ** 2) / math.sqrt(2 * math.pi)
MODEL = np.exp(-0.5 * (GRID / 1.1) ** 2) / math.sqrt(2 * math.pi) / 1.1
LOG_RATIO = -0.5 * (GRID - 0.5) ** 2 + 0.5 * (GRID / 1.1) ** 2 + math.log(1.1)


def bound(loss, critic) -> float:
    """-J_D in expectation over DATA and MODEL, for a critic given on GRID; J_D is a term in each, so it splits."""
    v, zero = torch.tensor(critic)[:, None], torch.zeros(len(GRID), 1, dtype=torch.float64)
    by_real, by_fake = vmap(loss.discriminator)(v, zero), vmap(loss.discriminator)(zero, v)
    both = loss.discriminator(zero[0], zero[0]).item()
    step = GRID[1] - GRID[0]
    return -(DATA @ by_real.numpy() + MODEL @ by_fake.numpy()) * step + both


def divergence(f) -> float:
    """E_q f(p/q) by scipy, in the region where neither density underflows."""

    def integrand(x):
        q = math.exp(-0.5 * (x / 1.1) ** 2) / math.sqrt(2 * math.pi) / 1.1
        return q * f(math.exp(-0.5 * (x - 0.5) ** 2 + 0.5 * (x / 1.1) ** 2) * 1.1)

    crossings = [-1.55, 0.57, 5.0]  # total variation has kinks where p = q; quad wants to know of them
    return quad(integrand, -12, 12, points=crossings, limit=500, epsabs=1e-11)[0]


def test_every_row_of_the_table_is_tested():
    assert set(GENERATORS) == set(DIVERGENCES)


@every_divergence
def test_the_bound_is_the_divergence_at_the_optimal_critic_and_less_beside_it(name):
    loss, f, best = F_DIVERGENCES[name]
    optimal = best(LOG_RATIO)
    assert bound(loss, optimal) == pytest.approx(divergence(f), abs=1e-6)
    for other in (optimal + 0.3, optimal - 0.3, 0.8 * optimal, -0.5 * optimal, np.sin(GRID)):
        assert bound(loss, other) <= divergence(f) + 1e-6


@every_divergence
def test_conjugate_is_the_legendre_transform_of_f_at_the_activation(name):
    """f*(t) = sup over u >= 0 of u t - f(u), by search over log u."""
    loss, f, _ = F_DIVERGENCES[name]
    v = torch.linspace(-4, 3, 15, dtype=torch.float64)
    v = v[v.abs() > 1e-9]
    for t, value in zip(loss.activation(v).tolist(), loss.conjugate(v).tolist(), strict=True):
        found = minimize_scalar(
            lambda s, t=t: f(math.exp(s)) - t * math.exp(s),
            bounds=(-40, 40 if name != "neyman" else 30),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert value == pytest.approx(-found.fun, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "conjugate"),
    [
        ("reverse_kl", lambda t: -1 - (-t).log()),
        ("neyman", lambda t: 2 - 2 * (1 - t).sqrt()),
        ("hellinger", lambda t: t / (1 - t)),
    ],
)
def test_where_the_activation_is_a_tangent_the_conjugate_is_taken_there(name, conjugate):
    """Otherwise J_D would promise a gain without end for v to minus infinity wherever p < q."""
    v = logits(-1e4, -100.0, -45.0, -25.0, -19.0, 5.0)
    activation, composed = DIVERGENCES[name]
    torch.testing.assert_close(composed(v), conjugate(activation(v)), rtol=1e-9, atol=3e-9)


def test_gan_is_twice_the_jensen_shannon_divergence_less_two_log_two():
    mixture = (DATA + MODEL) / 2
    step = GRID[1] - GRID[0]
    jensen_shannon = 0.5 * (DATA @ np.log(DATA / mixture) + MODEL @ np.log(MODEL / mixture)) * step
    assert bound(FGAN("gan"), LOG_RATIO) == pytest.approx(-2 * LOG2 + 2 * jensen_shannon, abs=1e-9)
    assert bound(FGAN("jensen_shannon"), LOG_RATIO) == pytest.approx(2 * jensen_shannon, abs=1e-9)
    assert bound(Minimax(), LOG_RATIO) == pytest.approx(-LOG2 + jensen_shannon, abs=1e-9)


def test_alpha_divergences_meet_their_neighbours():
    """Pearson at 2, Neyman at -1 (each halved), Hellinger at 1/2 (doubled), kl and reverse kl in the limit."""
    assert bound(FGAN("alpha", 2.0), np.expm1(LOG_RATIO)) == pytest.approx(
        divergence(GENERATORS["pearson"][0]) / 2, abs=1e-6
    )
    for alpha, f, factor, within in [
        (-1.0, "neyman", 0.5, 1e-6),
        (0.5, "hellinger", 2.0, 1e-6),
        (0.001, "reverse_kl", 1.0, 1e-3),
        (0.99, "kl", 1.0, 1e-3),
        (1.01, "kl", 1.0, 1e-3),
    ]:
        optimal = alpha_generator(alpha)[1](LOG_RATIO)
        expected = factor * divergence(GENERATORS[f][0])
        assert bound(FGAN("alpha", alpha), optimal) == pytest.approx(expected, abs=within)
    assert vars(FGAN("alpha"))["saturating"] is False
    x = logits(-2.0, 0.0, 3.0)
    assert torch.equal(FGAN("alpha").conjugate(x), alpha_divergence(0.5).conjugate(x))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"divergence": "helinger"}, "Did you mean hellinger"),
        ({"divergence": "kl", "alpha": 0.5}, "alpha goes with divergence=alpha"),
        ({"divergence": "alpha", "alpha": 1}, "divergence=kl"),
        ({"divergence": "alpha", "alpha": 0}, "divergence=reverse_kl"),
        ({"divergence": "alpha", "alpha": math.inf}, "finite"),
    ],
)
def test_a_divergence_that_is_not_there_is_refused_with_the_way_out(options, reason):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "fgan.yaml"))
    with pytest.raises(UserError, match=reason):
        make(check({**node, **options}, "loss"))


# Which divergence the generator descends


QUANTILES = torch.tensor(norm.ppf((np.arange(200_000) + 0.5) / 200_000))


def generator_slope(loss, data_mean: float, data_width: float, offset: float) -> float:
    """d/dmu of J_G at mu = 0: fakes mu + z, z at equally probable quantiles; critic frozen at offset + log p/q."""
    mean = torch.zeros((), dtype=torch.float64, requires_grad=True)
    x = mean + QUANTILES
    log_ratio = 0.5 * x**2 - 0.5 * ((x - data_mean) / data_width) ** 2 - math.log(data_width)
    return torch.autograd.grad(loss.generator(offset + log_ratio), mean)[0].item()


@pytest.mark.parametrize(("data_mean", "data_width"), [(0.5, 1.0), (-0.7, 1.0), (0.5, 0.6)])
def test_maximum_likelihood_descends_kl_from_data_to_model(data_mean, data_width):
    """KL(data, N(mu, 1)) has slope mu - data_mean in mu; J_G has half of it."""
    slope = generator_slope(MaximumLikelihood(), data_mean, data_width, offset=0.0)
    assert slope == pytest.approx(-data_mean / 2, abs=1e-4)


def test_practical_kl_descends_the_reverse_divergence_and_saturating_kl_its_own():
    """KL(N(mu, 1), N(m, s^2)) has slope (mu - m) / s^2, KL(N(m, s^2), N(mu, 1)) mu - m; the best v is 1 + log p/q."""
    assert generator_slope(FGAN("kl"), 0.5, 0.6, offset=1.0) == pytest.approx(-0.5 / 0.36, abs=1e-4)
    assert generator_slope(FGAN("kl", saturating=True), 0.5, 0.6, offset=1.0) == pytest.approx(-0.5, abs=1e-4)

"""The equations of the theory lab, each against a closed form, another library or an independent computation."""

import cmath
import math

import pytest
import torch
from torch import nn
from torch.distributions import Chi2, HalfNormal, Normal

from zerosum.data.mixtures import Mixture1D
from zerosum.gan.fgan import DIVERGENCES, alpha_divergence
from zerosum.gan.losses import cross_entropy
from zerosum.gan.regularizers import R1, GradientPenalty
from zerosum.models.mlp import Discriminator, Generator
from zerosum.theory import dirac_game, divergences, label_smoothing, vanishing_gradients
from zerosum.theory.batch_norm import between_batch_variance
from zerosum.theory.density_ratio import optimal_discriminator, ratio_of_logit
from zerosum.theory.game_value import jensen_shannon, value_of_divergence, value_of_optimal
from zerosum.theory.latent_dimension import box_dimension, count_boxes
from zerosum.theory.maximum_likelihood import ascend, expectation_maximization, mean_log_likelihood
from zerosum.theory.modes import found_modes
from zerosum.theory.quadrature import density_of_fakes, expectation, integral, midpoints

POINTS = midpoints(6.0, 4000)


@pytest.mark.parametrize(
    ("generator", "cumulative"),
    [
        (lambda z: 0.5 * z - 1, Normal(-1.0, 0.5).cdf),
        (lambda z: z.abs(), lambda x: HalfNormal(1.0).cdf(x.clamp(min=1e-300))),
        (lambda z: z.square(), lambda x: Chi2(1.0).cdf(x.clamp(min=1e-300))),
        (
            lambda z: z.clamp(min=0.00025),
            lambda x: Normal(0.0, 1.0).cdf(x) * (x > 0.00025),
        ),  # half is one point
    ],
    ids=["line", "fold", "square", "flat"],
)
def test_the_density_of_fakes_has_the_mass_of_the_closed_form_in_every_cell(generator, cumulative):
    width = POINTS[1] - POINTS[0]
    found = density_of_fakes(generator, POINTS) * width
    expected = cumulative(POINTS + width / 2) - cumulative(POINTS - width / 2)
    assert float((found - expected).abs().max()) < 1e-5


def test_expectations_of_a_standard_normal():
    assert expectation(lambda z: z.square()) == pytest.approx(1, abs=1e-9)
    assert expectation(lambda z: z.exp()) == pytest.approx(math.exp(0.5), abs=1e-7)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.6, 0.0), (0.4, -1.5), (0.1, 5.0)])
def test_the_value_with_the_best_d_is_that_of_the_jensen_shannon_divergence(scale, shift):
    """Theorem 1 of Goodfellow et al. 2014: an integral over z and entropies over x agree to 1e-3."""
    data = Mixture1D().log_prob(POINTS[:, None]).exp()
    fake = density_of_fakes(lambda z: scale * z + shift, POINTS)
    found = value_of_optimal(data, fake, POINTS, lambda z: scale * z + shift)
    assert found == pytest.approx(value_of_divergence(jensen_shannon(data, fake, POINTS)), abs=1e-3)
    assert -2 * math.log(2) - 1e-9 <= found <= 1e-9


def test_the_jensen_shannon_divergence_is_0_of_equal_and_log_2_of_disjoint_densities():
    one, far = (Normal(mean, 0.3).log_prob(POINTS).exp() for mean in (-4.0, 4.0))
    assert jensen_shannon(one, one, POINTS) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(one, far, POINTS) == pytest.approx(math.log(2), abs=1e-6)
    logs = [Normal(mean, 0.5).log_prob(POINTS) for mean in (-1.0, 1.0)]
    other = float(divergences.jensen_shannon_of(*logs, POINTS))  # by two KLs, not by entropies
    assert jensen_shannon(*[each.exp() for each in logs], POINTS) == pytest.approx(other, abs=1e-9)


def test_the_best_d_maximizes_the_value_at_every_point():
    data, fake = torch.tensor([0.3, 1.2]), torch.tensor([0.9, 0.1])
    best = optimal_discriminator(data, fake)
    ticks = torch.linspace(0.001, 0.999, 9981)[:, None]
    values = data * ticks.log() + fake * (1 - ticks).log()
    assert torch.allclose(ticks[values.argmax(0), 0], best, atol=1e-3)


RATIO_OF = {  # f'(u), by hand from the f of Nowozin et al. 2016, table 1
    "kl": lambda u: 1 + u.log(),
    "reverse_kl": lambda u: -1 / u,
    "pearson": lambda u: 2 * (u - 1),
    "neyman": lambda u: 1 - u**-2,
    "hellinger": lambda u: 1 - u**-0.5,
    "jensen_shannon": lambda u: (2 * u / (u + 1)).log(),
    "gan": lambda u: (u / (u + 1)).log(),
    "total_variation": lambda u: (u - 1).sign() / 2,
}


@pytest.mark.parametrize("name", [*DIVERGENCES, "alpha 0.5", "alpha 2"])
def test_the_best_logit_of_every_divergence_says_f_prime_of_the_ratio(name):
    """The maximum of u g(v) - f*(g(v)) over a fine mesh of v, for ratios from 1/10 to 10."""
    alpha = float(name.partition(" ")[2] or "nan")
    row = alpha_divergence(alpha) if name.startswith("alpha") else DIVERGENCES[name]
    slope = RATIO_OF.get(name, lambda u: (u ** (alpha - 1) - 1) / (alpha - 1))
    u = torch.tensor([0.1, 0.5, 2.0, 10.0], dtype=torch.float64)
    v = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    best = v[torch.stack([(each * row.activation(v) - row.conjugate(v)).argmax() for each in u])]
    assert torch.allclose(row.activation(best), slope(u), rtol=1e-3, atol=1e-3)
    if name != "total_variation":
        assert torch.allclose(ratio_of_logit(row, best), u, rtol=2e-3)


@pytest.mark.parametrize("name", vanishing_gradients.COSTS)
def test_slopes_of_costs_are_those_of_the_tutorial(name):
    d = torch.tensor([1e-4, 0.01, 0.5, 0.99, 1 - 1e-4], dtype=torch.float64)
    found = vanishing_gradients.slope(vanishing_gradients.COSTS[name], d.logit()).abs()
    expected = {"minimax": d / 2, "nonsat": (1 - d) / 2, "maximum_likelihood": d / (1 - d) / 2}[name]
    assert torch.allclose(found, expected, rtol=1e-6, atol=0)


def test_the_gradient_in_gs_weights_is_that_of_the_chain_rule():
    torch.manual_seed(0)
    generator, discriminator = Generator((1,), 2, 8, 1).double(), Discriminator((1,), 8, 1).double()
    found = vanishing_gradients.measure(generator, discriminator, torch.randn(50, 2, dtype=torch.float64))
    for name, norm in found.norms.items():
        assert norm == pytest.approx(found.by_chain_rule[name], rel=1e-6)


class TestDiracGAN:
    @pytest.mark.parametrize("name", dirac_game.LOSSES)
    @pytest.mark.parametrize("alternating", [False, True])
    def test_eigenvalues_are_those_of_mescheder_et_al(self, name, alternating):
        """Lemmas 2.3 and 2.4 and theorem 4.1, to 1e-4: h = 0.2, gamma = 0, 0.3 and, of real eigenvalues, 5."""
        a, b = dirac_game.PULLS[name]
        for gamma in (0.0, 0.3, 5.0):
            game = dirac_game.Game(dirac_game.LOSSES[name], [R1(gamma)] if gamma else [], 0.2, alternating)
            matrix = [[-gamma, -a], [b, 0]]  # of the vector field at the solution, by hand
            eye, field = torch.eye(2, dtype=torch.float64), torch.tensor(matrix, dtype=torch.float64)
            first, second = eye.clone(), eye.clone()
            first[0] += 0.2 * field[0]  # D's step
            second[1] += 0.2 * field[1]  # G's step
            known = torch.linalg.eigvals(second @ first if alternating else eye + 0.2 * field)
            found = torch.tensor(dirac_game.eigenvalues(game))
            formula = torch.tensor(dirac_game.known_eigenvalues((a, b), gamma, 0.2, alternating))
            for values in (found, formula):
                assert torch.allclose(sort(values), sort(known), atol=1e-4)

    def test_the_formulas_of_the_paper_at_its_own_numbers(self):
        """f'(0) = 1/2 of the losses without factors: 1 +- h f'(0) i, and lemma 2.4 with alpha = h f'(0)."""
        h, slope = 0.1, 0.5
        found = dirac_game.known_eigenvalues((slope, slope), 0.0, h, False)
        assert found == pytest.approx([1 + h * slope * 1j, 1 - h * slope * 1j])
        centre = 1 - (h * slope) ** 2 / 2
        root = cmath.sqrt(centre**2 - 1)
        assert dirac_game.known_eigenvalues((slope, slope), 0.0, h, True) == pytest.approx(
            [centre + root, centre - root]
        )

    def test_instance_noise_is_a_friction_of_a_quarter_of_its_variance(self):
        noise = dirac_game.normal_quantiles(0.8)
        game = dirac_game.Game(dirac_game.LOSSES["nonsat"], [], 0.1, False, noise)
        found = dirac_game.eigenvalues(game)
        assert found == pytest.approx(dirac_game.known_eigenvalues((0.25, 0.25), 0.16, 0.1, False), abs=1e-4)

    def test_simultaneous_steps_leave_alternating_ones_circle_r1_arrives_and_wgan_gp_cycles(self):
        def radii(terms, alternating):
            game = dirac_game.Game(dirac_game.LOSSES["wasserstein"], terms, 0.3, alternating)
            return dirac_game.trajectory(game, 120).norm(dim=1)

        assert float(radii([], False)[-1]) > 100
        circle = radii([], True)
        assert float(circle.min()) > 1.1 and float(circle.max()) < 1.7
        assert float(radii([R1(0.5)], True)[-1]) < 1e-3
        cycle = radii([GradientPenalty(0.5)], True)[-40:]
        assert float(cycle.min()) > 0.5 and float(cycle.max()) < 2


def sort(values):
    return torch.tensor(sorted(values.tolist(), key=lambda value: (round(value.real, 6), value.imag)))


def test_em_and_gradient_ascent_find_the_same_mixture():
    points = Mixture1D((-1.0, 2.0), 0.6).sample(1500, torch.Generator().manual_seed(0))[0][:, 0].double()
    theirs, ours = expectation_maximization(points), ascend(points)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    difference = mean_log_likelihood(points, ours) - mean_log_likelihood(points, theirs)
    assert abs(float(difference)) < 1e-6


def test_kl_covers_with_the_moments_of_the_data_and_reverse_kl_seeks_one_mode():
    points = midpoints(9.0, 1500)
    log_p = Mixture1D((-2.0, 2.0), 0.4).log_prob(points[:, None])
    covering = divergences.fit_gaussian(divergences.kullback_leibler, log_p, points)
    assert (covering.mean, covering.deviation) == pytest.approx((0, math.sqrt(4 + 0.16)), abs=1e-3)
    seeking = divergences.fit_gaussian(divergences.DIVERGENCES["KL(model, data)"], log_p, points)
    assert (abs(seeking.mean), seeking.deviation) == pytest.approx((2, 0.4), abs=0.01)
    assert seeking.divergence == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.parametrize(("alpha", "beta"), label_smoothing.SMOOTHINGS.values())
def test_the_smoothed_optimum_is_where_the_smoothed_loss_is_least(alpha, beta):
    """Densities 0.7 and 0.2 at one place: the best logit by a fine mesh; then the loss itself, at several logits."""
    loss = label_smoothing.SmoothedCrossEntropy(alpha, beta)
    v = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    best = v[(0.7 * cost_of(v, alpha) + 0.2 * cost_of(-v, beta)).argmin()].sigmoid()
    known = label_smoothing.smoothed_optimum(torch.tensor(0.7), torch.tensor(0.2), alpha, beta)
    assert float(best) == pytest.approx(float(known), abs=1e-3)
    logit = v[::20_000, None]
    expected = [0.5 * float(cost_of(each, alpha) + cost_of(-each, beta)) for each in logit[:, 0]]
    found = [float(loss.discriminator(each, each)) for each in logit]
    assert found == pytest.approx(expected, rel=1e-9)


def cost_of(logit, smoothing):
    """-(1 - s) log sigmoid(v) - s log sigmoid(-v)."""
    log = nn.functional.logsigmoid
    return -(1 - smoothing) * log(logit) - smoothing * log(-logit)


def test_one_sided_smoothing_is_that_of_the_losses():
    real, fake = torch.randn(20), torch.randn(20)
    found = label_smoothing.SmoothedCrossEntropy(0.1, 0.0).discriminator(real, fake)
    assert torch.allclose(found, cross_entropy(real, fake, 0.1))


def test_two_sided_smoothing_flattens_log_d_and_adds_no_maximum():
    points = midpoints(4.5, 2000)
    data, fake = Normal(-1.0, 0.6).log_prob(points).exp(), label_smoothing.FAKES.log_prob(points).exp()
    without, one, two = (
        label_smoothing.smoothed_optimum(data, fake, *label_smoothing.SMOOTHINGS[name])
        for name in ("none", "one-sided", "two-sided")
    )
    slopes = [label_smoothing.slope_of_log(each, points, label_smoothing.STRAY) for each in (without, one, two)]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-3) and abs(slopes[2]) < 1e-3 * abs(slopes[0])
    assert label_smoothing.peaks(two) == label_smoothing.peaks(without) == 1


def test_box_dimensions_of_a_line_a_square_and_a_carpet():
    t = torch.linspace(-1, 0.99999, 200_000)
    counts = [count_boxes(torch.stack([t, 0.37 * t], 1), 1.0, side) for side in (32, 64, 128)]
    assert box_dimension(counts, (32, 64, 128)) == pytest.approx(1, abs=0.03)  # its ends share boxes
    square = 2 * torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0)) - 1
    counts = [count_boxes(square, 1.0, side) for side in (16, 32, 64)]
    assert box_dimension(counts, (16, 32, 64)) == pytest.approx(2, abs=0.01)
    holes = torch.tensor([[i, j] for i in range(3) for j in range(3) if (i, j) != (1, 1)])
    random = torch.Generator().manual_seed(0)
    carpet = sum(holes[torch.randint(8, (200_000,), generator=random)] / 3.0**level for level in range(1, 9))
    counts = [count_boxes(2 * carpet - 1 + 1e-5, 1.0, side) for side in (9, 27, 81)]  # the Sierpinski carpet
    assert box_dimension(counts, (9, 27, 81)) == pytest.approx(math.log(8) / math.log(3), abs=0.02)


def test_the_share_of_the_variance_that_batches_make():
    random = torch.Generator().manual_seed(0)
    of_z, of_batch = torch.randn(200, 1, 1, 4, 4, generator=random), torch.randn(200, 300, 1, 4, 4, generator=random)
    assert between_batch_variance(of_z.expand(-1, 5, -1, -1, -1)) == 0
    assert between_batch_variance(2 * of_z + of_batch) == pytest.approx(0.2, abs=0.02)


def test_a_mode_is_found_by_a_quarter_of_its_due():
    data = Mixture1D((-2.0, 0.0, 2.0), 0.1)
    fakes = torch.tensor([-2.0] * 1600 + [0.0] * 250 + [2.0] * 245 + [1.0] * 905)[:, None]
    assert found_modes(data, fakes) == 2


def test_integrals_by_midpoints():
    assert integral(POINTS.square(), POINTS) == pytest.approx(2 * 6**3 / 3, rel=1e-6)

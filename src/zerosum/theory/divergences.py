"""KL, reverse KL and JSD: one Gaussian fitted to two modes covers both or seeks one; and what GANs do."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from zerosum.data.mixtures import GaussianMixture
from zerosum.drawing.density import to_picture
from zerosum.evaluation.mode_coverage import ModeCoverage
from zerosum.gan.gan import GAN
from zerosum.theory.maximum_likelihood import Fit, ascend, expectation_maximization, mean_log_likelihood
from zerosum.theory.modes import found_modes
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import COLOURS, DATA, panels
from zerosum.theory.quadrature import midpoints
from zerosum.theory.trial import Trial, density_of, fakes_of, play

GAUSSIAN_GANS = {
    "GAN nonsat": "loss=nonsat",
    "GAN minimax": "loss=minimax",
    "GAN maximum_likelihood": "loss=maximum_likelihood",
    "f-GAN kl": "loss=fgan loss.saturating=true loss.divergence=kl",
    "f-GAN reverse_kl": "loss=fgan loss.saturating=true loss.divergence=reverse_kl",
    "f-GAN jensen_shannon": "loss=fgan loss.saturating=true loss.divergence=jensen_shannon",
}
RING = "dataset=ring dataset.sigma=0.1 model=mlp model.width=64 model.depth=2 regularizer=none"
RING += " game.critic_steps=1 run.images=100_000"
SEEDS = (0, 1, 2)
RINGS = {
    f"ring {loss} {seed}": f"{RING} loss={loss} seed={seed}"
    for loss in ("nonsat", "minimax", "maximum_likelihood")
    for seed in SEEDS
}
VARIANTS = {**GAUSSIAN_GANS, **RINGS}


def kullback_leibler(p: Tensor, q: Tensor, points: Tensor) -> Tensor:
    """KL(p, q) = int p log(p / q) in nats, of log-densities (N,) at evenly spaced points; covers where p is."""
    return (p.exp() * (p - q)).sum() * (points[1] - points[0])


def jensen_shannon_of(p: Tensor, q: Tensor, points: Tensor) -> Tensor:
    """JSD(p, q) = KL(p, m) / 2 + KL(q, m) / 2, m = (p + q) / 2, of log-densities (N,)."""
    middle = torch.logaddexp(p, q) - math.log(2)
    return (kullback_leibler(p, middle, points) + kullback_leibler(q, middle, points)) / 2


DIVERGENCES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "KL(data, model)": kullback_leibler,
    "KL(model, data)": lambda p, q, points: kullback_leibler(q, p, points),
    "JSD": jensen_shannon_of,
}


class Gaussian(NamedTuple):
    """N(mean, deviation^2), and the divergence that it was fitted by."""

    mean: float
    deviation: float
    divergence: float = math.nan


def fit_gaussian(divergence: Callable[[Tensor, Tensor, Tensor], Tensor], p: Tensor, points: Tensor) -> Gaussian:
    """The Gaussian of the least divergence from the log-density p (N,), the best of several starts, by L-BFGS."""
    fits = []
    for mean, deviation in ((0.1, 1.0), (1.0, 0.5), (-1.0, 0.5), (0.1, 0.3)):
        theta = torch.tensor([mean, math.log(deviation)], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([theta], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

        def closure(theta: Tensor = theta, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            optimizer.zero_grad()
            value = divergence(p, Normal(theta[0], theta[1].exp()).log_prob(points), points)
            value.backward()
            return value

        optimizer.step(closure)  # type: ignore[arg-type]
        fits.append(
            Gaussian(
                float(theta[0].detach()),
                float(theta[1].detach().exp()),
                float(divergence(p, Normal(theta[0], theta[1].exp()).log_prob(points), points).detach()),
            )
        )
    return min(fits, key=lambda fit: fit.divergence)


def gaussian_of(trial: Trial) -> Gaussian:
    """What G of one layer makes after training: N(b, a^2)."""
    play(trial, 1, lambda gan: None)
    layer = trial.module.generator.layer
    return Gaussian(float(layer.bias[0].detach()), float(layer.weight.detach().norm()))


def examine(trials: Mapping[str, Trial]) -> Page:
    """Fits by quadrature, a mixture by maximum likelihood, GANs of one Gaussian, and GANs on the ring."""
    data = density_of(trials["GAN nonsat"])
    assert isinstance(data, GaussianMixture)
    points = midpoints(data.reach + 6, 4000)
    log_p = data.log_prob(points[:, None])
    fits = {name: fit_gaussian(divergence, log_p, points) for name, divergence in DIVERGENCES.items()}
    gans = {name: gaussian_of(trials[name]) for name in GAUSSIAN_GANS}
    rows = [*rows_of_fits(fits, data), *rows_of_likelihood(data), *rows_of_gans(gans), *rows_of_rings(trials)]
    return Page(TITLE, EQUATION, LOOK, rows, [picture_of_fits(fits, gans, points, log_p.exp())])


def rows_of_fits(fits: Mapping[str, Gaussian], data: GaussianMixture) -> list[Row]:
    """KL by the moments of the data, reverse KL by one mode."""
    covering, seeking, middle = fits.values()
    spread = math.sqrt(data.sigma**2 + float(data.means.square().mean()))
    mode = float(data.means.abs().max())
    return [
        Row(
            "KL(data, model): standard deviation of the best Gaussian; analytic: that of the data",
            covering.deviation,
            spread,
        ),
        Row("KL(data, model): its mean; analytic: that of the data", covering.mean, float(data.means.mean())),
        Row("KL(model, data): abs(mean) of the best Gaussian; analytic: of one mode", abs(seeking.mean), mode),
        Row("KL(model, data): its standard deviation; analytic: of one mode", seeking.deviation, data.sigma),
        Row("KL(model, data): its value; analytic: log 2 if modes do not overlap", seeking.divergence, math.log(2)),
        Row("JSD: standard deviation of the best Gaussian", middle.deviation),
        Row("JSD: its abs(mean)", abs(middle.mean)),
    ]


def rows_of_likelihood(data: GaussianMixture) -> list[Row]:
    """Weights, means and variances of two Gaussians, by EM and by gradient ascent."""
    points = data.sample(4000, torch.Generator().manual_seed(0))[0][:, 0].double()
    theirs, ours = expectation_maximization(points), ascend(points)
    apart = max(float((one - other).abs().max()) for one, other in zip(ours, theirs, strict=True))
    return [
        Row(
            "maximum likelihood: mean log-likelihood by gradient ascent; analytic: EM of scikit-learn",
            *likelihoods(points, ours, theirs),
        ),
        Row("greatest difference of their weights, means and variances", apart, 0.0),
    ]


def likelihoods(points: Tensor, *fits: Fit) -> tuple[float, ...]:
    """Mean log-likelihood of each fit."""
    return tuple(float(mean_log_likelihood(points, fit)) for fit in fits)


def rows_of_gans(gans: Mapping[str, Gaussian]) -> list[Row]:
    """Where each GAN of one Gaussian ended."""
    rows = []
    for name, fit in gans.items():
        rows.append(Row(f"{name} of one Gaussian: standard deviation at the end", fit.deviation))
        rows.append(Row(f"{name} of one Gaussian: abs(mean)", abs(fit.mean)))
    return rows


def count_modes(data: GaussianMixture, gan: GAN) -> tuple[int, float]:
    """Modes that G makes now, and the share of its samples near one."""
    fakes = fakes_of(gan.generator, 2000)
    return found_modes(data, fakes), ModeCoverage()(data, fakes)["high_quality"]


def rows_of_rings(trials: Mapping[str, Trial]) -> list[Row]:
    """Modes of the ring that GANs without a regularizer hold, mean of the last quarter of training and of the seeds."""
    held: dict[str, list[tuple[float, float]]] = {}
    for name in RINGS:
        data = density_of(trials[name])
        assert isinstance(data, GaussianMixture)
        late = play(trials[name], 20, partial(count_modes, data))[-5:]
        held.setdefault(name.split()[1], []).append((fmean(one for one, _ in late), fmean(near for _, near in late)))
    rows = []
    for loss, found in held.items():
        modes, shares = zip(*found, strict=True)
        rows += [
            Row(f"ring, {loss}: modes of 8, {len(modes)} seeds ({min(modes):g} to {max(modes):g})", fmean(modes)),
            Row(f"ring, {loss}: share of samples within 3 sigma of a mode", fmean(shares)),
        ]
    return rows


LINES = {
    "KL(data, model)": (1, "-"),
    "KL(model, data)": (2, "--"),
    "JSD": (3, "-."),
    "f-GAN kl": (1, "-"),
    "f-GAN reverse_kl": (2, "--"),
    "f-GAN jensen_shannon": (3, "-."),
    "GAN nonsat": (4, ":"),
    "GAN minimax": (5, "-"),
    "GAN maximum_likelihood": (6, "--"),
}
"""Index of the colour and the style: a divergence looks the same at the left and in its f-GAN"""


def picture_of_fits(
    fits: Mapping[str, Gaussian], gans: Mapping[str, Gaussian], points: Tensor, data: Tensor
) -> Picture:
    """The fits by quadrature at the left, what GANs found at the right."""
    figure, axes = panels(1, 2, 4.8, 3.4)
    for each, found, title in zip(
        axes, (fits, gans), ("Least divergence, by quadrature", "One Gaussian by a GAN"), strict=True
    ):
        each.fill_between(points, data, color=DATA, alpha=0.2, linewidth=0, label="$p_\\mathrm{data}$")
        for name, fit in found.items():
            density = Normal(fit.mean, fit.deviation).log_prob(points).exp()
            colour, style = LINES[name]
            each.plot(points, density, color=COLOURS[colour], linestyle=style, linewidth=1.6, label=name)
        each.set(xlim=(-5, 5), ylim=(0, 1.25), xlabel="x", ylabel="density", title=title)
        each.legend(fontsize=7, ncols=2, loc="upper center")
    caption = "One Gaussian against two modes: covering, seeking, and in between."
    return Picture("divergences", caption, [to_picture(figure)])


TITLE = "Covering against seeking"
EQUATION = r"""
$$\mathrm{KL}(p, q) = \int p \log \frac{p}{q} \qquad \mathrm{JSD}(p, q) =
\tfrac12 \mathrm{KL}\!\left(p, \tfrac{p + q}{2}\right) + \tfrac12 \mathrm{KL}\!\left(q, \tfrac{p + q}{2}\right)$$

The Gaussian of the least $\mathrm{KL}(p_\mathrm{data}, q)$ has the mean and the variance of the data. $\mathrm{KL}(q,
p_\mathrm{data})$ is infinite if $q$ puts mass where there are no data, so its least is at one mode; of two that do
not overlap it is log 2.
"""
LOOK = """
Left: maximum likelihood, KL(data, model), covers both modes and the gap, and so does JSD at this distance of the
modes; the reverse KL seeks one mode. Right: the same Gaussian as G of a GAN. These games have not come to rest at the
end of their budget, and D is never quite optimal, so where they are then is not where the divergence of the same name
is least; the f-GAN of the reverse KL does seek. A mixture of two Gaussians fits the data; EM and gradient ascent find
the same one.

Is it the divergence, then, that makes GANs collapse? Goodfellow (2016, section 3.2.5) says no: a GAN with the
maximum-likelihood cost collapses as others do. The last rows are GANs without a regularizer on the ring of eight
modes: maximum likelihood holds no more of them than the others. Read them with the share of samples near a mode: a G
that makes few such samples has not learned the modes, which this count does not tell from their collapse.
"""

"""Label smoothing: what D learns if real targets are 1 - alpha and fake targets beta."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal
from torch.nn.functional import softplus

from zerosum.drawing.density import to_picture
from zerosum.theory.density_ratio import fit_discriminator, fresh
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import DISCRIMINATOR, FAKE, TRUTH, draw_line_density, panels
from zerosum.theory.quadrature import midpoints, on_line
from zerosum.theory.trial import Trial, density_of

VARIANTS = {"game": ""}
STRAY = 2.5
"""Where G makes samples that resemble no data"""
FAKES = MixtureSameFamily(Categorical(torch.tensor([0.7, 0.3])), Normal(torch.tensor([-1.0, STRAY]), 0.5))
"""p_G of a G that is frozen: most samples are good, three in ten are stray"""
SMOOTHINGS = {"none": (0.0, 0.0), "one-sided": (0.1, 0.0), "of fakes alone": (0.0, 0.1), "two-sided": (0.1, 0.1)}


class SmoothedCrossEntropy:
    """J_D with real targets 1 - alpha and fake targets beta; a loss of this framework allows alpha alone."""

    paired: ClassVar[bool] = False
    zero_separates: ClassVar[bool] = False

    def __init__(self, alpha: float, beta: float) -> None:
        self.alpha, self.beta = alpha, beta

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-1/2 E[(1 - alpha) log D + alpha log(1 - D)] - 1/2 E[beta log D(G(z)) + (1 - beta) log(1 - D(G(z)))]."""
        return 0.5 * (softplus(-real) + self.alpha * real).mean() + 0.5 * (softplus(fake) - self.beta * fake).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """-1/2 E log D(G(z))."""
        return 0.5 * softplus(-fake).mean()


def smoothed_optimum(data: Tensor, fake: Tensor, alpha: float, beta: float) -> Tensor:
    """D* = ((1 - alpha) p_data + beta p_G) / (p_data + p_G) (Goodfellow 2016), of densities (N,)."""
    return ((1 - alpha) * data + beta * fake) / (data + fake)


def slope_of_log(values: Tensor, points: Tensor, place: float) -> float:
    """d log D / dx at a place, which pulls a sample of the non-saturating G along; by central differences."""
    (gradient,) = torch.gradient(values.log(), spacing=(points,))
    return float(gradient[(points - place).abs().argmin()])


def peaks(values: Tensor) -> int:
    """How many points are higher than both neighbours."""
    return int(((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])).sum())


def examine(trials: Mapping[str, Trial]) -> Page:
    """One D for each smoothing, against the same frozen samples."""
    trial = trials["game"]
    data = density_of(trial)
    points = midpoints(4.5, 3000)
    p_data, p_fake = data.log_prob(points[:, None]).exp(), FAKES.log_prob(points).exp()
    real, _ = data.sample(200_000, torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        fake = FAKES.sample((200_000,))[:, None]
    batch = 2 * trial.data.batch_size
    steps = 4 * trial.run.images // batch
    found, best = {}, {}
    for name, (alpha, beta) in SMOOTHINGS.items():
        loss = SmoothedCrossEntropy(alpha, beta)
        discriminator = fresh(trial.module.discriminator)
        found[name] = on_line(fit_discriminator(discriminator, loss, real, fake, steps, batch, 2e-3))(points).sigmoid()
        best[name] = smoothed_optimum(p_data, p_fake, alpha, beta)
    rows = rows_of(found, best, points, (p_data + p_fake) / 2)
    return Page(TITLE, EQUATION, LOOK, rows, [picture_of_optima(found, best, points, p_data, p_fake)])


def rows_of(found: Mapping[str, Tensor], best: Mapping[str, Tensor], points: Tensor, mixture: Tensor) -> list[Row]:
    """Errors of each D; D, its slope and its peaks at the stray samples."""
    weight = mixture / mixture.sum()
    stray = int((points - STRAY).abs().argmin())
    rows = []
    for name in SMOOTHINGS:
        error = float((weight * (found[name] - best[name]).abs()).sum())
        rows.append(Row(f"smoothing {name}: mean of abs(D - D*)", error, 0.0))
    for name in SMOOTHINGS:
        rows.append(
            Row(f"smoothing {name}: D at the stray samples", float(found[name][stray]), float(best[name][stray]))
        )
    for name in SMOOTHINGS:
        measured, known = (slope_of_log(values[name], points, STRAY) for values in (found, best))
        rows.append(Row(f"smoothing {name}: d log D/dx at x = {STRAY}, where the stray samples are", measured, known))
    return [
        *rows,
        Row(
            "two-sided: maxima of D* besides those without smoothing",
            peaks(best["two-sided"]) - peaks(best["none"]),
            0.0,
        ),
    ]


def picture_of_optima(
    found: Mapping[str, Tensor], best: Mapping[str, Tensor], points: Tensor, data: Tensor, fake: Tensor
) -> Picture:
    """Densities, D with its optimum, and log D, which G climbs."""
    figure, axes = panels(3, 2, 4.6, 2.2)
    for column, name in enumerate(("one-sided", "two-sided")):
        above, middle, below = axes[column::2]
        alpha, beta = SMOOTHINGS[name]
        draw_line_density(above, points, data, fake)
        above.plot(points, (1 - alpha) * data + beta * fake, color=TRUTH, linestyle=":", label=r"taught as real")
        above.set(ylim=(0, 0.8), ylabel="density", title=f"{name}: alpha = {alpha:g}, beta = {beta:g}")
        middle.plot(points, found[name], color=DISCRIMINATOR, linewidth=2.2, label="D, trained")
        middle.plot(points, best[name], color=TRUTH, linestyle="--", linewidth=1, label="D*, exact")
        middle.plot(points, best["none"], color=FAKE, linewidth=0.8, label="D* without smoothing")
        middle.set(ylim=(-0.03, 1.03), ylabel="D(x)")
        below.plot(points, best[name].log(), color=TRUTH, linewidth=1.5, label="log D*, which G climbs")
        below.axvline(STRAY, color=FAKE, linestyle=":", label="stray samples of G")
        below.set(ylim=(-12, 0.5), ylabel="log D*(x)", xlabel="x")
        for each in (above, middle, below):
            each.legend(fontsize=7)
    caption = "One-sided smoothing scales D; two-sided lifts it where only G has samples."
    return Picture("label_smoothing", caption, [to_picture(figure)])


TITLE = "Label smoothing is one-sided"
EQUATION = r"""
With real targets $1 - \alpha$ and fake targets $\beta$ the optimal D is

$$D^*(x) = \frac{(1 - \alpha)\, p_\mathrm{data}(x) + \beta\, p_G(x)}{p_\mathrm{data}(x) + p_G(x)}$$

(Goodfellow 2016, on one-sided label smoothing). `loss.smooth` of this framework is $\alpha$; there is no $\beta$. This
page trains a D for each smoothing against samples of a fixed $p_G$, so `loss.smooth` of its preset is for `train.py`.
"""
LOOK = """
Here three in ten samples of G are stray. Left: alpha only multiplies D by 1 - alpha, so the slope of log D, by which
a non-saturating G moves its samples, is what it was. Right: beta adds p_G to what D is taught to call real, the false
peak of the dotted line at the stray samples. D cannot fall below beta there: the slope of log D* at x = 2.5 is less
than 1e-5, and the stray samples have no reason to move. The trained D has no real points there, D* being 1e-7 without
smoothing, so its own slope is off by up to a sixth without beta, and by up to 0.02 with it.

The tutorial says that D itself has a peak near the stray samples. For the optimal D that is not so: D* is beta + (1 -
alpha - beta) p_data / (p_data + p_G), which rises and falls where the one without smoothing does. The last row counts
its maxima.
"""

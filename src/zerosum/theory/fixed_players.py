"""Fixed G, fixed D: the best D against a frozen G is a density ratio, the best G against a frozen D is one point."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from zerosum.data.points import KnownDensity
from zerosum.drawing.density import to_picture
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.regularizers import Critic
from zerosum.theory.density_ratio import fit_discriminator, fresh, optimal_discriminator
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import FAKE, TRUTH, draw_heat, draw_plane, panels
from zerosum.theory.trial import Trial, density_of, fakes_of, latents

VARIANTS = {"game": ""}
BROAD = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
"""The frozen G that D is trained against: N(0, I) in the plane"""
MOMENTS = 24


class Moment(NamedTuple):
    """G after so many steps against the frozen D."""

    steps: int
    fakes: Tensor
    """(1024, 2)"""


def peak(values: Callable[[Tensor], Tensor], reach: float) -> tuple[Tensor, float]:
    """The argmax (2,) on [-reach, reach]^2 of values (N,) of points (N, 2), by a fine mesh, and the maximum."""
    ticks = torch.linspace(-reach, reach, 801)
    mesh = torch.cartesian_prod(ticks, ticks)
    with torch.no_grad():
        heights = values(mesh)
    return mesh[heights.argmax()], float(heights.max())


def train_generator(
    generator: nn.Module, discriminator: Critic, loss: AdversarialLoss, steps: int, batch: int, lr: float = 1e-3
) -> list[Moment]:
    """G alone descends its cost against a D that does not answer."""
    optimizer = torch.optim.Adam(generator.parameters(), lr=lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = torch.Generator().manual_seed(0)
    moments = {round(steps * (index / MOMENTS) ** 2) for index in range(1, MOMENTS + 1)}  # most happens early
    seen = [Moment(0, fakes_of(generator, 1024))]
    for step in range(1, steps + 1):
        fake = generator(latents(generator, batch, random))
        optimizer.zero_grad()
        loss.generator(discriminator(fake).logits).backward()
        optimizer.step()
        schedule.step()
        if step in moments:
            seen.append(Moment(step, fakes_of(generator, 1024)))
    return seen


def examine(trials: Mapping[str, Trial]) -> Page:
    """Train D against a frozen G, freeze D, and train G against it."""
    trial = trials["game"]
    data, gan = density_of(trial), trial.module
    batch, images = trial.data.batch_size, trial.run.images
    real, _ = data.sample(200_000, torch.Generator().manual_seed(0))
    fake = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))
    discriminator = fit_discriminator(fresh(gan.discriminator), gan.loss, real, fake, 4 * images // batch, batch, 2e-3)
    discriminator.requires_grad_(False)
    found = peak(lambda points: discriminator(points).logits.sigmoid(), data.reach)
    truth = peak(lambda points: optimum(data, points), data.reach)
    best = found[0]
    seen = train_generator(gan.generator, discriminator, gan.loss, images // batch, batch)
    rows = rows_of(seen, discriminator, best, real[:20_000], fake[:20_000], data)
    rows += [Row(f"x_{axis + 1} of argmax D", float(best[axis]), float(truth[0][axis])) for axis in (0, 1)]
    rows.append(Row("max D", found[1], truth[1]))
    return Page(TITLE, EQUATION, LOOK, rows, pictures_of(seen, discriminator, best, trial))


def optimum(data: KnownDensity, points: Tensor) -> Tensor:
    """D* (N,) against the frozen G, at points (N, 2)."""
    return optimal_discriminator(data.log_prob(points).exp(), BROAD.log_prob(points).exp())


def rows_of(
    seen: list[Moment], discriminator: nn.Module, best: Tensor, real: Tensor, fake: Tensor, data: KnownDensity
) -> list[Row]:
    """How near G has come to one point, and to which; how near D had come to D*."""
    last = seen[-1].fakes
    with torch.no_grad():
        gap = discriminator(best[None]).logits[0].sigmoid() - discriminator(last).logits.sigmoid()
        both = torch.cat([real, fake])
        error = (discriminator(both).logits.sigmoid() - optimum(data, both)).abs().mean()
    distance = (last - best).norm(dim=1)
    return [
        Row("mean distance of G's samples from argmax D at the end", float(distance.mean()), 0.0),
        Row("the same before G was trained", float((seen[0].fakes - best).norm(dim=1).mean())),
        Row("standard deviation of G's samples at the end (root of the trace)", float(last.var(0).sum().sqrt()), 0.0),
        Row("share of G's samples within 0.1 of argmax D", float((distance < 0.1).float().mean()), 1.0),
        Row("max D minus mean D(G(z)) at the end", float(gap.mean()), 0.0),
        Row("fixed G: mean of abs(D - D*), which the frozen D was trained to", float(error), 0.0),
    ]


def draw(moment: Moment, discriminator: nn.Module, best: Tensor, trial: Trial) -> Image.Image:
    """D as a heat map, the data as contours, G's samples on top and argmax D in a ring."""
    figure, (axes,) = panels(1, 1, 5.2, 4.4)
    reach = 2.6
    heat = draw_heat(axes, lambda points: discriminator(points).logits.sigmoid(), reach)
    figure.colorbar(heat, ax=axes, label="D(x), frozen")
    draw_plane(axes, density_of(trial), moment.fakes, reach, "white")
    ring: dict[str, Any] = {"color": TRUTH, "markersize": 16, "markeredgewidth": 2, "fillstyle": "none"}
    axes.plot(*best, "o", **ring, label="around argmax D", zorder=4)
    axes.plot([], [], ".", color=FAKE, label="samples of G")
    axes.legend(loc="upper right", fontsize=8)
    axes.set(title=f"G after {moment.steps:,} steps against a D that does not answer", xlabel="$x_1$", ylabel="$x_2$")
    axes.title.set_fontsize(10)
    return to_picture(figure)


def pictures_of(seen: list[Moment], discriminator: nn.Module, best: Tensor, trial: Trial) -> list[Picture]:
    """The end, and a film of the way."""
    frames = [draw(moment, discriminator, best, trial) for moment in seen]
    return [
        Picture("fixed_players", "G's samples where it ends, on D's heat map and the data's contours.", frames[-1:]),
        Picture("fixed_players_film", "The way there: all samples climb D until they are one point.", frames),
    ]


TITLE = "Fixed D, fixed G"
EQUATION = r"""
$$\max_D V(G, D) \text{ at a fixed } G: \; D^*(x) = \frac{p_\mathrm{data}(x)}{p_\mathrm{data}(x) + p_G(x)} \qquad
\min_G V(G, D) \text{ at a fixed } D: \; G^*(z) = \arg\max_x D(x) \text{ for every } z$$

The best answer of G to a D that does not move is a delta: the same point for every z (Goodfellow 2016, section
5.1.1).
"""
LOOK = """
D was trained against samples of N(0, I), so it is a good judge of this plane. Then it was frozen, and G was trained
against it until nothing moved. All of G's samples run uphill and end at one point: the ring is around D's greatest
value on a fine mesh, which is near that of D*, though not at it: D was trained on samples, and the peak is flat.
Nothing in the cost of G asks for variety; in a game only D's answers do. What happens if D
answers too late is [mode collapse](mode_collapse.md).
"""

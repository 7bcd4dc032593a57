"""The value of the game: V(G, D) while training, V(G, D*), and what the Jensen-Shannon divergence says it is."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import logsigmoid

from zerosum.drawing.density import to_picture
from zerosum.gan.gan import GAN
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import DATA, DISCRIMINATOR, FAKE, TRUTH, draw_line_density, panels
from zerosum.theory.quadrature import FARTHEST_Z, density_of_fakes, expectation, integral, midpoints, on_line
from zerosum.theory.trial import Trial, density_of, play

VARIANTS = {"game": ""}
MOMENTS = 60
"""How often the game is stopped to be measured"""
LOG4 = 2 * math.log(2)


class Moment(NamedTuple):
    """The game after so many images: densities (N,) at points (N,) and the three values."""

    images: int
    points: Tensor
    data: Tensor
    fake: Tensor
    value: float
    """V(G, D)"""
    optimal: float
    """V(G, D*)"""
    divergence: float
    """JSD(p_data, p_G) in nats"""


def value(log_real: Tensor, log_fake: Callable[[Tensor], Tensor], data: Tensor, points: Tensor) -> float:
    """V(G, D) = E log D(x) + E log(1 - D(G(z))) (Goodfellow et al. 2014, equation 1), both by quadrature.

    `log_real` is log D at the points (N,), `log_fake` maps z (M,) to log(1 - D(G(z))).
    """
    return integral(data * log_real, points) + expectation(log_fake)


def jensen_shannon(data: Tensor, fake: Tensor, points: Tensor) -> float:
    """JSD = H((p + q) / 2) - H(p) / 2 - H(q) / 2 (Lin 1991, equation 4.1), in nats."""
    entropies = [-integral(torch.xlogy(each, each), points) for each in ((data + fake) / 2, data, fake)]
    return entropies[0] - (entropies[1] + entropies[2]) / 2


def value_of_optimal(data: Tensor, fake: Tensor, points: Tensor, generator: Callable[[Tensor], Tensor]) -> float:
    """V(G, D*), D* = p_data / (p_data + p_G): the term in G by quadrature over z, where no density of G is needed."""

    def log_fake(z: Tensor) -> Tensor:
        samples = generator(z)
        place = ((samples - points[0]) / (points[1] - points[0])).round().long().clamp(0, len(points) - 1)  # its cell
        real, model = data[place], fake[place]
        return torch.log(model / (real + model)).nan_to_num(0.0, neginf=0.0)

    log_real = torch.log(data / (data + fake)).nan_to_num(0.0, neginf=0.0)
    return value(log_real, log_fake, data, points)


def value_of_divergence(divergence: float) -> float:
    """V(G, D*) = -2 log 2 + 2 JSD(p_data, p_G) (Goodfellow et al. 2014, theorem 1)."""
    return -LOG4 + 2 * divergence


def measure(trial: Trial, gan: GAN, count: int = 16_000) -> Moment:
    """The three values now, of the G and D of the last step."""
    data = density_of(trial)
    generator, discriminator = on_line(gan.generator), on_line(gan.discriminator)
    farthest = float(generator(midpoints(FARTHEST_Z, 2000)).abs().max())
    points = midpoints(1.01 * max(data.reach, farthest), count)  # mass of p_G beyond them would be lost
    real = data.log_prob(points[:, None]).exp()
    fake = density_of_fakes(generator, points)
    now = value(logsigmoid(discriminator(points)), lambda z: logsigmoid(-discriminator(generator(z))), real, points)
    best = value_of_optimal(real, fake, points, generator)
    return Moment(gan.images_seen, points, real, fake, now, best, jensen_shannon(real, fake, points))


def examine(trials: Mapping[str, Trial]) -> Page:
    """Play, and stop to measure."""
    trial = trials["game"]
    seen = play(trial, MOMENTS, lambda gan: measure(trial, gan))
    return Page(TITLE, EQUATION, LOOK, rows_of(seen), pictures_of(seen))


def rows_of(seen: list[Moment]) -> list[Row]:
    """The values at the end, and how far the two sides of theorem 1 are apart."""
    last = seen[-1]
    apart = max(abs(moment.optimal - value_of_divergence(moment.divergence)) for moment in seen)
    above = max(moment.value - moment.optimal for moment in seen)
    return [
        Row("greatest abs(V(G, D*) - (-2 log 2 + 2 JSD)) of all moments", apart, 0.0),
        Row("V(G, D*) at the end; analytic: of a perfect G, -2 log 2", last.optimal, -LOG4),
        Row("half of it, as J_D has it with its factor 1/2; -log 2", last.optimal / 2, -math.log(2)),
        Row("V(G, D) at the end, with the D of the last step", last.value, -LOG4),
        Row("JSD(p_data, p_G) at the start; it is at most log 2 = 0.693", seen[0].divergence),
        Row("JSD(p_data, p_G) at the end; analytic: of a perfect G", last.divergence, 0.0),
        Row("greatest V(G, D) - V(G, D*) of all moments; it is at most 0", above),
    ]


def pictures_of(seen: list[Moment]) -> list[Picture]:
    """The three values over training, and a film of the densities."""
    figure, (axes,) = panels(1, 1, 8, 4)
    draw_values(axes, seen)
    frames = [to_picture(draw_moment(seen, index)) for index in range(0, len(seen), 3)]
    caption = "The value of the game over training, three ways."
    return [
        Picture("game_value", caption, [to_picture(figure)]),
        Picture("game_value_film", "The densities, and the value below them, over training.", frames),
    ]


def draw_values(axes: Axes, seen: list[Moment]) -> None:
    """V(G, D), V(G, D*) and the divergence's value on one axis."""
    images = [moment.images / 1000 for moment in seen]
    axes.plot(images, [moment.value for moment in seen], color=DISCRIMINATOR, label="V(G, D), D as trained")
    axes.plot(images, [moment.optimal for moment in seen], color=DATA, linewidth=4, alpha=0.5, label="V(G, D*)")
    line = [value_of_divergence(moment.divergence) for moment in seen]
    axes.plot(images, line, color=TRUTH, linestyle="--", linewidth=1, label="-2 log 2 + 2 JSD")
    axes.axhline(-LOG4, color=FAKE, linewidth=1, linestyle=":", label="-2 log 2, the solution")
    axes.set(xlabel="thousands of real images seen", ylabel="value in nats", ylim=(-1.7, 0.05))
    axes.legend()


def draw_moment(seen: list[Moment], index: int) -> Figure:
    """The densities of one moment over the value until then."""
    figure, (above, below) = panels(2, 1, 5.5, 2.1)
    moment = seen[index]
    draw_line_density(above, moment.points, moment.data, moment.fake)
    above.set(ylim=(0, 1.2), xlim=(-4, 4), ylabel="density", title=f"after {moment.images:,} images")
    above.legend(loc="upper right")
    draw_values(below, seen[: index + 1])
    below.set(xlim=(0, seen[-1].images / 1000))
    return figure


TITLE = "The value of the game"
EQUATION = r"""
$$V(G, D) = E_{x \sim p_\mathrm{data}} \log D(x) + E_z \log(1 - D(G(z)))$$

is greatest at $D^*$, where it is $V(G, D^*) = -2 \log 2 + 2\,\mathrm{JSD}(p_\mathrm{data}, p_G)$ (Goodfellow et al.
2014, theorem 1). A perfect G makes it $-2 \log 2 = -1.386$. The losses of this framework keep the factor 1/2 of
Goodfellow's tutorial: $J_D = -V / 2$, so a perfect G makes $-J_D$ equal to $-\log 2 = -0.693$.
"""
LOOK = """
The blue band and the dashed line are two computations from the same density of G on the line: an integral over z of
log(1 - D*(G(z))), and entropies. They agree at every moment. The green line is the D that really plays. It may
not rise above them, and where it falls below, D is not optimal and G descends something else than the divergence. It
ends a little above or below -2 log 2: V(G, D) near its solution does not mean that G is perfect, as a D that says 1/2
everywhere has that value against any G.
"""

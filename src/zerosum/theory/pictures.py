"""What the pictures of the theory lab have in common: sizes, colours, and the plane with its density."""

from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.data.points import KnownDensity

DATA, FAKE, DISCRIMINATOR, TRUTH = "#0072b2", "#d55e00", "#009e73", "#000000"
"""One colour for one thing on every page: p_data, p_G and samples, what D says, what the equations say"""
COLOURS = (DATA, FAKE, DISCRIMINATOR, "#cc79a7", TRUTH, "#56b4e9", "#e69f00")
"""Of several things of one kind: the palette of report/, which stands on a higher floor"""
HEAT = "cividis"
"""Made for colour-blind readers (Nunez et al. 2018)"""


def panels(rows: int, columns: int, width: float = 4.0, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels, row by row; sizes in inches."""
    figure = Figure(figsize=(columns * width, rows * height), dpi=100, layout="constrained")
    axes = [figure.add_subplot(rows, columns, index + 1) for index in range(rows * columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_line_density(axes: Axes, points: Tensor, data: Tensor, fake: Tensor) -> None:
    """p_data and p_G on a line."""
    axes.fill_between(points, data, color=DATA, alpha=0.25, linewidth=0, label=r"$p_\mathrm{data}$")
    axes.plot(points, data, color=DATA, linewidth=1)
    axes.plot(points, fake, color=FAKE, linewidth=1.2, label="$p_G$")


def draw_plane(
    axes: Axes,
    data: KnownDensity,
    samples: Tensor | None = None,
    reach: float | None = None,
    colour: str = DATA,
    shade: bool = False,
) -> None:
    """Contours of the true density, or circles around its modes, and samples (N, 2) on top; equal axes.

    With `shade` the inside of the lowest contour is lightly filled.
    """
    reach = reach or data.reach
    if isinstance(data, GaussianMixture) and data.sigma < reach / 30:
        axes.plot(*data.means.T, "o", color=colour, markersize=11, fillstyle="none", zorder=2)
    else:
        ticks = torch.linspace(-reach, reach, 160)
        density = data.log_prob(torch.cartesian_prod(ticks, ticks)).exp().view(160, 160).T
        levels = [share * float(density.max()) for share in (0.1, 0.4, 0.8)]
        axes.contour(ticks, ticks, density, levels=levels, colors=colour, linewidths=0.8, zorder=2)
        if shade:
            axes.contourf(ticks, ticks, density, levels=[levels[0], torch.inf], colors=colour, alpha=0.15, zorder=1)
    if samples is not None:
        axes.plot(*samples.T, ".", color=FAKE, markersize=2.5, alpha=0.6, zorder=3)
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))


def draw_heat(axes: Axes, values: Callable[[Tensor], Tensor], reach: float) -> ContourSet:
    """A heat map of values in [0, 1] (N,) of points (N, 2) on [-reach, reach]^2, in twenty steps; for a colour bar."""
    ticks = torch.linspace(-reach, reach, 160)
    with torch.no_grad():
        heights = values(torch.cartesian_prod(ticks, ticks)).view(160, 160).T
    return axes.contourf(ticks, ticks, heights, levels=torch.linspace(0, 1, 21).tolist(), cmap=HEAT, zorder=0)

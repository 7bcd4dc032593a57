"""Draws points on the line or in the plane over their true density."""

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

MARGIN = 1.25
"""Half the width of the picture over the distance of the outermost mode."""


@lru_cache(maxsize=2)
def density_on_mesh(means: tuple[tuple[float, float], ...], sigma: float, reach: float) -> np.ndarray:
    """sqrt(p / max p) on a 400 x 400 mesh of [-reach, reach]^2, each mode at least a few pixels wide."""
    width = max(sigma, reach / 60)
    ticks = torch.linspace(-reach, reach, 400)
    mesh = torch.cartesian_prod(ticks, ticks)
    squared = torch.cdist(mesh, torch.tensor(means)).square()
    heights = (-0.5 * squared / width**2).exp().sum(1)
    return (heights / heights.max()).sqrt().view(400, 400).T.numpy()


def draw_over_density(means: Tensor, sigma: float, samples: Tensor) -> Image.Image:
    """640 x 640 pixels: true modes in blue, at least a few pixels wide; samples (N, 2) as orange dots."""
    reach = MARGIN * float(means.abs().max() + 3 * sigma)
    return draw_dots(density_on_mesh(tuple(map(tuple, means.tolist())), sigma, reach), reach, samples, "true modes")


def draw_over_log_prob(log_prob: Callable[[Tensor], Tensor], reach: float, samples: Tensor) -> Image.Image:
    """640 x 640 pixels: the true density on [-reach, reach]^2 in blue, samples (N, 2) as orange dots."""
    ticks = torch.linspace(-reach, reach, 200)
    heights = log_prob(torch.cartesian_prod(ticks, ticks)).exp()
    return draw_dots((heights / heights.max()).sqrt().view(200, 200).T.numpy(), reach, samples, "true density")


def draw_dots(heights: np.ndarray, reach: float, samples: Tensor, label: str) -> Image.Image:
    """Samples (N, 2) as orange dots over heights (rows are x2, from below) of at most 1 in blue."""
    figure = Figure(figsize=(6.4, 6.4), dpi=100, layout="constrained")
    axes = figure.add_subplot(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
    axes.imshow(heights, extent=(-reach, reach, -reach, reach), origin="lower", cmap="Blues", vmax=1.6)
    points = samples.cpu().numpy()
    axes.plot(points[:, 0], points[:, 1], ".", color="#d55e00", markersize=3, alpha=0.6, label="samples")
    axes.plot([], [], "s", color="#6aaed6", label=label)
    axes.legend(loc="upper right")
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    return to_picture(figure)


def draw_on_line(log_prob: Callable[[Tensor], Tensor], reach: float, samples: Tensor) -> Image.Image:
    """640 x 400 pixels: the true density on [-reach, reach] as a blue line, samples (N, 1) as an orange histogram."""
    figure = Figure(figsize=(6.4, 4.0), dpi=100, layout="constrained")
    axes = figure.add_subplot(xlim=(-reach, reach))
    ticks = torch.linspace(-reach, reach, 801)
    weights = torch.full((len(samples),), 1 / (len(samples) * float(ticks[10] - ticks[0])))
    axes.hist(
        samples[:, 0].tolist(), ticks[::10].tolist(), weights=weights, color="#d55e00", alpha=0.6, label="samples"
    )
    density = log_prob(ticks[:, None]).exp()
    axes.plot(ticks, density, color="#0072b2", linewidth=2, label="true density")
    # Of samples that are all alike the histogram is far higher.
    axes.set(xlabel="$x$", ylabel="density", ylim=(0, 2.5 * float(density.max())))
    axes.legend(loc="upper right")
    return to_picture(figure)


def to_picture(figure: Figure) -> Image.Image:
    """A figure as RGB pixels."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return Image.open(buffer).convert("RGB")

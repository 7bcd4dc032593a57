"""Draws points in the plane over their true density."""

import io
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
    figure = Figure(figsize=(6.4, 6.4), dpi=100, layout="constrained")
    axes = figure.add_subplot(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
    heights = density_on_mesh(tuple(map(tuple, means.tolist())), sigma, reach)
    axes.imshow(heights, extent=(-reach, reach, -reach, reach), origin="lower", cmap="Blues", vmax=1.6)
    points = samples.cpu().numpy()
    axes.plot(points[:, 0], points[:, 1], ".", color="#d55e00", markersize=3, alpha=0.6, label="samples")
    axes.plot([], [], "s", color="#6aaed6", label="true modes")
    axes.legend(loc="upper right")
    axes.set(xlabel="$x_1$", ylabel="$x_2$")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return Image.open(buffer).convert("RGB")

"""Sampled futures of time series: the past as a line, the quantiles of the futures as a fan."""

import math
from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from zerosum.drawing.density import to_picture

FAN = "#d55e00"
BANDS = ((0.05, 0.95), (0.25, 0.75))
SHOWN = 5
"""Futures drawn as lines over a fan"""


def draw_fans(pasts: Sequence[Tensor | None], futures: Sequence[Tensor]) -> Image.Image:
    """A panel for each past (T,) with its futures (K, T'), four in a row."""
    columns = min(4, len(pasts))
    rows = math.ceil(len(pasts) / columns)
    figure = Figure(figsize=(max(6.4, 3 * columns), max(2.2 * rows, 3)), dpi=100, layout="constrained")
    for index, (past, sampled) in enumerate(zip(pasts, futures, strict=True)):
        axes = figure.add_subplot(rows, columns, index + 1)
        draw_fan(axes, sampled)
        if past is not None:
            axes.plot(range(1 - len(past), 1), past, color="black", linewidth=1.2)
        axes.set(ylim=(-3.2, 3.2))
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("steps from now; bands hold 50% and 90% of the sampled futures", fontsize=9)
    return to_picture(figure)


def draw_fan(axes: Axes, futures: Tensor, colour: str = FAN) -> None:
    """Bands of 90% and 50%, the median, and a few futures of (K, T)."""
    steps = range(1, futures.shape[1] + 1)
    for low, high in BANDS:
        bottom, top = torch.quantile(futures, torch.tensor([low, high]).to(futures), 0)
        axes.fill_between(steps, bottom, top, color=colour, alpha=0.25, linewidth=0)
    axes.plot(steps, futures.median(0).values, color=colour, linewidth=1.5)
    for future in futures[:SHOWN]:
        axes.plot(steps, future, color=colour, linewidth=0.5, alpha=0.8)

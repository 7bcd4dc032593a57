"""The comparison as a picture: a value against images seen and against minutes."""

import math
import textwrap
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from zerosum.report.curves import Curve
from zerosum.files import save_whole

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
"""Okabe and Ito's for colour-blind eyes, the yellow left out: it is lost on white."""
LINES = ("-", "--", "-.", (0, (1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
WIDTH = 11.0
"""Of the figure, in inches."""
SPAN = 30
"""Positive values that reach over this factor are drawn on a logarithmic axis."""


def draw(path: Path, curves: list[Curve], value: str, floor: float | None, protocol: str) -> None:
    """A PNG file, whole or not at all."""
    figure = picture(curves, value, floor, protocol)
    save_whole(path, lambda partial: FigureCanvasAgg(figure).print_png(str(partial)))


def picture(curves: list[Curve], value: str, floor: float | None, protocol: str) -> Figure:
    """Title and protocol, two panels side by side, the legend below them; heights are counted in inches."""
    small = textwrap.wrap(f"{sentence(curves)} {protocol}", 165)
    columns = legend_columns(curves)
    rows = math.ceil((len(curves) + (floor is not None)) / columns)
    panels = 4.2 if shaded(curves) else 5.6
    above, below = 0.5 + 0.17 * len(small), 0.7 + 0.19 * rows
    height = above + panels + below
    figure = Figure(figsize=(WIDTH, height), dpi=120)
    left, right = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(0.075, below / height, 0.985, 1 - above / height, wspace=0.05)
    figure.text(0.075, 1 - 0.12 / height, f"{value} over training", fontsize=14, weight="bold", va="top")
    figure.text(0.075, 1 - 0.4 / height, plain("\n".join(small)), fontsize=8, color="#555555", va="top")
    panel(left, curves, "images", floor)
    panel(right, curves, "minutes", floor)
    left.set(xlabel="real images shown to the discriminator", ylabel=value)
    left.xaxis.set_major_formatter(EngFormatter())
    right.set(xlabel="minutes of training")
    scale(left, curves, floor)
    figure.legend(handles=keys(left, curves), loc="lower center", ncols=columns, fontsize=9, frameon=False)
    return figure


def shaded(curves: list[Curve]) -> bool:
    """Whether bands are drawn: over more lines than there are colours they hide each other."""
    return len(curves) <= len(COLOURS) and any(curve.seeds > 1 for curve in curves)


def sentence(curves: list[Curve]) -> str:
    """What lines and bands are."""
    if all(curve.seeds == 1 for curve in curves):
        return "One run each."
    if not shaded(curves):
        return "Lines: mean over seeds; the table has their lowest and highest."
    return "Lines: mean over seeds; bands: from the lowest to the highest."


def legend_columns(curves: list[Curve]) -> int:
    """As many as the longest name leaves room for."""
    longest = max(len(curve.name) for curve in curves)
    return max(1, min(4, int(WIDTH / (0.75 + 0.068 * longest))))


def panel(axes: Axes, curves: list[Curve], against: str, floor: float | None) -> None:
    """A line with a band for each curve; colours, dashes and markers have no period in common."""
    for curve, colour, line, marker in zip(curves, cycle(COLOURS), cycle(LINES), cycle(MARKERS), strict=False):
        across = getattr(curve, against)
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": line,
            "marker": marker,
            "markevery": max(1, len(across) // 12),
        }
        axes.plot(across, curve.mean, label=plain(curve.name), linewidth=1.6, markersize=4.5, **style)
        if shaded(curves):
            axes.fill_between(across, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    if floor is not None:
        axes.axhline(
            floor,
            color="#777777",
            linestyle=(0, (6, 4)),
            linewidth=1,
            label="floor: real data in the generator's place",
        )
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def keys(axes: Axes, curves: list[Curve]) -> list[Artist]:
    """The legend's lines from the top one to the lowest, as they end in the panels; the floor last."""
    order = sorted(range(len(curves)), key=lambda number: -curves[number].mean[-1])
    return [*(axes.lines[number] for number in order), *axes.lines[len(curves) :]]


def scale(axes: Axes, curves: list[Curve], floor: float | None) -> None:
    """Logarithmic where values are positive and far apart, its numbers written out."""
    lowest = min([float(curve.low.min()) for curve in curves] + ([] if floor is None else [floor]))
    highest = max(float(curve.high.max()) for curve in curves)
    if lowest <= 0 or highest / lowest <= SPAN:
        return
    axes.set_yscale("log")
    steps = (1, 2, 5) if highest / lowest < 1e4 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")

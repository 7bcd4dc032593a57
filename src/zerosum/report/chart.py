"""Draw the comparison: a value against images seen and against minutes of training."""

import math
import textwrap
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from zerosum.errors import printable
from zerosum.files import save_whole
from zerosum.report.curves import Curve
from zerosum.report.palette import COLOURS, LOG_RATIO

LINE_STYLES = ("-", "--", "-.", (0, (1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
WIDTH = 11.0
"""Width of the figure, in inches"""
LONGEST_LINE = 165
"""Characters that fit into the width"""
FAR = 10
"""Times the shortest line's images"""
FLOOR_LABEL = "floor: real data instead of samples"


def save_chart(path: Path, curves: list[Curve], value: str, floor: float | None, explanation: str) -> None:
    """Write the chart as a PNG file."""
    figure = make_figure(curves, value, floor, explanation)
    save_whole(path, lambda partial: FigureCanvasAgg(figure).print_png(str(partial)))


def make_figure(curves: list[Curve], value: str, floor: float | None, explanation: str) -> Figure:
    """Title and explanation, two panels side by side, the legend below them; heights are in inches."""
    subtitle = textwrap.wrap(f"{explain_lines(curves)} {explanation}", LONGEST_LINE, max_lines=8, placeholder=" …")
    columns = legend_columns(curves)
    rows = math.ceil((len(curves) + (floor is not None)) / columns)
    panels = 4.2 if has_bands(curves) else 5.6
    above, below = 0.5 + 0.17 * len(subtitle), 0.7 + 0.19 * rows
    height = above + panels + below
    figure = Figure(figsize=(WIDTH, height), dpi=120)
    left, right = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(0.075, below / height, 0.985, 1 - above / height, wspace=0.05)
    figure.text(
        0.075, 1 - 0.12 / height, f"{value.partition(' (')[0]} over training", fontsize=14, weight="bold", va="top"
    )
    figure.text(0.075, 1 - 0.4 / height, "\n".join(map(escape, subtitle)), fontsize=8, color="#555555", va="top")
    draw_panel(left, curves, "images", floor)
    draw_panel(right, curves, "minutes", floor)
    left.set(xlabel="real images seen in training", ylabel=value)
    set_images(left, curves)
    right.set(xlabel=curves[0].time)
    set_scale(left, curves, floor)
    figure.legend(handles=legend_handles(left, curves), loc="lower center", ncols=columns, fontsize=9, frameon=False)
    return figure


def has_bands(curves: list[Curve]) -> bool:
    """Whether the range over seeds is shaded; with more lines than colours, bands would hide each other."""
    return len(curves) <= len(COLOURS) and any(curve.seeds > 1 for curve in curves)


def explain_lines(curves: list[Curve]) -> str:
    """What lines and bands mean."""
    if all(curve.seeds == 1 for curve in curves):
        return "One run each."
    if not has_bands(curves):
        return "Lines: mean over seeds; the table has their lowest and highest."
    return "Lines: mean over seeds; bands: from the lowest to the highest."


def legend_columns(curves: list[Curve]) -> int:
    """Columns of the legend that the longest name leaves room for."""
    longest = max(len(curve.name) for curve in curves)
    return max(1, min(4, int(WIDTH / (0.75 + 0.068 * longest))))


def draw_panel(axes: Axes, curves: list[Curve], x: str, floor: float | None) -> None:
    """A line with a band for each curve; colours, dashes and markers cycle with periods 7, 4 and 9."""
    for curve, colour, line, marker in zip(curves, cycle(COLOURS), cycle(LINE_STYLES), cycle(MARKERS), strict=False):
        positions = getattr(curve, x)
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": line,
            "marker": marker,
            "markevery": max(1, len(positions) // 12),
        }
        axes.plot(positions, curve.mean, label=escape(curve.name), linewidth=1.6, markersize=4.5, **style)
        if has_bands(curves):
            axes.fill_between(positions, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    if floor is not None:
        axes.axhline(floor, color="#777777", linestyle=(0, (6, 4)), linewidth=1, label=FLOOR_LABEL)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def legend_handles(axes: Axes, curves: list[Curve]) -> list[Artist]:
    """Lines ordered as they end in the panels, the highest first, then the floor."""
    order = sorted(range(len(curves)), key=lambda index: -curves[index].mean[-1])
    return [*(axes.lines[index] for index in order), *axes.lines[len(curves) :]]


def set_images(axes: Axes, curves: list[Curve]) -> None:
    """Round numbers of images; on a logarithmic axis, with 0 at its left, if some lines are far shorter than others."""
    ends = [float(curve.images[-1]) for curve in curves]
    shortest, longest = min(ends), max(ends)
    if shortest > 0 and longest / shortest > FAR:
        decade = 10 ** math.floor(math.log10(shortest))
        axes.set_xscale("symlog", linthresh=decade, linscale=0.3)
        decades = range(math.ceil(math.log10(longest / decade)) + 1)
        axes.set_xticks([0, *(step * decade * 10**power for power in decades for step in (1, 2, 5))])
        axes.set_xlim(-0.2 * decade, 1.2 * longest)  # after the ticks, which widen it
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(EngFormatter())


def set_scale(axes: Axes, curves: list[Curve], floor: float | None) -> None:
    """A logarithmic axis with plain numbers if all values are positive and far apart."""
    lowest = min([float(curve.low.min()) for curve in curves] + ([] if floor is None else [floor]))
    highest = max(float(curve.high.max()) for curve in curves)
    if lowest <= 0 or highest / lowest <= LOG_RATIO:
        return
    axes.set_yscale("log")
    steps = (1, 2, 5) if highest / lowest < 1e4 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def escape(text: str) -> str:
    """A line of at most LONGEST_LINE printable characters, in which matplotlib reads no formulas."""
    line = printable(text)
    return (line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…").replace("$", r"\$")

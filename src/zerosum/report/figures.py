"""Charts for Plotly as plain JSON, each with its text alternative and its numbers as a table."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from zerosum.report.html import Markup, details, element, table, write_json
from zerosum.report.palette import COLOURS, DASHES, LOG_RATIO
from zerosum.report.table import format_number

MOST_ROWS = 24
"""Of the table below a chart; others are left out evenly"""
LONGEST_LEGEND = 60
"""Characters"""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A curve of a chart: finite numbers of equal length; `band` is its lowest and highest values."""

    name: str
    x: list[float]
    y: list[float]
    band: tuple[list[float], list[float]] | None = None
    markers: bool = False
    faint: bool = False
    """Drawn thin behind the line before it, in its colour, and left out of legend, text and table"""


@dataclass(frozen=True)
class Level:
    """A horizontal line, such as a floor."""

    name: str
    height: float


def chart(
    title: str,
    x: str,
    y: str,
    lines: Sequence[Line],
    levels: Sequence[Level] = (),
    note: str | None = None,
    positive: bool = False,
) -> Markup | None:
    """A chart of lines against `x`; None if there are no points. `positive` allows a logarithmic axis."""
    lines = [line for line in lines if line.y]
    if not lines:
        return None
    logarithmic = positive and spans_decades(lines, levels)
    yaxis = {"title": {"text": y}, **({"type": "log", "dtick": 1} if logarithmic else {})}
    ticks = {"tickformat": "~s"} if x.endswith("seen") else {}
    figure = {
        "data": [*draw_lines(lines), *draw_levels(levels, lines)],
        "layout": {"xaxis": {"title": {"text": x}, **ticks}, "yaxis": yaxis},
    }
    named = [line for line in lines if not line.faint]
    text = describe(title, x, named, levels)
    return wrap(title, figure, text, tabulate(title, x, named), note)


def wrap(title: str, figure: dict[str, Any], text: str, numbers: Markup | None, note: str | None = None) -> Markup:
    """The figure as page.js draws it: title, place of the chart with its text alternative, numbers below."""
    return element(
        "figure",
        element("figcaption", element("strong", title), f" {note}" if note else None),
        element("div", class_="plot", role="img", aria_label=text),
        element("script", write_json(figure), type="application/json"),
        None if numbers is None else details("Numbers of this chart", element("p", text), numbers),
        class_="chart",
    )


def draw_lines(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Plotly's traces; colours and dashes cycle with periods 7 and 4."""
    styles = zip(cycle(COLOURS), cycle(DASHES), strict=False)
    traces: list[dict[str, Any]] = []
    colour, dash = COLOURS[0], DASHES[0]
    for line in lines:
        if not line.faint:
            colour, dash = next(styles)
        name = shorten(line.name)
        if line.band is not None:
            traces.append(draw_band(line, colour, name))
        style = {"color": colour, "width": 1, "dash": "solid"} if line.faint else {"color": colour, "width": 2.4}
        trace = {
            "type": "scatter",
            "mode": "lines+markers" if line.markers else "lines",
            "name": name,
            "legendgroup": name,
            "x": line.x,
            "y": line.y,
            "line": style if line.faint else {**style, "dash": dash},
        }
        traces.append({**trace, "opacity": 0.3, "showlegend": False, "hoverinfo": "skip"} if line.faint else trace)
    return traces


def draw_band(line: Line, colour: str, name: str) -> dict[str, Any]:
    """The area from the lowest to the highest value."""
    assert line.band is not None
    low, high = line.band
    fill = {"fill": "toself", "fillcolor": colour, "opacity": 0.18, "line": {"width": 0}, "hoverinfo": "skip"}
    area = {"x": [*line.x, *reversed(line.x)], "y": [*high, *reversed(low)], "mode": "lines"}
    return {"type": "scatter", "name": name, "legendgroup": name, "showlegend": False, **area, **fill}


def draw_levels(levels: Sequence[Level], lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Gray lines across the chart, one after the other more finely dashed."""
    ends = [min(min(line.x) for line in lines), max(max(line.x) for line in lines)]
    dashes = cycle(("8px,5px", "3px,3px", "10px,4px,2px,4px"))
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": shorten(level.name),
            "x": ends,
            "y": [level.height] * 2,
            "line": {"color": "#808080", "width": 1.6, "dash": dash},
        }
        for level, dash in zip(levels, dashes, strict=False)
    ]


def spans_decades(lines: Iterable[Line], levels: Iterable[Level]) -> bool:
    """Whether all values are positive and the largest is many times the smallest."""
    values = [value for line in lines for value in line.y] + [level.height for level in levels]
    return min(values) > 0 and max(values) / min(values) > LOG_RATIO


def describe(title: str, x: str, lines: Sequence[Line], levels: Sequence[Level]) -> str:
    """The chart in words: where each line starts and ends, its lowest and its highest point."""
    parts = [f"{title}, against {x}."]
    for line in lines[:12]:
        low, high = min(zip(line.y, line.x, strict=True)), max(zip(line.y, line.x, strict=True))
        parts.append(
            f"{line.name}: {say(line.y[0], line.x[0])} first, {say(line.y[-1], line.x[-1])} last,"
            f" lowest {say(*low)}, highest {say(*high)}."
        )
    if len(lines) > 12:
        parts.append(f"{len(lines) - 12} more lines are in the chart.")
    parts += [f"{level.name}: {format_number(level.height)}." for level in levels]
    return " ".join(parts)


def say(value: float, position: float) -> str:
    """'3.2 at 1,000'."""
    return f"{format_number(value)} at {format_number(position)}"


def tabulate(title: str, x: str, lines: Sequence[Line]) -> Markup:
    """The lines' numbers: a row for each position, at most MOST_ROWS."""
    positions = thin(sorted({position for line in lines for position in line.x}), MOST_ROWS)
    columns = [dict(zip(line.x, line.y, strict=True)) for line in lines]
    rows = [
        [
            format_number(position),
            *(format_number(column[position]) if position in column else "" for column in columns),
        ]
        for position in positions
    ]
    return table(f"{title}: numbers", [x, *(line.name for line in lines)], rows, numbers=1 + len(lines))


def thin(items: list[Any], most: int) -> list[Any]:
    """At most `most` of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def smooth(line: Line, window: int) -> Line:
    """The moving mean over `window` points on either side, of fewer at the ends."""
    sums = [0.0]
    for value in line.y:
        sums.append(sums[-1] + value)
    ends = [(max(0, row - window), min(len(line.y), row + window + 1)) for row in range(len(line.y))]
    return Line(line.name, line.x, [(sums[stop] - sums[start]) / (stop - start) for start, stop in ends])


def pool(line: Line, most: int) -> Line:
    """At most `most` points, each the mean of neighbours."""
    if len(line.y) <= most:
        return line
    size = math.ceil(len(line.y) / most)
    parts = [slice(start, start + size) for start in range(0, len(line.y), size)]
    x, y = ([sum(values[part]) / len(values[part]) for part in parts] for values in (line.x, line.y))
    return Line(line.name, x, y)


def shorten(name: str) -> str:
    """A name that fits into a legend, without what Plotly would read as tags."""
    name = name if len(name) <= LONGEST_LEGEND else f"{name[: LONGEST_LEGEND - 1]}…"
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""A parallel-coordinates chart: how numeric options of a sweep go with its value."""

import math
from typing import Any

from zerosum.report.figures import wrap
from zerosum.report.html import Markup, table
from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.table import finite_values, format_number

MOST_AXES = 8
COLOURS = [[0.0, "#0072b2"], [0.5, "#cc79a7"], [1.0, "#e69f00"]]
"""From the lowest to the highest value"""


def draw_parallel(runs: list[MeasuredRun], value: str) -> Markup | None:
    """An axis for each numeric option that differs, and one for the best value; None with fewer than two options."""
    runs = [run for run in runs if finite_values([run.record.best.values.get(value)])]
    options = numeric_options(runs)
    if len(options) < 2:
        return None
    values = [run.record.best.values[value] for run in runs]
    columns = {**options, value: values}
    figure = {
        "data": [draw_line(columns, row, values, runs[row].folder.name) for row in range(len(runs))],
        "layout": layout(columns),
    }
    title = f"Options and the best {value}"
    note = "A line is a run; its colour goes from blue, the lowest value, to orange, the highest."
    rows = [
        [run.folder.name, *(format_number(column[row]) for column in columns.values())] for row, run in enumerate(runs)
    ]
    numbers = table(f"{title}: numbers", ["run", *columns], rows, numbers=len(columns))
    text = f"{title}: parallel coordinates of {', '.join(options)} over {len(runs)} runs."
    return wrap(title, figure, text, numbers, note)


def numeric_options(runs: list[MeasuredRun]) -> dict[str, list[float]]:
    """{option: value of each run} of numbers that differ, those typed first; copies of another are left out."""
    typed = dict.fromkeys(key for run in runs for key in run.typed_keys)
    every = dict.fromkeys([*typed, *(key for run in runs for key in run.setting)])
    found: dict[str, list[float]] = {}
    for key in every:
        column = [run.setting.get(key) for run in runs]
        if not all(is_number(value) for value in column) or len(set(column)) < 2:
            continue
        numbers = [float(value) for value in column]  # type: ignore[arg-type]
        if numbers not in found.values() and len(found) < MOST_AXES:
            found[key] = numbers
    return found


def is_number(value: Any) -> bool:
    """Whether it is a finite number and no switch."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_logarithmic(column: list[float]) -> bool:
    """Whether an axis goes by factors: positive numbers, the largest at least 20 times the smallest."""
    return min(column) > 0 and max(column) / min(column) >= 20


def place(column: list[float], row: int) -> float:
    """Where a run meets an axis, from 0 at the foot to 1."""
    change = math.log if is_logarithmic(column) else float
    low, high = change(min(column)), change(max(column))
    return 0.5 if high == low else (change(column[row]) - low) / (high - low)


def draw_line(columns: dict[str, list[float]], row: int, values: list[float], name: str) -> dict[str, Any]:
    """One run from axis to axis."""
    texts = [f"{key}={format_number(column[row])}" for key, column in columns.items()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(len(columns))),
        "y": [place(column, row) for column in columns.values()],
        "text": [escape(f"{name}: {', '.join(texts)}")] * len(columns),
        "hoverinfo": "text",
        "showlegend": False,
        "opacity": 0.75,
        "line": {"color": blend(place(values, row)), "width": 2},
    }


def layout(columns: dict[str, list[float]]) -> dict[str, Any]:
    """An upright line with its ends' numbers for each column."""
    axes = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": "#808080", "width": 1}}
        for x in range(len(columns))
    ]
    ends = [
        {"x": x, "y": y, "text": format_number(end(column)), "showarrow": False, "yanchor": anchor}
        for x, column in enumerate(columns.values())
        for y, end, anchor in ((-0.02, min, "top"), (1.02, max, "bottom"))
    ]
    names = [".<br>".join(map(escape, key.split("."))) for key in columns]
    return {
        "shapes": axes,
        "annotations": ends,
        "hovermode": "closest",
        "xaxis": {"tickvals": list(range(len(columns))), "ticktext": names, "showgrid": False, "zeroline": False},
        "yaxis": {"visible": False, "range": [-0.14, 1.14]},
    }


def blend(share: float) -> str:
    """The colour between those of COLOURS."""
    (at, first), (end, last) = (COLOURS[0], COLOURS[1]) if share <= 0.5 else (COLOURS[1], COLOURS[2])
    part = (share - float(at)) / (float(end) - float(at))  # type: ignore[arg-type]
    mixed = [
        round((1 - part) * int(str(first)[i : i + 2], 16) + part * int(str(last)[i : i + 2], 16)) for i in (1, 3, 5)
    ]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def escape(text: str) -> str:
    """Text in which Plotly reads no tags."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Reads what a run has written, damaged files as if they were missing: its report is made while it goes on."""

import json
import math
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, one_line
from zerosum.evaluation.measurement import Record, read_record
from zerosum.report.figures import Line
from zerosum.report.measured_runs import BROKEN, LARGEST_NUMBER, check_command, check_numbers
from zerosum.runs.folder import lies_in, read_config
from zerosum.training.rows import LARGEST_CSV, parse_rows

LARGEST_JSON = 2**24
"""Bytes of logit_histograms.json and of report/facts.json"""
LARGEST_LOG = 2**16
"""Bytes at the end of console.log that are read"""
MOST_BINS = 400
NARROWEST_BIN = 1 / LARGEST_NUMBER
"""Of a histogram: a share per unit of logit in a narrower bin overflows the chart's axes"""
MOST_HISTOGRAMS = 100
"""Drawn of a run; others are left out evenly"""


@dataclass(frozen=True)
class Histogram:
    """D's logits at one evaluation: `edges` of n + 1 numbers, and n counts of each side."""

    images: int
    edges: list[float]
    counts: dict[str, list[float]]


@dataclass(frozen=True)
class RunFiles:
    """A run folder's content; `problems` says what could not be read."""

    folder: Path
    config: dict[str, Any]
    record: Record | None
    curves: dict[str, Line]
    histograms: list[Histogram]
    facts: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """Images seen so far."""
        ends = [int(line.x[-1]) for line in self.curves.values()]
        return max([0 if self.record is None else self.record.last.images, *ends])

    @property
    def plural(self) -> str:
        """What samples are called."""
        return self.facts.get("plural", "images")

    @property
    def budget(self) -> int | None:
        """Images that the run was asked for; None if its config gives no such number."""
        images = self.config["run"]["images"]
        return int(images) if abs(images) < LARGEST_NUMBER else None


def read_run_files(folder: Path) -> RunFiles:
    """Read a run; UserError if its config, without which nothing can be said of it, is missing or damaged."""
    config = read_config(folder)
    try:
        str(config["run"]["name"]), config["run"]["images"] + 0
        check_command(config.get("command"))
    except BROKEN as error:
        raise UserError(f"{folder / 'config.yaml'} is damaged ({one_line(error)}): choose another run") from error
    problems: list[str] = []
    if not abs(config["run"]["images"]) < LARGEST_NUMBER:  # NaN is not less either
        problems.append("config.yaml does not say how many images were asked for: its run.images is no such number.")

    def attempt(name: str, read: Any, missing: Any) -> Any:
        path = folder / name
        if not path.exists():
            return missing
        try:
            if not lies_in(path, folder):
                raise ValueError("it is a link to elsewhere")
            return read(path)
        except BROKEN as error:
            problems.append(f"{name} cannot be read ({one_line(error)}) and is left out.")
            return missing

    record = attempt("metrics.json", read_checked_record, None)
    curves, damaged = attempt("metrics.csv", read_curves, ({}, 0))
    if damaged:
        problems.append(f"metrics.csv is damaged: {damaged:,} of its lines cannot be read and are left out.")
    return RunFiles(
        folder,
        config,
        record,
        curves,
        attempt("logit_histograms.json", read_histograms, []),
        attempt("report/facts.json", read_facts, {}),
        problems,
    )


def read_checked_record(path: Path) -> Record:
    """The content of metrics.json; an error in BROKEN if it is damaged."""
    record = read_record(path)
    check_numbers(record)
    return record


def read_text(path: Path, largest: int) -> str:
    """The text of a file; ValueError if it is larger."""
    if not path.is_file() or path.stat().st_size > largest:
        raise ValueError(f"it is not a file of at most {largest:,} bytes")
    return path.read_text(encoding="utf-8", errors="replace")


def read_curves(path: Path) -> tuple[dict[str, Line], int]:
    """{column: curve} of a metrics.csv, as far as its numbers are finite, and how many of its lines are damaged."""
    columns, rows, damaged = parse_rows(read_text(path, LARGEST_CSV))
    curves = {}
    for name in columns[1:]:
        points = [(float(row["images"]), float(row[name])) for row in rows if row[name]]
        points = [point for point in points if abs(point[1]) < LARGEST_NUMBER]
        if points:
            curves[name] = Line(name, [x for x, _ in points], [y for _, y in points])
    return curves, damaged


def read_histograms(path: Path) -> list[Histogram]:
    """The histograms of logits; ValueError, LookupError or TypeError if they are damaged."""
    nodes = json.loads(read_text(path, LARGEST_JSON))
    if not isinstance(nodes, list):
        raise TypeError("it is not a list of histograms")
    return [read_histogram(node) for node in nodes]


def read_histogram(node: Any) -> Histogram:
    """One evaluation's."""
    edges = check_floats(node["edges"])
    sides = {name: node[name] for name in ("real", "held_out", "fake") if node.get(name) is not None}
    counts = {name: check_floats(values) for name, values in sides.items()}
    if not 2 <= len(edges) <= MOST_BINS + 1 or any(len(values) != len(edges) - 1 for values in counts.values()):
        raise ValueError(f"a histogram has n + 1 edges and n counts, n at most {MOST_BINS}")
    if any(high - low < NARROWEST_BIN for low, high in pairwise(edges)):
        raise ValueError(f"the edges of a histogram rise by {NARROWEST_BIN:g} or more")
    if type(node["images"]) is not int or any(value < 0 for values in counts.values() for value in values):
        raise ValueError("a histogram has counts and a number of images")
    return Histogram(node["images"], edges, counts)


def check_floats(node: Any) -> list[float]:
    """A list of finite numbers; ValueError or TypeError if it is not."""
    if not isinstance(node, list) or any(isinstance(value, bool) for value in node):
        raise TypeError("expected a list of numbers")
    values = [float(value) for value in node if isinstance(value, int | float)]
    if len(values) < len(node) or not all(math.isfinite(value) and abs(value) < LARGEST_NUMBER for value in values):
        raise ValueError("expected finite numbers")
    return values


def read_facts(path: Path) -> dict[str, Any]:
    """{"machine": {name: words}, "equilibrium": {loss: number}, "plural": word, "captions": {picture: words}}."""
    node = json.loads(read_text(path, LARGEST_JSON))
    machine, equilibrium, captions = (node.get(name) or {} for name in ("machine", "equilibrium", "captions"))
    plural = node.get("plural", "images")
    if not isinstance(plural, str) or not re.fullmatch("[a-z]{1,40}", plural):
        raise ValueError("plural is a word of small letters")
    for words in (machine, captions):
        if not all(isinstance(word, str) and len(word) < 1_000 for pair in words.items() for word in pair):
            raise ValueError("machine and captions are words")
    check_floats(list(equilibrium.values()))
    return {"machine": machine, "equilibrium": equilibrium, "plural": plural, "captions": captions}


def read_log_end(folder: Path, name: str = "console.log") -> list[str]:
    """The last lines of a log; none if there are none."""
    path = folder / name
    try:
        if not path.is_file() or not lies_in(path, folder):
            return []
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LARGEST_LOG))
            return file.read(LARGEST_LOG).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []

"""Format the comparison as Markdown."""

import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zerosum.evaluation.measurement import with_arrow
from zerosum.experiment.settings import flatten
from zerosum.report.grouping import Setting
from zerosum.report.measured_runs import MeasuredRun, better_directions

STEPS = ("best", "last")
BLANK = "–"


def value_names(runs: list[MeasuredRun]) -> list[str]:
    """The name of every value that was measured, in the order of the files."""
    return list(dict.fromkeys(name for run in runs for entry in run.measurements for name in entry.values))


def format_table(settings: list[Setting]) -> list[str]:
    """The table's lines: two rows per setting and, if the runs have one, the floor."""
    runs = [run for setting in settings for run in setting.runs]
    names = value_names(runs)
    rows = [format_row(setting, step, names) for setting in settings for step in STEPS]
    floors = [run.record.floor for run in runs if run.record.floor]
    if floors:
        ranges = [format_range([floor.get(name) for floor in floors]) for name in names]
        rows.append(["floor", "", "", *ranges, "", ""])
    better = better_directions(runs)
    head = ["setting", "seeds", "step", *(with_arrow(name, better) for name in names), "images", "minutes"]
    rule = ["---"] * 3 + ["---:"] * (len(names) + 2)
    return [f"| {' | '.join(cells)} |" for cells in [head, rule, *rows]]


def format_row(setting: Setting, step: str, names: list[str]) -> list[str]:
    """A setting's best or last measurement over its seeds."""
    entries = [run.measurement(step) for run in setting.runs]
    repeats = f" ({len(setting.runs)} runs)" if len(setting.runs) != setting.seeds else ""
    return [
        setting.name.replace("|", r"\|"),
        f"{setting.seeds}{repeats}",
        step,
        *(format_range([entry.values.get(name) for entry in entries]) for name in names),
        format_range([entry.images for entry in entries]),
        format_range([entry.minutes for entry in entries]),
    ]


def format_range(values: Iterable[float | None]) -> str:
    """Mean (lowest to highest), the mean alone if they are equal; counts the measured ones if some are missing."""
    values = list(values)
    measured = finite_values(values)
    if not measured:
        return BLANK
    mean, low, high = map(format_number, (statistics.mean(measured), min(measured), max(measured)))
    count = f", {len(measured)} of {len(values)}" if len(measured) < len(values) else ""
    return f"{mean}{count}" if low == high else f"{mean} ({low} to {high}){count}"


def finite_values(values: Iterable[float | None]) -> list[float]:
    """The values that are finite numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def format_number(value: float) -> str:
    """Three significant digits, or every digit before the point where there are at most 15."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.3g}"


def format_protocol(protocol: dict[str, Any]) -> str:
    """The protocol of a card in one line."""
    forms = {int: "{:,}", float: "{:.4g}"}
    fields = flatten(protocol).items()
    return ", ".join(f"{name} {forms.get(type(value), '{}').format(value)}" for name, value in fields)


def collect_notes(runs: list[MeasuredRun], failed: list[Path]) -> list[str]:
    """Sentences below the table about runs that failed, stopped early, lack values or ran other code."""
    notes = [f"Failed, and left out: {len(failed)} ({', '.join(map(str, failed))})."] if failed else []
    return [*notes, *note_unfinished(runs), *note_unmeasured(runs), *note_code_differences(runs)]


def note_likelihoods(settings: list[Setting]) -> list[str]:
    """Which likelihoods are exact, bounds or estimates, as the cards say."""
    names: dict[str, list[str]] = {}
    for setting in settings:
        for kind in dict.fromkeys(run.record.last.card.run.get("likelihood") for run in setting.runs):
            names.setdefault(str(kind), []).append(setting.name)
    names.pop("None", None)
    found = "; ".join(f"{kind} ({', '.join(users)})" for kind, users in names.items())
    return [f"Likelihoods: {found}."] if found else []


def note_unfinished(runs: list[MeasuredRun]) -> list[str]:
    """Runs that stopped before their budget."""
    stopped = [
        f"{run.folder} ({run.record.last.images:,} of {budget:,} images)"
        for run in runs
        if run.record.last.images < (budget := run.config["run"]["images"])
    ]
    return [f"Not finished: {', '.join(stopped)}."] if stopped else []


def note_unmeasured(runs: list[MeasuredRun]) -> list[str]:
    """Metrics that some measurement lacks, each with the first reason."""
    reasons: dict[str, str] = {}
    for measurement in [measurement for run in runs for measurement in run.measurements]:
        for name, reason in (measurement.card.run.get("left_out") or {}).items():
            reasons.setdefault(name, reason if reason.startswith(name) else f"{name}: {reason}")
    return [f"Not measured everywhere: {'; '.join(reasons.values())}."] if reasons else []


def note_code_differences(runs: list[MeasuredRun]) -> list[str]:
    """Commits and library versions that differ between runs, which may change values."""
    cards = [flatten(run.record.last.card.code) for run in runs]
    differences = []
    for name in dict.fromkeys(name for card in cards for name in card):
        folders: dict[str, list[Path]] = {}
        for run, card in zip(runs, cards, strict=True):
            folders.setdefault(str(card.get(name) or "unknown"), []).append(run.folder)
        if len(folders) > 1:
            versions = ", ".join(f"{version} ({abbreviate(users)})" for version, users in folders.items())
            differences.append(f"{name} {versions}")
    return [f"Not the same for all runs: {'; '.join(differences)}."] if differences else []


def abbreviate(folders: list[Path]) -> str:
    """The first folder, and the number of the others."""
    return str(folders[0]) if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"

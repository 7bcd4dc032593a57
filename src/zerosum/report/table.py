"""The comparison as Markdown."""

import math
import statistics
from pathlib import Path
from typing import Any

from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.grouping import Setting
from zerosum.errors import printable

STEPS = ("best", "last")
BLANK = "–"


def value_names(runs: list[MeasuredRun]) -> list[str]:
    """Everything that was asked for, in the order of the files."""
    return list(dict.fromkeys(name for run in runs for entry in run.measurements for name in entry.values))


def table(settings: list[Setting]) -> str:
    """Two rows a setting and, where the runs know one, the floor."""
    runs = [run for setting in settings for run in setting.runs]
    names = value_names(runs)
    rows = [row(setting, step, names) for setting in settings for step in STEPS]
    floors = [run.record.floor for run in runs if run.record.floor]
    if floors:
        rows.append(["floor", "", "", *(spread([floor.get(name) for floor in floors]) for name in names), "", ""])
    head = ["setting", "seeds", "step", *names, "images", "minutes"]
    rule = ["---"] * 3 + ["---:"] * (len(names) + 2)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def row(setting: Setting, step: str, names: list[str]) -> list[str]:
    """A setting's best or last measurement over its seeds."""
    entries = [run.measurement(step) for run in setting.runs]
    again = f" ({len(setting.runs)} runs)" if len(setting.runs) != setting.seeds else ""
    return [
        printable(setting.name).replace("|", r"\|"),
        f"{setting.seeds}{again}",
        step,
        *(spread([entry.values.get(name) for entry in entries]) for name in names),
        spread([entry.images for entry in entries]),
        spread([entry.minutes for entry in entries]),
    ]


def spread(values: list[float | None]) -> str:
    """Mean (lowest to highest), shorter where they are one; says of how many, where some were not measured."""
    known = measured(values)
    if not known:
        return BLANK
    mean, low, high = (number(value) for value in (statistics.mean(known), min(known), max(known)))
    some = f", {len(known)} of {len(values)}" if len(known) < len(values) else ""
    return f"{mean}{some}" if low == high else f"{mean} ({low} to {high}){some}"


def measured(values: list[float | None]) -> list[float]:
    """Those that are numbers."""
    return [value for value in values if value is not None and math.isfinite(value)]


def number(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def said(protocol: dict[str, Any]) -> str:
    """Fields of a card as a person reads them."""
    forms = {int: "{:,}", float: "{:.4g}"}
    return ", ".join(f"{name} {forms.get(type(value), '{}').format(value)}" for name, value in protocol.items())


def notes(runs: list[MeasuredRun], failed: list[Path]) -> list[str]:
    """Sentences for under the table: what its figures do not say of the runs."""
    missing = [f"Failed, and left out: {len(failed)} ({', '.join(map(str, failed))})."] if failed else []
    return [*missing, *unfinished(runs), *left_out(runs), *other_makers(runs)]


def unfinished(runs: list[MeasuredRun]) -> list[str]:
    """Runs that ended before their budget."""
    short = [(run, budget) for run in runs if run.record.last.images < (budget := run.config["run"]["images"])]
    said = ", ".join(f"{run.folder} ({run.record.last.images:,} of {budget:,} images)" for run, budget in short)
    return [f"Not finished: {said}."] if said else []


def left_out(runs: list[MeasuredRun]) -> list[str]:
    """Metrics that could not be measured in some entry, each with the first reason."""
    reasons: dict[str, str] = {}
    for entry in [entry for run in runs for entry in run.measurements]:
        for name, reason in (entry.card.run.get("left_out") or {}).items():
            reasons.setdefault(name, reason if reason.startswith(name) else f"{name}: {reason}")
    return [f"Not measured everywhere: {'; '.join(reasons.values())}."] if reasons else []


def other_makers(runs: list[MeasuredRun]) -> list[str]:
    """Versions and commits that are not one: figures may differ by them."""
    cards = [flat(run.record.last.card.code) for run in runs]
    differing = []
    for name in dict.fromkeys(name for card in cards for name in card):
        folders: dict[str, list[Path]] = {}
        for run, card in zip(runs, cards, strict=True):
            folders.setdefault(str(card.get(name) or "unknown"), []).append(run.folder)
        if len(folders) > 1:
            differing.append(f"{name} {', '.join(f'{maker} ({some(made)})' for maker, made in folders.items())}")
    return [f"Not the same for all runs: {'; '.join(differing)}."] if differing else []


def some(folders: list[Path]) -> str:
    """The first, and how many more."""
    return str(folders[0]) if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"


def flat(node: Any, label: str = "") -> dict[str, Any]:
    """A nested dictionary as {words: value}."""
    if not isinstance(node, dict):
        return {label: node}
    return {name: leaf for key, value in node.items() for name, leaf in flat(value, f"{label} {key}".strip()).items()}

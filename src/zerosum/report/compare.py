"""Compare runs: one table and one chart, with the seeds of a setting put together."""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from zerosum.errors import UserError, did_you_mean, printable
from zerosum.files import save_whole
from zerosum.report.curves import make_curves
from zerosum.report.grouping import group_by_setting
from zerosum.report.measured_runs import MeasuredRun, better_directions, is_run, read_runs, shared_protocol
from zerosum.report.table import (
    collect_notes,
    finite_values,
    format_protocol,
    format_table,
    note_likelihoods,
    value_names,
)

MEANING = (
    "Mean (lowest to highest) over seeds; `best` is the step that best.ckpt was chosen at; ↓ lower is better, ↑ higher."
)


def main(arguments: Sequence[str] | None = None) -> str:
    """The text that `python compare.py ...` prints."""
    parser = argparse.ArgumentParser("compare", description="One table and one chart of runs, seeds put together.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders of runs or of sweeps, as in outputs/<run>")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: the sweep, else outputs/comparison")
    parser.add_argument("--value", metavar="NAME", help="value that the chart shows, default: the first one measured")
    options = parser.parse_args(arguments)
    single_sweep = len(options.paths) == 1 and not is_run(options.paths[0])
    folder = options.output or (options.paths[0] if single_sweep else Path("outputs/comparison"))
    return write_comparison(options.paths, folder / "comparison.md", value=options.value)


def write_comparison(
    paths: list[Path],
    output: Path,
    title: str = "Comparison",
    names: list[str] | None = None,
    value: str | None = None,
) -> str:
    """Write the Markdown file `output` and a chart, a PNG file beside it; returns the text and both paths.

    `names` are the config keys whose values name a row, by default the settings that differ.
    """
    from zerosum.report.chart import save_chart  # importing matplotlib takes a second, and errors should not wait

    runs, failed = read_runs(paths)
    protocol = shared_protocol(runs)
    readable = {name: field for name, field in protocol.items() if not name.endswith("hash")}
    value = choose_value(runs, value)
    settings, shared = group_by_setting(runs, names)
    common = [f"All runs: {shared}."] if shared else []
    chart = output.with_suffix(".png")
    image = f"![{value} over training]({chart.name})"
    meaning = f"{MEANING} Measured by: {format_protocol(protocol)}."
    notes = [*common, *note_likelihoods(settings), *collect_notes(runs, failed)]
    paragraphs: list[str | list[str]] = [meaning, format_table(settings), *notes, image]
    text = to_markdown(title, paragraphs)
    explanation = " ".join([*common, f"Measured by: {format_protocol(readable)}."])
    way = better_directions(runs).get(value)
    label = f"{value} ({way} is better)" if way else value
    save_chart(chart, make_curves(settings, value), label, mean_floor(runs, value), explanation)
    save_whole(output, lambda partial: partial.write_text(f"{text}\n", encoding="utf-8"))
    return f"{text}\n\nwritten to {printable(str(output))} and {printable(str(chart))}"


def to_markdown(title: str, paragraphs: list[str | list[str]]) -> str:
    """Paragraphs of one or more lines; each line is made printable, since names come from files of strangers."""
    lines = [f"# {title}"]
    for paragraph in paragraphs:
        lines += ["", *([paragraph] if isinstance(paragraph, str) else paragraph)]
    return "\n".join(printable(line) for line in lines)


def choose_value(runs: list[MeasuredRun], value: str | None) -> str:
    """The value that the chart shows, by default the first one measured; a UserError if it was never measured."""
    history = [entry.values for run in runs for entry in run.record.history]
    names = [name for name in value_names(runs) if finite_values(values.get(name) for values in history)]
    if not names:
        raise UserError(f"nothing was measured in {', '.join(str(run.folder) for run in runs)}: no value is a number")
    if value is not None and value not in names:
        suggestion = did_you_mean(value, names)
        raise UserError(f"--value {value} was not measured: choose one of {', '.join(names)}.{suggestion}")
    return value or names[0]


def mean_floor(runs: list[MeasuredRun], value: str) -> float | None:
    """The mean floor of the runs that have one."""
    floors = finite_values((run.record.floor or {}).get(value) for run in runs)
    return statistics.mean(floors) if floors else None

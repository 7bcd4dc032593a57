"""Runs side by side: settings over their seeds, as a table and a chart."""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

from zerosum.report.curves import curves
from zerosum.report.measured_runs import MeasuredRun, is_run, read, shared_protocol
from zerosum.report.grouping import settings
from zerosum.report.table import measured, notes, said, table, value_names
from zerosum.errors import UserError, did_you_mean
from zerosum.files import save_whole

MEANING = "Mean (lowest to highest) over seeds; `best` is the step that best.ckpt was chosen at."


def main(arguments: Sequence[str] | None = None) -> str:
    """What `python compare.py ...` prints."""
    parser = argparse.ArgumentParser("compare.py", description="One table and one chart of runs, seeds put together.")
    parser.add_argument("paths", nargs="+", type=Path, help="folders of runs or of sweeps, as in outputs/<run>")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: the sweep, else outputs/comparison")
    parser.add_argument("--value", metavar="NAME", help="what the chart shows, default: the first that was measured")
    asked = parser.parse_args(arguments)
    single_sweep = len(asked.paths) == 1 and not is_run(asked.paths[0])
    folder = asked.output or (asked.paths[0] if single_sweep else Path("outputs/comparison"))
    return write(asked.paths, folder / "comparison.md", value=asked.value)


def write(
    paths: list[Path],
    output: Path,
    title: str = "Comparison",
    names: list[str] | None = None,
    value: str | None = None,
) -> str:
    """The Markdown file `output` and its chart beside it, a PNG; returns the text and where it is.

    `names` are the keys of the config that name a row, by default those that differ.
    """
    from zerosum.report import chart  # matplotlib takes its time, and errors should not wait for it

    runs, failed = read(paths)
    protocol = f"Measured by: {said(shared_protocol(runs))}."
    value = chosen(runs, value)
    rows, usual = settings(runs, names)
    unsaid = [f"Where a name does not say otherwise: {usual}."] if usual else []
    picture = output.with_suffix(".png")
    shown = f"![{value} over training]({picture.name})"
    text = "\n\n".join([f"# {title}", f"{MEANING} {protocol}", table(rows), *unsaid, *notes(runs, failed), shown])
    chart.draw(picture, curves(rows, value), value, floor(runs, value), " ".join([protocol, *unsaid]))
    save_whole(output, lambda partial: partial.write_text(f"{text}\n"))
    return f"{text}\n\nwritten to {output} and {picture}"


def chosen(runs: list[MeasuredRun], value: str | None) -> str:
    """The value that the chart shows: one that was measured at some point, by default the first."""
    history = [entry.values for run in runs for entry in run.record.history]
    names = [name for name in value_names(runs) if measured([values.get(name) for values in history])]
    if not names:
        raise UserError(f"nothing was measured in {', '.join(str(run.folder) for run in runs)}: no value is a number")
    if value is not None and value not in names:
        near = did_you_mean(value, names)
        raise UserError(f"--value {value} was not measured: choose one of {', '.join(names)}.{near}")
    return value or names[0]


def floor(runs: list[MeasuredRun], value: str) -> float | None:
    """The mean of what the runs know to be reachable."""
    known = measured([(run.record.floor or {}).get(value) for run in runs])
    return statistics.mean(known) if known else None

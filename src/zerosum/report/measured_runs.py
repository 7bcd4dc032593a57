"""What runs left in their folders, and whether it may stand in one table."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, one_line
from zerosum.evaluation.measurement import Measurement, Record, read_record
from zerosum.runs.folder import read_config

RUN_FILES = ("config.yaml", "metrics.json", "console.log")
"""A folder with one of these is a run's, be it that it failed."""

BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged file raises."""


@dataclass(frozen=True)
class MeasuredRun:
    """A run that was measured: its resolved config and the content of its metrics.json."""

    folder: Path
    config: dict[str, Any]
    record: Record

    @property
    def measurements(self) -> list[Measurement]:
        """Every measurement, those of the table first."""
        return [self.record.last, self.record.best, *self.record.history]

    def measurement(self, step: str) -> Measurement:
        """The best or the last one."""
        return {"best": self.record.best, "last": self.record.last}[step]


def is_run(folder: Path) -> bool:
    """Whether the folder is one run's, not a sweep's."""
    return any((folder / trace).exists() for trace in RUN_FILES)


def read(paths: Iterable[Path]) -> tuple[list[MeasuredRun], list[Path]]:
    """The runs in run and sweep folders, each once, and the folders of those that failed before they were measured."""
    folders = {folder.resolve(): folder for path in paths for folder in run_folders(path)}.values()
    failed = [folder for folder in folders if not (folder / "metrics.json").exists()]
    runs = [read_run(folder) for folder in folders if folder not in failed]
    if not runs:
        where = ", ".join(str(folder) for folder in folders)
        raise UserError(
            f"nothing was measured in {where}: the console.log there says why; name runs that were measured"
        )
    return runs, failed


def run_folders(path: Path) -> list[Path]:
    """The folder itself, or the runs right inside it, 2_a before 10_a."""
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder; name runs or sweeps that train.py made, as in outputs/<run>")
    if is_run(path):
        return [path]
    inside = sorted((folder for folder in path.iterdir() if folder.is_dir() and is_run(folder)), key=counted)
    if not inside:
        raise UserError(f"{path} holds no run and no sweep: name folders that train.py made, as in outputs/<run>")
    return inside


def counted(folder: Path) -> list[tuple[int, str]]:
    """A key that orders the numbers in names by size."""
    return [(int(part or -1), text) for part, text in re.findall(r"(\d*)(\D*)", folder.name)]


def read_run(folder: Path) -> MeasuredRun:
    """One run, everything that is read from its files in place."""
    config = read_config(folder)
    path = folder / "config.yaml"
    try:
        str(config["run"]["name"]), config["run"]["images"] + 0
        path = folder / "metrics.json"
        record = read_record(path)
    except BROKEN as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
        raise UserError(f"{path} is damaged ({reason}): train the run again, or leave its folder out") from error
    return MeasuredRun(folder, config, record)


def shared_protocol(runs: list[MeasuredRun]) -> dict[str, Any]:
    """The protocol of every entry of every run, or a UserError that says what differs, and where."""
    first = runs[0]
    expected = first.record.last.card.protocol
    for run in runs:
        for measurement in run.measurements:
            if (found := measurement.card.protocol) != expected:
                raise UserError(refusal(first.folder, run.folder, expected, found))
    return expected


def refusal(first: Path, second: Path, expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Why two cards do not go into one column."""
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    fields = "; ".join(f"{name} {expected.get(name, 'unknown')} against {found.get(name, 'unknown')}" for name in names)
    if first == second:
        return f"{first} was measured in two ways along its course: {fields}: leave it out, or train it again"
    remedy = "measure them alike with evaluate.py protocol=... (into evaluation_best.json), or compare them apart"
    return f"{first} and {second} were measured differently: {fields}: {remedy}"

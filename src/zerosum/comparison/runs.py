"""What runs left in their folders, and whether it may stand in one table."""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, one_line
from zerosum.run_folder import read_config

COURSE = frozenset({"images", "seed", "seconds", "git", "versions", "checkpoint", "left_out"})
"""Fields of a card that belong to a run's own course; all others are its protocol."""

TRACES = ("config.yaml", "metrics.json", "console.log")
"""A folder with one of these is a run's, be it that it failed."""

BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged file raises."""


@dataclass(frozen=True)
class Run:
    """A run that was measured: its resolved config and its metrics.json."""

    folder: Path
    config: dict[str, Any]
    report: dict[str, Any]

    @property
    def images(self) -> int:
        """Real images that the discriminator had seen at the last measurement."""
        return self.report["last"]["card"]["images"]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Every measurement, those of the table first."""
        return [self.report["last"], self.report["best"], *self.report["history"]]


def is_run(folder: Path) -> bool:
    """Whether the folder is one run's, not a sweep's."""
    return any((folder / trace).exists() for trace in TRACES)


def read(paths: Iterable[Path]) -> tuple[list[Run], list[Path]]:
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


def read_run(folder: Path) -> Run:
    """One run, with all that is read from its files in place."""
    config = read_config(folder)
    path = folder / "config.yaml"
    try:
        str(config["run"]["name"]), config["run"]["images"] + 0
        path = folder / "metrics.json"
        report = json.loads(path.read_text(encoding="utf-8"))
        for entry in (report["best"], report["last"], *report["history"]):
            math.fsum([entry["card"]["images"], entry["minutes"], *known(entry["values"])])
        math.fsum(known(report["floor"] or {}))
    except BROKEN as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
        raise UserError(f"{path} is damaged ({reason}): train the run again, or leave its folder out") from error
    return Run(folder, config, report)


def known(values: dict[str, float | None]) -> list[float]:
    """Those that were measured."""
    return [value for value in values.values() if value is not None]


def protocol(card: dict[str, Any]) -> dict[str, Any]:
    """What was measured by, of all that a card says."""
    return {name: value for name, value in card.items() if name not in COURSE}


def shared_protocol(runs: list[Run]) -> dict[str, Any]:
    """The protocol of every entry of every run, or a UserError that says what differs, and where."""
    first = runs[0]
    expected = protocol(first.report["last"]["card"])
    for run in runs:
        for entry in run.entries:
            if (found := protocol(entry["card"])) != expected:
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

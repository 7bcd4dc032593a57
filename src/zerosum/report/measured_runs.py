"""Read measured runs from their folders, and check that their values may stand in one table."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, one_line
from zerosum.evaluation.measurement import Measurement, Record, read_record
from zerosum.experiment.settings import flatten
from zerosum.runs.folder import read_config

RUN_FILES = ("config.yaml", "metrics.json", "console.log")
"""A folder with one of these holds a run, even one that failed."""

INDEPENDENT_KEYS = {"seed", "resume", "resume_force", "trusted", "objective", "run.folder", "run.name", "dataset.root"}
"""Keys of the config that may differ within a setting: only the seed of them changes results."""

LARGEST_NUMBER = 1e100
"""Larger finite numbers overflow the chart's axes."""

BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""Errors that reading a damaged file raises."""


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

    @cached_property
    def setting(self) -> dict[str, Any]:
        """The flattened config without empty values and without the run's own: seed, command, folder, name, copies."""
        name, folder = str(self.config["run"]["name"]), str(self.config["run"]["folder"])
        config = {key: value for key, value in self.config.items() if key != "command"}
        return {
            key: value
            for key, value in flatten(config).items()
            if value not in (None, {})
            and key not in INDEPENDENT_KEYS
            and not is_seed_of_term(key)
            and not is_copy(key, value, folder, name)
        }

    @cached_property
    def choices(self) -> dict[str, Any]:
        """{config group: option} that Hydra composed the config from; empty if the run was trained from Python."""
        return dict((self.config.get("command") or {}).get("choices") or {})

    @cached_property
    def typed_keys(self) -> list[str]:
        """The keys typed on the command line, except those that say nothing about the setting."""
        overrides = (self.config.get("command") or {}).get("overrides") or []
        keys = [str(override).lstrip("+~").partition("=")[0] for override in overrides]
        return [key for key in keys if key not in INDEPENDENT_KEYS and not key.startswith("hydra")]

    def has(self, key: str) -> bool:
        """Whether the key is a config group or stands in the config."""
        try:
            self.value(key)
        except KeyError:
            return False
        return True

    def value(self, key: str) -> Any:
        """The option chosen of a config group, or the config's value of a dotted key; KeyError if there is neither."""
        if key in self.choices:
            return self.choices[key]
        node: Any = self.config
        for part in key.split("."):
            if not isinstance(node, dict):
                raise KeyError(key)
            node = node[part]
        return node


def is_copy(key: str, value: Any, folder: str, name: str) -> bool:
    """Whether a value is a path inside the run's folder, or the run's name as a title."""
    return f"{value}/".startswith(f"{folder}/") or (key.startswith(("callbacks.", "logger.")) and value == name)


def is_seed_of_term(key: str) -> bool:
    """Whether it is the seed that a term of a loss draws by, which the run's own seed decides."""
    return key.startswith(("regularizer.", "generator_regularizer.")) and key.endswith(".seed")


def is_run(folder: Path) -> bool:
    """Whether the folder holds one run, not a sweep."""
    return any((folder / name).exists() for name in RUN_FILES)


def read_runs(paths: Iterable[Path]) -> tuple[list[MeasuredRun], list[Path]]:
    """The runs in run and sweep folders, each once, and the folders of those that failed before they were measured."""
    folders = {folder.resolve(): folder for path in paths for folder in find_run_folders(path)}.values()
    failed = [folder for folder in folders if not (folder / "metrics.json").exists()]
    runs = [read_run(folder) for folder in folders if folder not in failed]
    if not runs:
        where = ", ".join(str(folder) for folder in folders)
        raise UserError(
            f"nothing was measured in {where}: the console.log there says why; name runs that were measured"
        )
    return runs, failed


def find_run_folders(path: Path) -> list[Path]:
    """The folder itself, or the runs directly inside it, 2_a before 10_a."""
    if not path.is_dir():
        raise UserError(
            f"{path}: there is no such folder; name runs or sweeps that a training made, as in outputs/<run>"
        )
    if is_run(path):
        return [path]
    inside = sorted((folder for folder in path.iterdir() if folder.is_dir() and is_run(folder)), key=numeric_order)
    if not inside:
        raise UserError(f"{path} holds no run and no sweep: name folders that a training made, as in outputs/<run>")
    return inside


def numeric_order(folder: Path) -> list[tuple[int, str]]:
    """A sort key that compares the numbers in names by size."""
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d*)(\D*)", folder.name)]


def read_run(folder: Path) -> MeasuredRun:
    """One run; a UserError if one of its files is damaged."""
    config = read_config(folder)
    path = folder / "config.yaml"
    try:
        str(config["run"]["name"]), config["run"]["images"] + 0
        check_command(config.get("command"))
        path = folder / "metrics.json"
        record = read_record(path)
        check_numbers(record)
    except BROKEN as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
        raise UserError(f"{path} is damaged ({reason}): train the run again, or leave its folder out") from error
    return MeasuredRun(folder, config, record)


def check_numbers(record: Record) -> None:
    """ValueError if a number is too large to be drawn, or a metric's reason is not text."""
    for measurement in (*record.history, record.best):
        numbers = [
            *measurement.values.values(),
            *(record.floor or {}).values(),
            measurement.images,
            measurement.minutes,
        ]
        if any(LARGEST_NUMBER < abs(number) < math.inf for number in numbers):
            raise ValueError(f"a number is larger than {LARGEST_NUMBER:g}")
        if not all(isinstance(reason, str) for reason in (measurement.card.run.get("left_out") or {}).values()):
            raise ValueError("left_out gives no reasons")


def check_command(command: Any) -> None:
    """ValueError if it is not what train.py stores: nothing, or lists of overrides and choices."""
    if not command:
        return
    kinds = {"overrides": list, "choices": dict}
    if not isinstance(command, dict) or not all(isinstance(command.get(key), kind) for key, kind in kinds.items()):
        raise ValueError("its command has no list of overrides and choices")


def better_directions(runs: list[MeasuredRun]) -> dict[str, str]:
    """The better direction of each value, as the cards say; cards of earlier versions say nothing."""
    cards = [measurement.card.run.get("better") for run in runs for measurement in run.measurements]
    named = [pair for better in cards if isinstance(better, dict) for pair in better.items()]
    return {name: way for name, way in named if way in ("lower", "higher")}


def shared_protocol(runs: list[MeasuredRun]) -> dict[str, Any]:
    """The protocol of every measurement of every run; a UserError that says what differs, and where, if not equal."""
    first = runs[0]
    expected = first.record.last.protocol
    for run in runs:
        for measurement in run.measurements:
            if measurement.protocol != expected:
                raise UserError(explain_difference(first.folder, run.folder, expected, measurement.protocol))
    return expected


def explain_difference(first: Path, second: Path, expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Why the values of two protocols may not stand in one column."""
    one, other = flatten(expected), flatten(found)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    fields = "; ".join(f"{name} {one.get(name, 'unknown')} against {other.get(name, 'unknown')}" for name in names)
    if first == second:
        return f"{first} was measured in two ways during training: {fields}: leave it out, or train it again"
    if "labels" in names:
        uses = [fields["labels"] for fields in (one, other)]
        return (
            f"{first} and {second} use labels differently ({uses[0]} against {uses[1]}), and labels improve samples:"
            " compare models of one kind"
        )
    remedy = "measure them alike by evaluate with protocol=... (into evaluation_best.json), or compare them apart"
    if "features_hash" in names and one.get("features") == other.get("features"):
        remedy = (
            "each machine trained a feature network of its own: copy the classifier-*.pt of one into the cache/ of the"
            " other's dataset.root and measure its runs again by evaluate"
        )
    return f"{first} and {second} were measured differently: {fields}: {remedy}"

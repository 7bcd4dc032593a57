"""Reads a sweep: its measured jobs by setting, and why others failed."""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from zerosum.errors import UserError
from zerosum.report.compare import choose_value
from zerosum.report.failures import find_reason
from zerosum.report.grouping import Setting, group_by_setting
from zerosum.report.measured_runs import (
    MeasuredRun,
    better_directions,
    find_run_folders,
    is_run,
    read_run,
    shared_protocol,
)
from zerosum.report.table import finite_values
from zerosum.training.lock import is_held


@dataclass(frozen=True)
class Sweep:
    """A sweep's jobs: those that were measured, by setting, the best first, and reasons of those that failed."""

    folder: Path
    settings: list[Setting]
    shared: str
    value: str | None
    """By which they are ordered"""
    failed: dict[Path, str]
    running: list[Path]
    problem: str | None = None
    """Why the values may not stand in one table"""

    @property
    def runs(self) -> list[MeasuredRun]:
        """Every measured run, those of the best setting first."""
        return [run for setting in self.settings for run in setting.runs]


def read_sweep(folder: Path, names: list[str] | None = None, value: str | None = None) -> Sweep:
    """Read every job; one that is damaged counts as failed."""
    if is_run(folder):
        raise UserError(f"{folder} is a single run: its report shows it alone")
    runs, failed, running = [], {}, []
    for job in find_run_folders(folder):
        is_measured = (job / "metrics.json").exists()
        try:
            if is_measured:
                runs.append(read_run(job))
        except UserError as error:
            failed[job] = str(error)
            continue
        is_done = is_measured and runs[-1].record.last.images >= runs[-1].config["run"]["images"]
        if not is_done and is_held(job):
            running.append(job)
        elif not is_done:
            failed[job] = find_reason(job) or "it ended early, and its logs give no reason"
    if not runs:
        return Sweep(folder, [], "", None, failed, running)
    problem = None
    try:
        shared_protocol(runs)
        value = choose_value(runs, value)
    except UserError as error:
        problem, value = str(error), None
    settings, shared = group_by_setting(runs, names)
    return Sweep(folder, sort_settings(settings, value), shared, value, failed, running, problem)


def sort_settings(settings: list[Setting], value: str | None) -> list[Setting]:
    """The best first: by the mean over seeds of the best measurement; those without a value last."""
    if value is None:
        return settings
    runs = [run for setting in settings for run in setting.runs]
    sign = -1 if better_directions(runs).get(value) == "higher" else 1

    def key(setting: Setting) -> float:
        values = best_values(setting, value)
        return sign * statistics.mean(values) if values else math.inf

    return sorted(settings, key=key)


def best_values(setting: Setting, value: str) -> list[float]:
    """A value of each seed's best measurement, where it is finite."""
    return finite_values(run.record.best.values.get(value) for run in setting.runs)

"""Sweeps: one report, table and chart over all jobs, the sweeper's direction, and a check of what a job may start."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from hydra.utils import get_class
from omegaconf import DictConfig, open_dict, read_write

from zerosum.commands.messages import stop, write_to_log
from zerosum.errors import UserError, did_you_mean, one_line

DIRECTIONS = {"lower": "minimize", "higher": "maximize"}
"""The sweeper's word for the better direction of a value"""


class SweepTable(Callback):
    """Writes table.md and table.png after each job of a sweep, as `python compare.py` does, and prints them at its end.

    Beside them stands report.html, which shows samples and failed jobs too.

    Rows are named by the values of `names`, config keys with dots, by default the settings that differ; `value` is the
    one that the chart shows, by default the first one measured. A sweeper that optimizes `objective` is told the
    direction in which that value is better.
    """

    def __init__(self, names: list[str] | None = None, title: str = "Sweep", value: str | None = None) -> None:
        self.names = None if names is None else list(names)
        self.title = title
        self.value = value

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Set the sweeper's direction; Hydra would log an exception and go on, so an error ends the program here."""
        sweeper = config.hydra.sweeper
        if not config.get("objective") or "direction" not in sweeper:
            return
        objectives = [config.objective] if isinstance(config.objective, str) else list(config.objective)
        try:
            directions = [direction_of(config, objective) for objective in objectives]
        except UserError as error:
            stop(str(error))
        with read_write(sweeper), open_dict(sweeper):
            sweeper.direction = directions[0] if len(directions) == 1 else directions
        for objective, direction in zip(objectives, directions, strict=True):
            print(f"objective={objective}: the sweeper will {direction} it")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write after every job, because Hydra does not call `on_multirun_end` if one failed; only rank 0 writes."""
        if config.hydra.get("mode") is RunMode.RUN or os.environ.get("LOCAL_RANK", "0") != "0":
            return
        if job_return.status is JobStatus.FAILED:
            note_failure(job_return._return_value)
        self.write_report(config)
        with suppress(UserError):
            self.write(config)
            if job_return.status is JobStatus.FAILED:
                print(f"This job failed; the others are in {self.path(config)}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, or why there is none, and the report's path."""
        report = self.write_report(config)
        try:
            print(self.write(config))
        except UserError as error:
            print(error)
        if report is not None:
            print(f"report, to open in a browser: {report}")

    def path(self, config: DictConfig) -> Path:
        """Where the table is written."""
        return Path(config.hydra.sweep.dir) / "table.md"

    def write_report(self, config: DictConfig) -> Path | None:
        """Write report.html, and return its path; None if there is no job to report of."""
        from zerosum.report.sweep_report import write_sweep_report  # single runs need not wait for its imports

        try:
            return write_sweep_report(self.path(config).parent, self.names, self.value)
        except UserError:
            return None

    def write(self, config: DictConfig) -> str:
        """Write table and chart; returns the table and both paths."""
        from zerosum.report.compare import write_comparison  # single runs need not wait for its imports

        path = self.path(config)
        return write_comparison([path.parent], path, self.title, self.names, self.value)


def note_failure(error: Any) -> None:
    """Write a job's error to its own log, where the sweep's report looks for it: Hydra raises it later, elsewhere."""
    if isinstance(error, BaseException):
        write_to_log(str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}")


def direction_of(config: DictConfig, objective: str) -> str:
    """minimize or maximize, by the metric that measures the objective; UserError if none does, or another is typed."""
    metrics: list[Any] = [get_class(node._target_) for node in config.metrics.values()]
    better = {name: way for metric in metrics for name, way in metric.better.items()}
    if objective not in better:
        near = did_you_mean(objective, better)
        raise UserError(f"objective={objective} is not measured: choose one of {', '.join(better)}.{near}")
    direction = DIRECTIONS[better[objective]]
    typed = [override for override in config.hydra.overrides.hydra if override.startswith("hydra.sweeper.direction=")]
    if typed and direction not in typed[-1]:
        raise UserError(f"{typed[-1]}: {better[objective]} {objective} is better, so leave it out or {direction}")
    return direction


def refuse_processes(trainer: DictConfig) -> None:
    """UserError if a job of this sweep would start more processes.

    Lightning starts them with the command line of the first process, here that of the whole sweep: each would run the
    sweep again, and under Optuna train with other numbers. SLURM starts all processes of a job itself.
    """
    alone = trainer.get("devices", 1) == 1 and trainer.get("num_nodes", 1) == 1
    if not alone and int(os.environ.get("SLURM_NTASKS", 1)) == 1:
        raise UserError(
            f"trainer.devices={trainer.get('devices')} in a sweep: add hydra/launcher=process, which runs each job as"
            " a program of its own that may start more"
        )

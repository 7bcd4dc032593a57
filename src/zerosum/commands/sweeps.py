"""Sweeps: one table and one chart over all jobs, and a check of what a job may start."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from zerosum.errors import UserError
from zerosum.report.compare import write_comparison


class SweepTable(Callback):
    """Writes table.md and table.png after each job of a sweep, as `python compare.py` does, and prints them at its end.

    Rows are named by the values of `names`, config keys with dots; `value` is the one that the chart shows, by default
    the first one measured.
    """

    def __init__(self, names: list[str], title: str, value: str | None = None) -> None:
        self.names = list(names)
        self.title = title
        self.value = value

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write after every job, because Hydra does not call `on_multirun_end` if one failed; only rank 0 writes."""
        if os.environ.get("LOCAL_RANK", "0") != "0":
            return
        with suppress(UserError):
            self.write(config)
            if job_return.status is JobStatus.FAILED:
                print(f"This job failed; the others are in {self.path(config)}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table, or why there is none."""
        try:
            print(self.write(config))
        except UserError as error:
            print(error)

    def path(self, config: DictConfig) -> Path:
        """Where the table is written."""
        return Path(config.hydra.sweep.dir) / "table.md"

    def write(self, config: DictConfig) -> str:
        """Write table and chart; returns the table and both paths."""
        path = self.path(config)
        return write_comparison([path.parent], path, self.title, self.names, self.value)


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

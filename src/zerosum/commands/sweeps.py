"""Sweeps: what their jobs cannot do, and one table and one chart of all of them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from zerosum.errors import UserError
from zerosum.report import compare


class SweepTable(Callback):
    """Writes table.md and table.png after each job of a sweep, as `python compare.py` does, and prints them at its end.

    Rows are named by the values of `names`, config keys with dots; `value` is what the chart shows, by default the
    first that was measured.
    """

    def __init__(self, names: list[str], title: str, value: str | None = None) -> None:
        self.names = list(names)
        self.title = title
        self.value = value

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """After each, as Hydra does not announce the end of a sweep in which a job failed; the first process writes."""
        if os.environ.get("LOCAL_RANK", "0") != "0":
            return
        with suppress(UserError):
            self.write(config)
            if job_return.status is JobStatus.FAILED:
                print(f"This job failed; the others are in {self.path(config)}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """The whole; where nothing can be compared, the sentence that says so."""
        try:
            print(self.write(config))
        except UserError as error:
            print(error)

    def path(self, config: DictConfig) -> Path:
        """The table's file."""
        return Path(config.hydra.sweep.dir) / "table.md"

    def write(self, config: DictConfig) -> str:
        """Both files; returns the table and where it is."""
        path = self.path(config)
        return compare.write([path.parent], path, self.title, self.names, self.value)


def refuse_processes(trainer: DictConfig) -> None:
    """A UserError where a job would start more processes.

    Lightning starts them with the command line of the first, here that of the whole sweep: each would sweep anew, and
    under Optuna train by other numbers. SLURM starts all of a job's processes itself.
    """
    alone = trainer.get("devices", 1) == 1 and trainer.get("num_nodes", 1) == 1
    if not alone and int(os.environ.get("SLURM_NTASKS", 1)) == 1:
        raise UserError(
            f"trainer.devices={trainer.get('devices')} in a sweep: add hydra/launcher=process, by which each job is a"
            " program of its own that may start more"
        )

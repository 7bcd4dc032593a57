"""The class behind hydra/launcher=process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from hydra_plugins.zerosum_process_launcher._job import Job
    from zerosum.commands.sweep_progress import SweepLine

log = logging.getLogger(__name__)


class ProcessLauncher(Launcher):
    """Runs each job of a sweep as `python train.py` of its own, `jobs` at a time.

    In Hydra's own launcher a job of several processes is wrong: Lightning starts the further ones with the command line
    of the first, which is that of the whole sweep. `slots` are the values of CUDA_VISIBLE_DEVICES, one for each of the
    `jobs`; None cuts the visible GPUs into equal parts.
    """

    config: DictConfig
    hydra_context: HydraContext

    def __init__(self, jobs: int = 1, slots: Sequence[str] | None = None) -> None:
        self.jobs = jobs
        self.slots = slots
        self.line: SweepLine | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `launch` needs; the task function itself runs in the programs that are started."""
        self.config = config
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Results in the order of the jobs; reading the value of a failed job raises its error."""
        from hydra_plugins.zerosum_process_launcher import _composing, _pool, _slots
        from zerosum.commands.sweep_progress import SweepLine, count_jobs

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        environments = _slots.environments(self.jobs, self.slots)
        context = self.hydra_context
        jobs = [
            _composing.compose_job(context, self.config, list(overrides), number)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]
        if self.line is None:
            self.line = SweepLine(count_jobs(self.config), self.jobs)
        _pool.run(jobs, environments, self.line)
        self.report([job for job in jobs if job.returned.status is JobStatus.FAILED], len(jobs))
        return [job.returned for job in jobs]

    def report(self, failed: list[Job], jobs: int) -> None:
        """Log which jobs failed, and why."""
        if not failed:
            return
        log.error("%d of %d jobs failed:", len(failed), jobs)
        for job in failed:
            log.error("  %s", job.error)
        if self.config.hydra.sweeper._target_.endswith("BasicSweeper"):
            # It raises now; without this nobody would hear of the end, and an overnight sweep would have no table.
            self.hydra_context.callbacks.on_multirun_end(config=self.config)

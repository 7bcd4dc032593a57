"""How far a sweep is: one line over all of its jobs."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.console import RenderableType

from zerosum.console import DISPLAY, bar_line, shows_bars, time_left

log = logging.getLogger("zerosum.sweep")

SKIPPED = 0.1
"""A job that took less than this share of the longest was finished before, and says nothing about the next"""


class SweepLine:
    """'sweep ━━━━━ 3/12 done  2 running  1 failed  0:41 left'; without `jobs`, their number is unknown."""

    def __init__(self, jobs: int | None, at_once: int = 1) -> None:
        self.jobs = jobs
        self.at_once = at_once
        self.seconds: list[float] = []
        self.failed = 0
        self.running: dict[Any, float] = {}

    def start(self, job: Any) -> None:
        """A job begins."""
        self.running[job] = time.monotonic()

    def end(self, job: Any, failed: bool) -> None:
        """A job has ended; of a failed one the time says nothing."""
        seconds = time.monotonic() - self.running.pop(job)
        self.failed += failed
        if not failed:
            self.seconds.append(seconds)

    @property
    def done(self) -> int:
        """Jobs that did not fail."""
        return len(self.seconds)

    def left(self) -> float | None:
        """Expected seconds to the end: the mean of the jobs so far for each that is left; None where it is unknown."""
        trained = [seconds for seconds in self.seconds if seconds >= SKIPPED * max(self.seconds)]
        if not trained or self.jobs is None:
            return None
        mean, now = sum(trained) / len(trained), time.monotonic()
        waiting = self.jobs - self.done - self.failed - len(self.running)
        remaining = sum(max(0.0, mean - (now - started)) for started in self.running.values())
        return (waiting * mean + remaining) / self.at_once

    def texts(self) -> list[str]:
        """What the line says after its bar."""
        of = "" if self.jobs is None else f"/{self.jobs}"
        failed = [f"{self.failed} failed"] if self.failed else []
        return [f"{self.done}{of} done", f"{len(self.running)} running", *failed, time_left(self.left())]

    def __str__(self) -> str:
        return "  ".join(["sweep", *self.texts()])

    def __call__(self, width: int) -> RenderableType:
        ended = self.done + self.failed
        return bar_line("sweep", ended, self.jobs or ended + len(self.running) + 1, self.texts(), width)

    def show(self) -> None:
        """Draw it at the foot of a terminal, or log it elsewhere."""
        if shows_bars():
            DISPLAY.show(self)
        else:
            log.info("%s", str(self))


class SweepProgress(Callback):
    """Shows the line of a sweep whose jobs run one after the other in this process; `process` shows its own."""

    def __init__(self) -> None:
        self.line = SweepLine(None)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Count the jobs."""
        self.line = SweepLine(count_jobs(config))

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A job of a sweep begins."""
        if config.hydra.get("mode") is not RunMode.RUN:
            self.line.start(config.hydra.job.num)
            self.line.show()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """A job of a sweep has ended."""
        if config.hydra.get("mode") is not RunMode.RUN:
            self.line.end(config.hydra.job.num, job_return.status is JobStatus.FAILED)
            DISPLAY.remove(self.line)
            if not self.line.jobs or self.line.done + self.line.failed == self.line.jobs:
                log.info("%s", str(self.line))


def count_jobs(config: DictConfig) -> int | None:
    """Jobs of the sweep: combinations of Hydra's own sweeper, trials of others; None if it cannot be told."""
    sweeper = config.hydra.sweeper
    if "n_trials" in sweeper:
        return int(sweeper.n_trials)
    with suppress(Exception):  # what is wrong with an override the sweeper says
        return len(combinations(sweeper.get("params"), config.hydra.overrides.task))
    return None


def combinations(params: Any, overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job, by Hydra's own sweeper; globs of groups are looked up by the caller's configs."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path

    from zerosum.experiment.compose import CONF

    parser = OverridesParser.create(ConfigLoaderImpl(create_config_search_path(str(CONF))))
    typed = [f"{name}={value}" for name, value in (params or {}).items()] + list(overrides)
    return BasicSweeper.split_arguments(parser.parse_overrides(typed), None)[0]

"""Several jobs at a time, each in a slot; signals are theirs."""

import logging
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from zerosum.commands.sweep_progress import SweepLine
from zerosum.console import DISPLAY, shows_bars

from ._job import Job

log = logging.getLogger(__name__)

PASSED_ON = [number for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if (number := getattr(signal, name, None))]
GLANCE_SECONDS = 0.1


def run(jobs: Sequence[Job], environments: Sequence[Mapping[str, str]], line: SweepLine) -> None:
    """All jobs, as many at a time as there are environments; a failed one stops no other.

    A signal goes to the jobs that run, no further one starts, and once all have ended the program ends with 128 + its
    number, as if it had died of it. The third Ctrl-C kills.
    """
    pool = Pool(jobs, environments, line)
    with catch_signals() as signals:
        try:
            while pool.running or (pool.waiting and signals.first is None):
                if signals.first is None:
                    pool.fill()
                time.sleep(GLANCE_SECONDS)
                pass_on(signals.new, pool.running.values())
                pool.collect()
                pool.draw()
        finally:
            DISPLAY.remove(line)
            pass_on([signal.SIGTERM], pool.running.values())
    if signals.first is not None:
        leave(signals.first, len(pool.waiting), len(jobs))


class Pool:
    """Jobs that wait, and those that run, by slot."""

    def __init__(self, jobs: Sequence[Job], environments: Sequence[Mapping[str, str]], line: SweepLine) -> None:
        self.waiting = list(jobs)
        self.line = line
        self.environments = environments
        self.running: dict[int, Job] = {}

    def fill(self) -> None:
        """A job to each free slot."""
        for slot in range(len(self.environments)):
            if slot not in self.running and self.waiting:
                job = self.waiting.pop(0)
                job.start(self.environments[slot])
                self.running[slot] = job
                self.line.start(job)
                log.info("%s started: %s", job.name, job.folder)

    def collect(self) -> None:
        """Free the slots of jobs that have ended."""
        for slot, job in list(self.running.items()):
            if job.has_ended():
                del self.running[slot]
                self.line.end(job, failed=bool(job.error))
                log.info("%s %s", job.name, describe_end(job))
                if not shows_bars():
                    log.info("%s", str(self.line))

    def draw(self) -> None:
        """Draw the line of the sweep, where there is a terminal."""
        if shows_bars():
            DISPLAY.show(self.line)


class Signals:
    """Signals that were caught: the first, and those not passed on yet."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.new: list[int] = []
        self.interrupts = 0

    def catch(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; a handler should do no more."""
        self.first = self.first or number
        self.interrupts += number == signal.SIGINT
        self.new.append(signal.SIGKILL if self.interrupts > 2 else number)


@contextmanager
def catch_signals() -> Iterator[Signals]:
    """Catch signals inside the block, except those ignored before, as nohup ignores SIGHUP."""
    signals = Signals()
    before = {number: handler for number in PASSED_ON if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, signals.catch)
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pass_on(numbers: list[int], jobs: Iterable[Job]) -> None:
    """Each signal to each job, once."""
    while numbers:
        number = numbers.pop(0)
        for job in jobs:
            log.info("%s passed on to %s", signal.Signals(number).name, job.name)
            job.send(number)


def describe_end(job: Job) -> str:
    """How the job ended, in words."""
    if job.error:
        return f"ended after {job.seconds:.0f} s: {job.error}"
    value = job.returned.return_value
    return f"done after {job.seconds:.0f} s" + ("" if value is None else f": {value}")


def leave(number: int, waiting: int, jobs: int) -> None:
    """End the program as if it had died of the signal."""
    log.info("Stopped by %s, %d of %d jobs not started.", signal.Signals(number).name, waiting, jobs)
    log.info("With the same hydra.sweep.dir and resume=auto the same command continues.")
    raise SystemExit(128 + number)

"""Several jobs at a time, each in a slot; signals are theirs."""

import logging
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from ._job import Job

log = logging.getLogger(__name__)

PASSED_ON = [number for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP") if (number := getattr(signal, name, None))]
GLANCE_SECONDS = 0.1


def run(jobs: Sequence[Job], environments: Sequence[Mapping[str, str]]) -> None:
    """All jobs, as many at a time as there are environments; a failed one stops no other.

    A signal goes to the jobs that run, no further one starts, and once all have ended the program ends with 128 + its
    number, as if it had died of it. The third Ctrl-C kills.
    """
    waiting, free, running = list(jobs), list(range(len(environments))), dict[int, Job]()
    with caught() as signals:
        while running or (waiting and not signals):
            while waiting and free and not signals:
                slot, job = free.pop(0), waiting.pop(0)
                running[slot] = job
                job.start(environments[slot])
                log.info("%s started: %s", job.name, job.folder)
            time.sleep(GLANCE_SECONDS)
            pass_on(signals, list(running.values()))
            for slot, job in list(running.items()):
                if job.ended():
                    free.append(slot)
                    log.info("%s %s", job.name, ending(running.pop(slot)))
    if signals:
        leave(signals.first, len(waiting), len(jobs))


class Signals:
    """What has been caught: the first, and those not passed on yet."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.new: list[int] = []
        self.interrupts = 0

    def __bool__(self) -> bool:
        return self.first is not None

    def catch(self, number: int, frame: FrameType | None) -> None:
        """The handler; it only takes notes."""
        self.first = self.first or number
        self.interrupts += number == signal.SIGINT
        self.new.append(signal.SIGKILL if self.interrupts > 2 else number)


@contextmanager
def caught() -> Iterator[Signals]:
    """Signals are caught within, except those that were ignored before, as nohup does with SIGHUP."""
    signals = Signals()
    before = {number: handler for number in PASSED_ON if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, signals.catch)
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pass_on(signals: Signals, jobs: list[Job]) -> None:
    """Each new signal to each job."""
    while signals.new:
        number = signals.new.pop(0)
        log.info("%s: passed on to %d jobs; waiting for them to end.", signal.Signals(number).name, len(jobs))
        for job in jobs:
            job.send(number)


def ending(job: Job) -> str:
    """How it ended, in words."""
    if job.error:
        return f"ended after {job.seconds:.0f} s: {job.error}"
    value = "" if job.returned.return_value is None else f": {job.returned.return_value:.4g}"
    return f"done after {job.seconds:.0f} s{value}"


def leave(number: int, waiting: int, jobs: int) -> None:
    """Ends the program."""
    log.info(
        "Stopped by %s, %d of %d jobs not started; the same command with the same hydra.sweep.dir and resume=auto goes on.",
        signal.Signals(number).name,
        waiting,
        jobs,
    )
    raise SystemExit(128 + number)

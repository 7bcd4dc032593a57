"""One job of a sweep, as a process."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from zerosum.errors import UserError

from ._returned import VALUE

NOT_PASSED_ON = ("SLURM_NTASKS", "MASTER_PORT")
"""They speak of the process that launches: its job step's tasks, a port that only one of several jobs could take."""


class Job:
    """A command, the folder of its files, and what Hydra is told of it; `name` is '#3 loss=hinge seed=0'."""

    def __init__(self, name: str, command: list[str], folder: Path, returned: JobReturn) -> None:
        self.name = name
        self.command = command
        self.folder = folder
        self.returned = returned
        self.error = ""

    def start(self, environment: Mapping[str, str]) -> None:
        """Its output goes to output.log; in a session of its own, Ctrl-C in the terminal does not reach it twice."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / VALUE).unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.returned.working_dir,
                env={**kept, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started = time.monotonic()

    def send(self, number: int) -> None:
        """A signal to the job and to all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def has_ended(self) -> bool:
        """Whether the job has ended; then `returned` holds its value or its error."""
        status = self.process.poll()
        if status is None:
            return False
        self.send(signal.SIGKILL)  # what it has left running would keep its devices
        self.seconds = time.monotonic() - self.started
        if status == 0:
            self.returned.status, self.returned.return_value = JobStatus.COMPLETED, self.value()
        else:
            self.error = f"{self.folder}: {describe_status(status)}: {last_line(self.folder / 'output.log')}"
            self.returned.status, self.returned.return_value = JobStatus.FAILED, UserError(self.error)
        return True

    def value(self) -> Any:
        """The value that the task function returned, or None."""
        path = self.folder / VALUE
        value = json.loads(path.read_text()) if path.exists() else None
        path.unlink(missing_ok=True)
        return value


def describe_status(status: int) -> str:
    """'status 1', or 'killed by SIGKILL'."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def last_line(path: Path) -> str:
    """The last line of the output; of a traceback, the error."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"

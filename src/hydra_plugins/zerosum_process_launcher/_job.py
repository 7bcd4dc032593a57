"""One job of a sweep, as a process."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, filter_overrides
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from zerosum.errors import UserError

from ._returned import VALUE, Returned

NOT_PASSED_ON = ("SLURM_NTASKS", "MASTER_PORT")
"""They speak of the process that launches: its job step's tasks, a port that only one of several jobs could take."""


class Job:
    """A command, the folder of its files, and what Hydra is told of it."""

    def __init__(self, command: list[str], folder: Path, returned: JobReturn) -> None:
        self.command = command
        self.folder = folder
        self.returned = returned
        self.error = ""

    @property
    def name(self) -> str:
        """'#3 loss=hinge seed=0', as people know it."""
        return f"#{self.returned.hydra_cfg.hydra.job.num} {' '.join(filter_overrides(self.returned.overrides))}"

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
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def ended(self) -> bool:
        """Whether it has; then `returned` holds its value, or its error."""
        status = self.process.poll()
        if status is None:
            return False
        self.send(signal.SIGKILL)  # what it has left running would keep its devices
        self.seconds = time.monotonic() - self.started
        if status == 0:
            self.returned.status, self.returned.return_value = JobStatus.COMPLETED, self.value()
        else:
            self.error = f"{self.folder}: {described(status)}: {last_line(self.folder / 'output.log')}"
            self.returned.status, self.returned.return_value = JobStatus.FAILED, UserError(self.error)
        return True

    def value(self) -> Any:
        """What the task function returned; None where it returned nothing."""
        path = self.folder / VALUE
        value = json.loads(path.read_text()) if path.exists() else None
        path.unlink(missing_ok=True)
        return value


def composed(context: HydraContext, master: DictConfig, overrides: list[str], number: int) -> Job:
    """Job `number` of a sweep; its folder as Hydra's own launcher would name it."""
    config = context.config_loader.load_sweep_config(master, overrides)
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    before = HydraConfig.instance().cfg
    try:
        HydraConfig.instance().set_config(config)  # ${hydra:runtime.choices...} looks here
        sweep = Path(config.hydra.sweep.dir).absolute()
        folder = sweep / str(config.hydra.sweep.subdir)
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder)
        HydraConfig.instance().set_config(config)
        returned = told(config)
    finally:
        HydraConfig.instance().cfg = before
    return Job(command(config, overrides, sweep, folder), folder, returned)


def told(config: DictConfig) -> JobReturn:
    """What Hydra is told of a job that has not run yet."""
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    return JobReturn(
        overrides=OmegaConf.to_container(config.hydra.overrides.task),
        cfg=task,
        hydra_cfg=copy.deepcopy(HydraConfig.instance().cfg),
        working_dir=config.hydra.runtime.cwd,
        task_name=JobRuntime.instance().get("name"),
    )


def command(config: DictConfig, overrides: list[str], sweep: Path, folder: Path) -> list[str]:
    """The program that is running, as one run in `folder`."""
    words = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    kept = [str(word) for word in words if not str(word).startswith("hydra.mode=")]
    number = config.hydra.job.num
    own = [
        "hydra.mode=RUN",
        f"hydra.sweep.dir={quoted(sweep)}",
        f"hydra.run.dir={quoted(folder)}",
        f"hydra.job.num={number}",
        f"hydra.job.id={number}",
        f"+hydra.callbacks.returned._target_={Returned.__module__}.{Returned.__name__}",
    ]
    return [*program(), *flags(config), *kept, *overrides, *own]


def program() -> list[str]:
    """`python train.py` or `python -m package.module`."""
    specification = sys.modules["__main__"].__spec__
    if specification is None:
        return [sys.executable, str(Path(sys.argv[0]).absolute())]
    return [sys.executable, "-m", specification.name]


def flags(config: DictConfig) -> list[str]:
    """--config-name and --config-dir of the sweep's command line."""
    added = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    return [f"--config-name={config.hydra.job.config_name}", *(f"--config-dir={path}" for path in added)]


def quoted(path: Path) -> str:
    """The path as a value in Hydra's grammar, in which = and , mean something."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def described(status: int) -> str:
    """'status 1', or 'killed by SIGKILL'."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


def last_line(path: Path) -> str:
    """The last thing that was said: of a traceback, the error."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"

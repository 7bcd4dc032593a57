"""From the overrides of a job to the command that runs it."""

import copy
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, filter_overrides
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from ._job import Job
from ._returned import Returned


def compose_job(context: HydraContext, master: DictConfig, overrides: list[str], number: int) -> Job:
    """Job `number` of a sweep; its folder is the one that Hydra's own launcher would take."""
    config = context.config_loader.load_sweep_config(master, overrides)
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    before = HydraConfig.instance().cfg
    try:
        HydraConfig.instance().set_config(config)  # ${hydra:runtime.choices...} looks here
        sweep = Path(config.hydra.sweep.dir).absolute()
        folder = sweep / str(config.hydra.sweep.subdir)
    finally:
        HydraConfig.instance().cfg = before
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder)
    name = " ".join([f"#{number}", *filter_overrides(overrides)])
    return Job(name, command(config, overrides, sweep, folder), folder, job_return(config))


def job_return(config: DictConfig) -> JobReturn:
    """Hydra's record of a job that has not run yet."""
    task = copy.deepcopy(config)
    with read_write(task), open_dict(task):
        del task["hydra"]
    return JobReturn(
        overrides=as_strings(config.hydra.overrides.task),
        cfg=task,
        hydra_cfg=OmegaConf.masked_copy(config, ["hydra"]),
        working_dir=config.hydra.runtime.cwd,
        task_name=JobRuntime.instance().get("name"),
    )


def command(config: DictConfig, overrides: list[str], sweep: Path, folder: Path) -> list[str]:
    """The program that is running, as a single run in `folder`."""
    kept = [word for word in as_strings(config.hydra.overrides.hydra) if not word.startswith("hydra.mode=")]
    number = config.hydra.job.num
    own = [
        "hydra.mode=RUN",
        f"hydra.sweep.dir={quote(sweep)}",
        f"hydra.run.dir={quote(folder)}",
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


def as_strings(words: DictConfig) -> list[str]:
    """Overrides as they were typed, their interpolations not resolved."""
    found = OmegaConf.to_container(words, resolve=False)
    assert isinstance(found, list)
    return [str(word) for word in found]


def quote(path: Path) -> str:
    """The path as a value in Hydra's grammar, in which = and , mean something."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"

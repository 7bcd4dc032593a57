"""The curves, samples and results of a run in Weights & Biases."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from zerosum.errors import UserError, did_you_mean, one_line
from zerosum.files import save_whole
from zerosum.training.clock import Clock
from zerosum.training.wandb_artifact import log_best
from zerosum.training.wandb_names import ID, name_of, read_run_id, tags_of, without_copies
from zerosum.training.wandb_rows import last_logged, rows_between

log = logging.getLogger("zerosum")

FINISH_SECONDS = 60.0
"""Longest wait at the end of a run for a W&B server that no longer answers; the data stays on disk"""
FLUSH_SECONDS = 1.0
"""Between writes to W&B's file, whose own 15 s a killed run would lose"""
MODES = ("online", "offline", "disabled")
"""Values of logger.wandb.mode"""
MODES_OF_ENVIRONMENT = (*MODES, "shared", "dryrun", "run")
"""Values of WANDB_MODE, as W&B itself takes them"""


class WandbRun(WandbLogger):
    """A W&B run that begins with its training and ends with it, so that the jobs of a sweep are separate runs.

    W&B's own step is the number of images seen, so every chart and every slider has it, and what is logged at one time
    is one row. W&B keeps every row that it has once: a resumed run leaves out what it would log a second time, and
    adds from metrics.csv what a kill has lost.
    """

    def __init__(self, folder: str, options: dict[str, Any], mode: str | None, artifacts: bool) -> None:
        super().__init__(project=options["project"], save_dir=folder)
        self.folder = Path(folder)
        self.options = options
        self.mode = mode
        self.artifacts = artifacts
        self.clock = Clock()
        self.params: dict[str, Any] = {}
        self.logged: int | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, started on first use: a command that fails while it is built leaves nothing at W&B."""
        if self._experiment is None:
            self._experiment = begin(self.folder, self.mode, self.describe())
            self._experiment.define_metric("*", step_metric="images")
        return self._experiment

    def describe(self) -> dict[str, Any]:
        """What W&B is told of the run at its start; options of the config win."""
        command = self.params.get("command") or {}
        sweep = command.get("sweep")
        found = {
            "name": name_of(self.params),
            "group": sweep,
            "job_type": "sweep" if sweep else "train",
            "tags": tags_of(self.params),
            "config": without_copies({name: value for name, value in self.params.items() if name != "images_per_step"}),
        }
        return found | {name: value for name, value in self.options.items() if value is not None}

    @rank_zero_only
    def log_hyperparams(self, params: Any) -> None:
        """Start the run with its resolved config."""
        if not self.params:
            self.params = dict(params)
            self.clock.set(params)
        self.experiment  # noqa: B018

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values or media at the images seen, unless an earlier part of the run has."""
        images = self.clock.images(metrics, step)
        if self.logged is None:
            self.logged = last_logged(self.experiment, self.folder)
            for row in rows_between(self.folder / "metrics.csv", self.logged, images):
                self.experiment.log(row, step=row["images"])
        if images > self.logged:
            self.experiment.log({**metrics, "images": images}, step=images)

    @rank_zero_only
    def log_histogram(self, name: str, values: Any, step: int) -> None:
        """Log the distribution of the values, a tensor of any shape."""
        self.log_metrics({name: import_wandb().Histogram(values.detach().float().flatten().cpu().numpy())}, step)

    @rank_zero_only
    def define_better(self, directions: Mapping[str, str]) -> None:
        """Let W&B's summary of each value be its best, by the direction that is better, and its last."""
        for name, better in directions.items():
            best = "min" if better == "lower" else "max"
            self.experiment.define_metric(name, step_metric="images", summary=f"{best},last")

    @rank_zero_only
    def alert(self, title: str, text: str) -> None:
        """Send a message to the people who follow the run."""
        self.experiment.alert(title=title, text=text)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Finish the run, as failed if training failed."""
        super().finalize(status)
        if self._experiment is None:
            return
        if self.artifacts and status == "success":
            log_best(self._experiment, self.folder)
        self._experiment.finish(exit_code=0 if status == "success" else 1)


def wandb_logger(
    folder: str,
    project: str = "zerosum",
    name: str | None = None,
    mode: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    artifacts: bool = False,
) -> Logger:
    """W&B, online if there is a key and the server answers, else offline; `mode` decides by hand.

    A run is named by what its command line overrides, grouped by its sweep and tagged by its dataset, model and loss,
    unless `name`, `group` or `tags` say otherwise. With `artifacts` the best weights and their card are uploaded at the
    end. A resumed run continues its W&B run. If the server is lost during training, training continues, its end waits
    for at most a minute, and `wandb sync <run>/wandb/run-*` uploads the rest later.
    """
    check_mode("logger.wandb.mode", mode, MODES)
    check_mode("the environment variable WANDB_MODE", os.environ.get("WANDB_MODE"), MODES_OF_ENVIRONMENT)
    return WandbRun(folder, {"project": project, "name": name, "group": group, "tags": tags}, mode, artifacts)


def check_mode(name: str, mode: str | None, known: tuple[str, ...]) -> None:
    """UserError at an unknown mode, before training: W&B itself refuses it when training begins."""
    if mode is not None and mode not in known:
        raise UserError(f"{name}={mode}: choose {', '.join(known)}.{did_you_mean(mode, known)}")


def begin(folder: Path, mode: str | None, options: dict[str, Any]) -> Any:
    """Start a W&B run, offline if the server cannot be reached.

    W&B's reports of its own errors are off unless the user's environment says otherwise: where a server does not answer
    they hold the end of the program for half a minute (benchmarks/wandb_waits.py).
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    mode = mode or os.environ.get("WANDB_MODE") or choose_mode(folder)
    try:
        return start(folder, mode, options)
    except (import_wandb().errors.Error, OSError) as error:
        import_wandb().teardown()  # it still holds the run's id
        log.warning("W&B could not be reached (%s): logging offline, wandb sync uploads it later.", one_line(error))
        return start(folder, "offline", options)


def choose_mode(folder: Path) -> str:
    """Online if W&B's server accepts a key, else offline, and said so: nobody should believe to be online."""
    if is_logged_in():
        return "online"
    log.warning(
        "W&B logs offline: there is no key, or its server did not accept one within 10 s. `wandb login` sets a key,"
        " `wandb sync %s/wandb/offline-run-*` uploads the run.",
        folder,
    )
    return "offline"


def start(folder: Path, mode: str, options: dict[str, Any]) -> Any:
    """Start the W&B run, or continue the one whose id the folder holds.

    Offline too W&B is told to resume: `wandb sync` then adds the rows of a resumed run to those that are there.
    """
    import wandb

    settings = wandb.Settings(
        init_timeout=30, finish_timeout=FINISH_SECONDS, x_transaction_log_flush_interval=FLUSH_SECONDS
    )
    path = folder / "wandb" / "id.txt"
    run_id = read_run_id(path)
    run = wandb.init(id=run_id, dir=str(folder), mode=mode, resume="allow", settings=settings, **options)  # type: ignore[arg-type]
    if run.id != run_id and ID.fullmatch(run.id or ""):  # an agent of a W&B sweep has chosen another
        save_whole(path, lambda partial: partial.write_text(run.id, encoding="utf-8"))
    return run


def import_wandb() -> Any:
    """Import W&B, which takes a second that runs without it save."""
    import wandb

    return wandb


def is_logged_in() -> bool:
    """Whether there is a key that W&B's server accepts; never asks for one."""
    try:
        return bool(import_wandb().login(prompt=False, verify=True, timeout=10))
    except (import_wandb().errors.Error, OSError, ValueError):
        return False

"""Where the curves go: a CSV file always, Weights & Biases on request."""

import csv
import logging
import os
import uuid
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from zerosum.errors import one_line
from zerosum.files import save_whole

log = logging.getLogger("zerosum")

FINISH_SECONDS = 60.0
"""How long the end of a run waits for a W&B server that does not answer any more; the data stays on disk."""


class CSVLogger(Logger):
    """metrics.csv: one row for each time that something was logged, the first column images seen.

    A run that is resumed drops the rows after its checkpoint, so no row is there twice.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[dict[str, Any]] = []
        self.columns = ["images"]
        self._opened = False

    @property
    def name(self) -> str:
        """The logger's name."""
        return "csv"

    @property
    def version(self) -> str:
        """There is one version, the run."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *arguments: Any, **named: Any) -> None:
        """config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Merge into the last row where the images are the same, else a new row."""
        if not self._opened:
            self.reopen(int(metrics["images"]))
        new = [name for name in metrics if name not in self.columns]
        self.columns += new
        if self.rows and int(self.rows[-1]["images"]) == metrics["images"]:
            self.rows[-1].update(metrics)
            self.rewrite()
        else:
            self.rows.append(dict(metrics))
            if new or len(self.rows) == 1:
                self.rewrite()
            else:
                self.append()

    def reopen(self, images: int) -> None:
        """Rows of the run's earlier part, those before `images`."""
        self._opened = True
        if self.path.exists():
            with self.path.open(newline="") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or self.columns)
                self.rows = [row for row in reader if row["images"] and int(row["images"]) < images]
            self.rewrite()  # a file of its own, where it was a link

    def append(self) -> None:
        """The last row."""
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(self.rows[-1])

    def rewrite(self) -> None:
        """All rows, under the columns there are by now."""

        def write(partial: Path) -> None:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, self.columns)
                writer.writeheader()
                writer.writerows(self.rows)

        save_whole(self.path, write)


class WandbRun(WandbLogger):
    """A W&B run that ends with its training: the jobs of a sweep, in one process, are runs of their own."""

    def finalize(self, status: str) -> None:
        """Finish the run, as failed where training failed."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def wandb_logger(folder: str, project: str = "zerosum", name: str | None = None, mode: str | None = None) -> Logger:
    """W&B, online where a key is there and the server answers, offline otherwise; `mode` decides it by hand.

    A run that is resumed goes on with its run there. Where the server is lost on the way, training goes on, its end
    waits for a minute, and `wandb sync <run>/wandb/run-*` uploads the rest later.
    """
    mode = mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    try:
        return started(folder, project, name, mode)
    except (wandb_module().errors.Error, OSError) as error:
        wandb_module().teardown()  # which still holds the run's id
        log.warning("W&B could not be reached (%s): logging offline, wandb sync uploads it later.", one_line(error))
        return started(folder, project, name, "offline")


def started(folder: str, project: str, name: str | None, mode: str) -> Logger:
    """The logger, its run begun or, by the id that the folder keeps, gone on with."""
    import wandb

    settings = wandb.Settings(init_timeout=30, finish_timeout=FINISH_SECONDS)
    options: dict[str, Any] = {"project": project, "name": name, "save_dir": folder, "mode": mode, "settings": settings}
    logger = WandbRun(id=run_id(Path(folder) / "wandb" / "id.txt"), resume="allow", **options)
    logger.experiment.define_metric("*", step_metric="images")
    return logger


def run_id(path: Path) -> str:
    """The id of this folder's W&B run, made up at the first start."""
    if not path.exists():
        text = uuid.uuid4().hex[:8]
        save_whole(path, lambda partial: partial.write_text(text))
    return path.read_text().strip()


def wandb_module() -> Any:
    """W&B; importing it takes a second that runs without it do without."""
    import wandb

    return wandb


def logged_in() -> bool:
    """Whether W&B has a key and the server takes it; never asks."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=True, timeout=10))
    except (wandb.errors.Error, OSError, ValueError):
        return False

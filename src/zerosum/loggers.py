"""Where the curves go: a CSV file always, Weights & Biases on request."""

import csv
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from zerosum.files import saved_whole


class CsvLogger(Logger):
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

        saved_whole(self.path, write)


class WandbRun(WandbLogger):
    """A W&B run that ends with its training: the jobs of a sweep, in one process, are runs of their own."""

    def finalize(self, status: str) -> None:
        """Finish the run, as failed where training failed."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def wandb_logger(folder: str, project: str = "zerosum", name: str | None = None, mode: str | None = None) -> Logger:
    """W&B, online where a key is there and the server answers, offline otherwise; `mode` decides it by hand."""
    mode = mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    logger = WandbRun(project=project, name=name, save_dir=folder, mode=mode)
    logger.experiment.define_metric("*", step_metric="images")
    return logger


def logged_in() -> bool:
    """Whether W&B has a key and the server takes it; never asks."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=True, timeout=10))
    except (wandb.errors.Error, OSError, ValueError):
        return False

"""Loggers for the curves: a CSV file always, Weights & Biases on request."""

import csv
import logging
import os
import re
import uuid
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from zerosum.errors import UserError, one_line
from zerosum.files import save_whole, suggest_remedy

log = logging.getLogger("zerosum")

FINISH_SECONDS = 60.0
"""Longest wait at the end of a run for a W&B server that no longer answers; the data stays on disk"""
LARGEST_CSV = 2**28
"""Bytes of a metrics.csv"""

Row = dict[str, Any]


class CSVLogger(Logger):
    """Writes metrics.csv: one row for each time that something was logged, images seen in the first column.

    A run that is resumed drops the rows after its checkpoint, so that no row appears twice.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[Row] = []
        self.columns = ["images"]
        self.images_per_step = 1
        self._is_resumed = False
        self.read()

    @property
    def name(self) -> str:
        """Lightning's name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """Empty: a run has one version."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *arguments: Any, **named: Any) -> None:
        """Keep how many images a step has; config.yaml has the rest."""
        self.images_per_step = int(params.get("images_per_step", 1))

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Update the last row if its images are the same, else add a row.

        Lightning's own callbacks, and `self.log`, do not know the images seen: theirs follow from the step.
        """
        images = int(metrics.get("images", (step or 0) * self.images_per_step))
        metrics = {"images": images, **{name: value for name, value in metrics.items() if name != "epoch"}}
        if not self._is_resumed:
            self.drop_from(images)
        new = [name for name in metrics if name not in self.columns]
        self.columns += new
        if self.rows and int(self.rows[-1]["images"]) >= images:
            metrics.pop("images")
            self.rows[-1].update(metrics)
            self.rewrite()
        else:
            self.rows.append(dict(metrics))
            if new or len(self.rows) == 1:
                self.rewrite()
            else:
                self.append()

    @rank_zero_only
    def read(self) -> None:
        """Read the rows of an earlier part of the run, before training; rows that are damaged are left out."""
        if not self.path.exists():
            return
        if not self.path.is_file() or self.path.stat().st_size > LARGEST_CSV:
            raise UserError(f"{self.path} is not a file of at most {LARGEST_CSV:,} bytes: remove it")
        self.columns, self.rows, damaged = parse_rows(self.path.read_text(encoding="utf-8", errors="replace"))
        if damaged:
            self.path.replace(self.path.with_name("metrics.damaged.csv"))
            log.warning("%s is damaged: %d rows are left out; metrics.damaged.csv has them.", self.path, damaged)

    def drop_from(self, images: int) -> None:
        """Drop rows from `images` on, before the first new row."""
        self._is_resumed = True
        self.rows = [row for row in self.rows if int(row["images"]) < images]
        if self.rows or self.path.exists():
            self.rewrite()  # replaces a link by a file

    def append(self) -> None:
        """Append the last row to the file."""
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(self.rows[-1])
        except OSError as error:
            raise UserError(
                f"{self.path} could not be written ({error.strerror or error}): {suggest_remedy(error)}"
            ) from error

    def rewrite(self) -> None:
        """Write all rows under the present columns."""

        def write(partial: Path) -> None:
            with partial.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self.columns)
                writer.writeheader()
                writer.writerows(self.rows)

        save_whole(self.path, write)


def parse_rows(text: str) -> tuple[list[str], list[Row], int]:
    """Columns and rows of a metrics.csv, and how many lines are damaged and left out.

    The csv module is not used: it would take everything after a stray quote for one field. Every line that was written
    whole ends in a line end and has a number, or nothing, in each column; images rise from line to line.
    """
    header, *lines = (line.rstrip("\r") for line in text.split("\n"))
    columns = header.split(",")
    rows: list[Row] = []
    if "images" not in columns or len(set(columns)) < len(columns):
        return ["images"], rows, max(1, len(lines) - 1)
    for line in lines[:-1]:
        row = parse_row(columns, line.split(","))
        if row is not None and (not rows or int(row["images"]) > int(rows[-1]["images"])):
            rows.append(row)
    return columns, rows, len([line for line in lines if line]) - len(rows)


def parse_row(columns: list[str], fields: list[str]) -> Row | None:
    """{column: text of a number, or ''}; None if the line is damaged."""
    row = dict(zip(columns, fields, strict=False))
    if len(fields) != len(columns) or not row["images"].isascii() or not row["images"].isdigit():
        return None
    try:
        for field in filter(None, fields):
            float(field)
    except ValueError:
        return None
    return row if len(row["images"]) < 20 else None


class WandbRun(WandbLogger):
    """A W&B run that ends with its training, so that the jobs of a sweep in one process are separate runs."""

    def finalize(self, status: str) -> None:
        """Finish the run, as failed if training failed."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def wandb_logger(folder: str, project: str = "zerosum", name: str | None = None, mode: str | None = None) -> Logger:
    """W&B, online if there is a key and the server answers, else offline; `mode` decides by hand.

    A resumed run continues its W&B run. If the server is lost during training, training continues, its end waits for at
    most a minute, and `wandb sync <run>/wandb/run-*` uploads the rest later.
    """
    mode = mode or os.environ.get("WANDB_MODE") or choose_mode(folder)
    try:
        return start(folder, project, name, mode)
    except (import_wandb().errors.Error, OSError) as error:
        import_wandb().teardown()  # it still holds the run's id
        log.warning("W&B could not be reached (%s): logging offline, wandb sync uploads it later.", one_line(error))
        return start(folder, project, name, "offline")


def choose_mode(folder: str) -> str:
    """Online if W&B's server accepts a key, else offline, and said so: nobody should believe to be online."""
    if is_logged_in():
        return "online"
    log.warning(
        "W&B logs offline: there is no key, or its server did not accept one within 10 s. `wandb login` sets a key,"
        " `wandb sync %s/wandb/offline-run-*` uploads the run.",
        folder,
    )
    return "offline"


def start(folder: str, project: str, name: str | None, mode: str) -> Logger:
    """Start the W&B run, or continue the one whose id the folder holds."""
    import wandb

    settings = wandb.Settings(init_timeout=30, finish_timeout=FINISH_SECONDS)
    options: dict[str, Any] = {"project": project, "name": name, "save_dir": folder, "mode": mode, "settings": settings}
    logger = WandbRun(id=read_run_id(Path(folder) / "wandb" / "id.txt"), resume="allow", **options)
    logger.experiment.define_metric("*", step_metric="images")
    return logger


def read_run_id(path: Path) -> str:
    """The id of this folder's W&B run, made up at the first start and where the file holds no such id.

    A link is not followed: the first line of another file would become the id, which is uploaded.
    """
    if path.is_file() and not path.is_symlink() and path.stat().st_size <= 16:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if re.fullmatch(r"[a-z0-9]{8}", text):
            return text
    text = uuid.uuid4().hex[:8]
    save_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    return text


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

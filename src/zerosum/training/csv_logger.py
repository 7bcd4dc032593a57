"""The curves as a file, metrics.csv."""

import csv
import logging
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from zerosum.errors import UserError
from zerosum.files import save_whole, suggest_remedy
from zerosum.training.rows import LARGEST_CSV, Row, parse_rows
from zerosum.training.run_logger import RunLogger

log = logging.getLogger("zerosum")


class CSVLogger(RunLogger):
    """Writes metrics.csv: one row for each time that something was logged, images seen in the first column.

    A run that is resumed drops the rows after its checkpoint, so that no row appears twice.
    """

    kind = "csv"

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "metrics.csv"
        self.rows: list[Row] = []
        self.columns = ["images"]
        self._is_resumed = False
        self.read()

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Update the last row if its images are the same, else add a row."""
        images = self.clock.images(metrics, step)
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

"""Rows that an earlier part of a run has logged to Weights & Biases, and rows that it has not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from zerosum.training.rows import read_rows

SECONDS = 60.0
"""Longest wait for W&B's reader"""


def last_logged(run: Any, folder: Path) -> int:
    """Images seen at the last row that W&B has of the run, by its server or its files; -1 without any."""
    if not run.offline:
        return run.step - 1
    files = (folder / "wandb").glob(f"*run-*-{run.id}/run-{run.id}.wandb")
    return max((last_step(path) for path in files if not is_of(run, path)), default=-1)


def is_of(run: Any, path: Path) -> bool:
    """Whether this process writes the file."""
    return path.parent.resolve() == Path(run.dir).parent.resolve()


def last_step(path: Path) -> int:
    """The greatest step in a file of W&B, by W&B's own reader; -1 if it holds no row or cannot be read."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS).stdout
    except (OSError, subprocess.SubprocessError):
        return -1
    return max((step_of(line) for line in printed.splitlines()), default=-1)


def step_of(line: str) -> int:
    """The step of a record of a row; -1 of any other record."""
    try:
        record = json.loads(line)
        return int(record["history"]["item"]["_step"])
    except (ValueError, KeyError, TypeError):
        return -1


def rows_between(path: Path, after: int, before: int) -> list[dict[str, Any]]:
    """Rows of a metrics.csv with `after` < images < `before`, as numbers."""
    rows = [{name: float(value) for name, value in row.items() if value} for row in read_rows(path)]
    return [{**row, "images": int(row["images"])} for row in rows if after < row["images"] < before]

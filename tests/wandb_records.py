"""What W&B's own reader finds in the files of a run."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any


def files(run: Path) -> list[Path]:
    """The files of the parts of a run, in their order."""
    return sorted((run / "wandb").glob("*run-*/run-*.wandb"))


def records(path: Path, kind: str) -> list[Any]:
    """The records of one kind in a file that is not written to any more."""
    return [record[kind] for record in read(path) if record["type"] == kind]


@cache
def read(path: Path) -> list[dict[str, Any]]:
    """Every record of a file."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


def rows(path: Path) -> list[dict[str, Any]]:
    """What was logged, without W&B's own fields but _step."""
    items = [record["item"] for record in records(path, "history")]
    return [{name: value for name, value in row.items() if name == "_step" or name[0] != "_"} for row in items]

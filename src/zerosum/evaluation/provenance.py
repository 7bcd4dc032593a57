"""Where a value comes from: the code and the libraries that computed it."""

import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torchvision", "lightning", "torchmetrics", "torch-fidelity", "numpy")


@cache
def provenance() -> dict[str, Any]:
    """{"git": commit of zerosum's sources, with + if changed since, "versions": of zerosum and of its libraries}."""
    versions = {name: version(name) for name in ("zerosum", *LIBRARIES)}
    commit = git("rev-parse", "HEAD")
    changed = "+" if git("status", "--porcelain", "--untracked-files=no", ".") else ""
    return {**({"git": commit + changed} if commit else {}), "versions": versions}


def git(*arguments: str) -> str:
    """What git says in the folder of the sources, nothing where it is not one of its own or there is no git."""
    try:
        command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

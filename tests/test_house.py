"""The house of docs and CONTRIBUTING: rooms on floors, imports downward only, and walls that keep commands fast."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from conftest import ROOT

from zerosum.commands.zerosum import VERBS

PACKAGE = ROOT / "src" / "zerosum"
FLOORS = [
    {"errors", "files", "console", "randomness", "pixels", "sampling", "distributed"},
    {"models", "drawing"},
    {"data"},
    {"evaluation"},
    {"training"},
    {"gan", "families"},
    {"doctor", "theory", "applications"},
    {"experiment"},
    {"runs"},
    {"report"},
    {"export", "explorer"},
    {"commands", ""},
]
"""From the ground up; the package's own __init__, the public face, is ''."""


def modules() -> dict[str, Path]:
    """{dotted name below zerosum: file}."""
    files = {path: path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py")}
    return {".".join(part for part in name.parts if part != "__init__"): path for path, name in files.items()}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules of zerosum that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zerosum":
            base = (node.module or "").removeprefix("zerosum").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else base)
        assert not isinstance(node, ast.Import) or not any(alias.name.startswith("zerosum") for alias in node.names), (
            path
        )
    return found


def floor(module: str) -> int:
    room = module.split(".")[0]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def test_imports_point_downward_and_there_are_no_circles():
    known = modules()
    graph = {name: imports(path, known) - {name} for name, path in known.items()}
    upward = [f"{name} -> {other}" for name, others in graph.items() for other in others if floor(other) > floor(name)]
    assert upward == []
    across = {name: {other for other in others if other in graph} for name, others in graph.items()}
    assert len(list(TopologicalSorter(across).static_order())) >= len(known)  # raises CycleError at a circle


def test_rooms_have_empty_init_files_and_no_file_is_called_utils():
    for name, path in modules().items():
        assert path.name != "__init__.py" or path.parent == PACKAGE or not path.read_text().strip(), name
        assert not set(name.split(".")) & {"utils", "helpers", "common", "misc", "base", "core"}, name


HEAVY = {"torch", "lightning", "torchvision", "matplotlib", "sklearn", "scipy", "torchmetrics", "wandb"}


@pytest.mark.parametrize("module", [f"commands.{verb}" for verb in VERBS])
def test_verbs_import_nothing_that_takes_seconds(module):
    code = f"import sys, zerosum.{module}; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_matplotlib_and_sklearn_are_imported_where_they_are_used():
    """At the top of the four files that draw with matplotlib, which others import when they draw; else in functions.

    All of theory draws, so its verb imports it when it runs.
    """
    found = {}
    others = {name: path for name, path in modules().items() if not name.startswith("theory")}
    for name, path in others.items():
        body = ast.parse(path.read_text(encoding="utf-8")).body
        names = [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
        found[name] = {module.split(".")[0] for module in names} & {"matplotlib", "sklearn"}
    users = {name for name, used in found.items() if used}
    assert users == {"drawing.density", "drawing.decisions", "drawing.fans", "report.chart"}
    for name, path in others.items() - {(user, others[user]) for user in users}:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        modules_at_top = {node.module for node in body if isinstance(node, ast.ImportFrom)}
        assert not modules_at_top & {f"zerosum.{user}" for user in users}, name

"""docs/explore.ipynb: its cells run in order in a fresh process, and its kept outputs name no folder of a machine."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "explore.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    """On a tenth of its images, with fewer samples, in a folder of its own."""
    code = "\n".join("".join(cell["source"]) for cell in CELLS)
    smaller = {
        r"^images = .*$": "images = 6_400", "count=2000": "count=1000", "steps=200": "steps=10",
        r"Traverse\(": "Traverse(samples=100, ",
    }  # fmt: skip
    for old, new in smaller.items():
        code, found = re.subn(old, new, code, flags=re.M)
        assert found == 1, old
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the same images: True" in done.stdout and "generator.safetensors" in done.stdout
    assert "thick 3 - thin 3 + thin 8: class" in done.stdout and "6 targets: mean squared error" in done.stdout


def test_pictures_are_kept_and_outputs_name_no_folder_of_a_machine():
    outputs = [cell["outputs"] for cell in CELLS]
    assert all(outputs)
    assert sum("image/png" in output.get("data", {}) for each in outputs for output in each) == 6
    words = [
        "".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for each in outputs for output in each
    ]
    assert not re.search(r"(?<![\w.])/\w|[A-Z]:\\|Traceback", "\n".join(words))

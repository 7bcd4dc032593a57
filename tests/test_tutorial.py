"""docs/tutorial.ipynb: its cells run in order in a fresh process, and its kept outputs name no folder of a machine."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from zerosum.experiment.settings import validate

NOTEBOOK = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))


def sources(kind: str) -> list[str]:
    """The text of each cell of a kind."""
    return ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == kind]


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    """On a tenth of its points, in a folder of its own, so that nothing is found in the repository."""
    code = "\n".join(["import matplotlib", "matplotlib.use('Agg')", *sources("code")])
    code, found = re.subn(r"^images = .*$", "images = 102_400", code, flags=re.M)
    assert found == 1
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Done: 102,400 images" in done.stdout and "high_quality" in done.stdout
    assert len(list(tmp_path.glob("outputs/*_ring*/last.ckpt"))) == 1


def test_outputs_are_kept_and_name_no_folder_of_a_machine():
    outputs = [cell["outputs"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    assert all(outputs)
    assert sum("image/png" in output.get("data", {}) for each in outputs for output in each) == 3
    words = [
        "".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for each in outputs for output in each
    ]
    assert not re.search(r"(?<![\w.])/\w|[A-Z]:\\|Traceback", "\n".join(words))


def test_options_to_try_compose(composed):
    rows = [line for text in sources("markdown") for line in text.splitlines() if line.startswith("| ") and "`" in line]
    options = [re.findall(r'"([\w./]+=[\w./,]+)"', row) for row in rows]
    assert len(options) == 5 and all(options)
    for words in options:
        validate(composed("experiment=ring", *words))

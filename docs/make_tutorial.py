"""Run a notebook of docs/ and keep its outputs.

pip install nbclient ipykernel, then python docs/make_tutorial.py tutorial, or explore
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parent


def join_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs with consecutive parts of one stream as one."""
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def run_notebook(path: Path) -> None:
    """Run every cell in an empty folder, so that the run it trains is not left beside the notebook."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = join_streams(cell.outputs)
    notebook.metadata.language_info = {"name": "python"}  # without the version
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["tutorial"]:
        run_notebook(DOCS / f"{name}.ipynb")

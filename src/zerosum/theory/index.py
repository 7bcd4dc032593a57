"""The first page of the theory lab."""

from collections.abc import Mapping
from pathlib import Path

from zerosum.files import save_whole

HEADER = """# The theory lab

What the equations of GANs say, and what training does, on data whose density is known: on a line and in the plane
every claim can be measured. Each page has the equation, a picture, and what was measured beside what theory says.
This folder is made by `make theory`, which takes some minutes on two CPU cores; no number in it was typed.

    python theory.py                                    # lists the subjects
    python theory.py density_ratio                      # one of them, into outputs/theory
    python theory.py density_ratio model.width=32       # with an option of those that it heeds
    python train.py experiment=theory/density_ratio     # the game of the preset as an ordinary run

A subject plays the games that its page names, with the networks, losses and steps of every other run, and measures
them by `src/zerosum/theory/<subject>.py`, where each equation is one function.
"""


def save_index(subjects: Mapping[str, str], folder: Path) -> None:
    """Write index.md: the meaning of each subject that has a page in the folder, and the first number of the page."""
    lines = ["| subject | measured | | analytic |", "|---|---|---:|---:|"]
    for name, meaning in subjects.items():
        if (folder / f"{name}.md").exists():
            link = f"[{meaning[0].upper()}{meaning[1:]}]({name}.md)"
            lines.append(f"| {link} {first_row((folder / f'{name}.md').read_text(encoding='utf-8'))}")
    text = "\n".join([HEADER, *lines, ""])
    save_whole(folder / "index.md", lambda partial: partial.write_text(text, encoding="utf-8"))


def first_row(page: str) -> str:
    """The first row of a page's table."""
    return [line for line in page.splitlines() if line.startswith("|")][2]

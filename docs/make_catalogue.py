"""Write docs/catalogue.md: every option of every group, from conf/ and the first lines of the docstrings."""

import sys
from pathlib import Path

from hydra.utils import get_object
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
HEADER = """# Catalogue

Every option that ships, as `group=option`. Made by `python docs/make_catalogue.py` from conf/ and the docstrings.
"""


def summary(path: Path) -> str:
    """The comment that opens a config, or the first line of its class's docstring."""
    first = path.read_text().splitlines()[0]
    lines = [line for line in path.read_text().splitlines() if line.startswith("# ") and "@package" not in line]
    if first.startswith("# ") and lines:
        return lines[0].removeprefix("# ")
    target = OmegaConf.load(path).get("_target_")
    return (get_object(target).__doc__ or "").splitlines()[0] if target else ""


def catalogue() -> str:
    """The whole page."""
    sections = [HEADER]
    conf = ROOT / "conf"
    for group in sorted(folder for folder in conf.iterdir() if folder.is_dir() and folder.name != "hydra"):
        paths = sorted(group.glob("*.yaml"))
        if group.name == "experiment":
            paths += sorted(group.glob("theory/*.yaml"))
        names = [path.relative_to(group).with_suffix("").as_posix() for path in paths]
        rows = [f"| `{group.name}={name}` | {summary(path)} |" for name, path in zip(names, paths, strict=True)]
        sections.append("\n".join([f"## {group.name}", "", "| option | what it is |", "|---|---|", *rows, ""]))
    return "\n".join(sections)


if __name__ == "__main__":
    text, path = catalogue(), ROOT / "docs" / "catalogue.md"
    if "--check" in sys.argv:
        sys.exit(
            0 if path.read_text() == text else "docs/catalogue.md is out of date: run python docs/make_catalogue.py"
        )
    path.write_text(text)

"""Put finished sweeps into the docs: a page with table and chart each, their cards, and their tables into the README.

    python docs/make_tables.py digits_losses mnist_losses ring_losses relativistic_ablation

reads outputs/<name>, writes docs/<name>.md and .png and benchmarks/results/<name>.json, and fills the README's block
that starts with `<!-- <name>: ... -->`, where there is one.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from zerosum.report import compare as comparison

ROOT = Path(__file__).parents[1]
TITLES = {
    "digits_losses": ("Three losses on the digits", "loss._target_", "fid"),
    "mnist_losses": ("Three losses on MNIST", "loss._target_", "fid"),
    "ring_losses": ("Every loss on the ring of 8 Gaussians", "run.name", "high_quality"),
    "relativistic_ablation": ("R3GAN's ablation on the grid of 25 Gaussians", "run.name", "modes"),
}


def cards(sweep: Path) -> dict[str, Any]:
    """Best, last and floor of each run, with their cards."""
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(sweep.glob("*/metrics.json"))}
    return {name: {part: report[part] for part in ("best", "last", "floor")} for name, report in reports.items()}


def main(names: list[str]) -> None:
    """One page for each name."""
    for name in names:
        title, row, value = TITLES[name]
        sweep, page = ROOT / "outputs" / name, ROOT / "docs" / f"{name}.md"
        comparison.write([sweep], page, title, [row], value)
        text = json.dumps(cards(sweep), indent=1)
        (ROOT / "benchmarks" / "results" / f"{name}.json").write_text(f"{text}\n")
        table = "\n".join(line for line in page.read_text().splitlines() if line.startswith("|"))
        fill(name, table)
        print(page)


def fill(name: str, table: str) -> None:
    """The README's block of that name."""
    block, readme = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", ROOT / "README.md"
    readme.write_text(re.sub(block, lambda match: f"{match[1]}{table}\n{match[2]}", readme.read_text(), flags=re.S))


if __name__ == "__main__":
    main(sys.argv[1:])

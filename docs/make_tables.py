"""Write a page with table and chart of each finished sweep, its measurements, and its table in other pages.

    python docs/make_tables.py digits_losses mnist_losses ring_losses relativistic_ablation mnist_labels

reads outputs/<name>, writes docs/<name>.md and .png and benchmarks/results/<name>.json, and fills the blocks that start
with `<!-- <name>: ... -->` in README.md, docs/labels.md, docs/zoo.md and docs/applications/, where there are any.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from zerosum.evaluation.measurement import read_record
from zerosum.report.compare import write_comparison

ROOT = Path(__file__).parents[1]
TITLES = {
    "digits_losses": ("Three losses on the digits", "loss._target_", "fid"),
    "mnist_losses": ("Three losses on MNIST", "loss._target_", "fid"),
    "ring_losses": ("Every loss on the ring of 8 Gaussians", "recipe", "high_quality"),
    "ring_losses_long": ("Every loss on the ring of 8 Gaussians, by wider networks", "recipe", "high_quality"),
    "mnist_labels": ("Conditional GANs on MNIST", "labels", "fid"),
    "mnist_labels_none": ("The same without labels", "labels", "fid"),
    "fashion_mnist_projection": ("Fashion-MNIST by projection", "labels", "fid"),
    "mnist_100_labels": ("MNIST with 100 labels", "labels", "test_errors"),
    "mnist_infogan": ("InfoGAN on MNIST", "labels", "fid"),
    "learning_triangle": ("The learning triangle on the ring", "model", "points_wasserstein"),
    "learning_triangle_digits": ("The learning triangle on digits", "model", "fid"),
    "cost_mnist": ("What quality costs on MNIST", "recipe", "fid"),
    "stacked_mnist": ("1,000 modes at 16 pixels", "recipe", "mode_kl"),
    "stacked_mnist_ablation": ("R3GAN's ablation on StackedMNIST at 16 pixels", "loss,regularizer", "mode_kl"),
    "relativistic_ablation": ("R3GAN's ablation on the grid of 25 Gaussians", "loss,regularizer", "modes"),
}


def save_measurements(name: str, runs: Mapping[str, Path]) -> None:
    """Write best, last and floor of each run, with their cards, to benchmarks/results/<name>.json."""
    records = {row: read_record(run / "metrics.json") for row, run in runs.items()}
    content = {
        row: {"best": record.best.to_dict(), "last": record.last.to_dict(), "floor": record.floor}
        for row, record in records.items()
    }
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    path.write_text(f"{json.dumps(content, indent=1)}\n", encoding="utf-8")


def main(names: list[str]) -> None:
    """Write the page, the picture and the results of each named sweep."""
    for name in names:
        title, row, value = TITLES[name]
        sweep, page = ROOT / "outputs" / name, ROOT / "docs" / f"{name}.md"
        write_comparison([sweep], page, title, row.split(","), value)
        page.write_text(page.read_text(encoding="utf-8").replace(f"{ROOT}/", ""), encoding="utf-8")
        save_measurements(name, {path.parent.name: path.parent for path in sorted(sweep.glob("*/metrics.json"))})
        lines = page.read_text(encoding="utf-8").splitlines()
        table = "\n".join(line for line in lines if line.startswith("|"))
        docs = ROOT / "docs"
        pages = [*docs.glob("labels.md"), *docs.glob("zoo.md"), *docs.glob("applications/*.md")]
        for page in [ROOT / "README.md", *pages]:
            fill_block(page, name, table)
        print(ROOT / "docs" / f"{name}.md")


def fill_block(page: Path, name: str, table: str) -> None:
    """Replace the table in a page's block of that name."""
    block = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    text = page.read_text(encoding="utf-8")
    text = re.sub(block, lambda match: f"{match[1]}{table}\n{match[2]}", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

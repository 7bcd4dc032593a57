"""Fill the table of docs/zoo.md: each network's parameters for 32x32x3, without labels and by class.

python docs/make_zoo.py, or python docs/make_zoo.py outputs/cost_mnist for a picture of that sweep's samples too
"""

import sys
from pathlib import Path

import torch
from make_tables import fill_block
from PIL import Image
from torch import nn

from zerosum import sampling
from zerosum.data.dataset import DataShape
from zerosum.drawing.grid import grid, label_rows
from zerosum.evaluation.measurement import read_record
from zerosum.experiment.build import build_networks, make
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.gan.labels.use import Labels
from zerosum.runs.load import load

PAGE = Path(__file__).with_name("zoo.md")
SHAPE = DataShape((3, 32, 32), 10)
BY_CLASS = {
    "dcgan": ["labels=projection"],
    "sngan": ["labels=projection"],
    "sagan": ["labels=projection"],
    "biggan": ["labels=projection", "labels/generator=own"],
    "stylegan2": ["labels=own"],
    "r3gan": ["labels=own"],
}


def count(network: nn.Module) -> str:
    """Parameters of a network."""
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"


def networks(*overrides: str) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, without memory for their weights."""
    config = validate(compose(*overrides))
    labels: Labels = make(config["labels"]) if config["labels"] else Labels("none")
    conditions = None if labels.conditions is None else labels.conditions(SHAPE)
    with torch.device("meta"):
        return build_networks(config["model"], labels, conditions, SHAPE, 1)


def picture(sweep: Path, count: int = 16) -> Image.Image:
    """A row of samples of each network's best.ckpt, seed 0, from the best FID to the worst."""
    runs = {run: read_record(run / "metrics.json").best.values["fid"] for run in sweep.glob("cost_*_seed0")}
    ordered = sorted(runs, key=lambda run: runs[run])
    samples = torch.cat([batch for run in ordered for batch in sampling.images(load(run), range(count))])
    labels = [f"{run.name.removeprefix('cost_').removesuffix('_seed0')}, FID {runs[run]:.3g}" for run in ordered]
    return label_rows(grid(samples, count), labels)


def main(sweep: Path | None = None) -> None:
    """Write one row for each model."""
    rows = ["| `model=` | G | D | G by class | D by class | by class with |", "|---|---:|---:|---:|---:|---|"]
    for name, options in BY_CLASS.items():
        counts = [count(each) for overrides in ([], options) for each in networks(f"model={name}", *overrides)]
        rows.append(f"| `{name}` | {' | '.join(counts)} | `{' '.join(options)}` |")
    fill_block(PAGE, "parameters", "\n".join(rows))
    if sweep is not None:
        picture(sweep).save(PAGE.with_name("images") / "zoo.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

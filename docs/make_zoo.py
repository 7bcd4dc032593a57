"""Fill the table of docs/zoo.md: each network's parameters for 32x32x3, without labels and by class.

python docs/make_zoo.py
"""

from pathlib import Path

import torch
from make_tables import fill_block
from torch import nn

from zerosum.data.dataset import DataShape
from zerosum.experiment.build import build_networks, make
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.gan.labels.use import Labels

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


def main() -> None:
    """Write one row for each model."""
    rows = ["| `model=` | G | D | G by class | D by class | by class with |", "|---|---:|---:|---:|---:|---|"]
    for name, options in BY_CLASS.items():
        counts = [count(each) for overrides in ([], options) for each in networks(f"model={name}", *overrides)]
        rows.append(f"| `{name}` | {' | '.join(counts)} | `{' '.join(options)}` |")
    fill_block(PAGE, "parameters", "\n".join(rows))


if __name__ == "__main__":
    main()

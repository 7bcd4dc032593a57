"""Generative adversarial networks, trained and compared.

import zerosum
zerosum.train(zerosum.compose("dataset=digits", "run.images=10_000"))   # as train.py does
model = zerosum.load("outputs/<run>")
images = model.sample(seeds=range(16))                                  # (16, C, H, W) in [-1, 1]
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zerosum.experiment.compose import compose as compose
    from zerosum.runs.start import train as train
    from zerosum.runs.trained import load as load

PUBLIC = {"compose": "zerosum.experiment.compose", "train": "zerosum.runs.start", "load": "zerosum.runs.trained"}


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes seconds that `--help` and compare.py do without."""
    if name == "__version__":
        return version("zerosum")
    if name not in PUBLIC:
        raise AttributeError(f"module 'zerosum' has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return [*PUBLIC, "__version__"]

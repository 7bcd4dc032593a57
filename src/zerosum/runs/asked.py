"""What a trained model may be asked for, checked without torch, whose import takes seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zerosum.errors import UserError, short
from zerosum.training.power_functions import check_choice

CHECKPOINTS = ("best", "last", "previous")


def check_exists(run: Path) -> None:
    """UserError unless there is something of that name."""
    if not run.exists():
        raise UserError(f"{run}: there is no such folder: choose one that a training made, in outputs/")


def check_weights_asked(checkpoint: Any, weights: str = "ema", ema: Any = None) -> None:
    """UserError unless a run has such a checkpoint, and such weights in it."""
    if checkpoint not in CHECKPOINTS:
        raise UserError(f"checkpoint={checkpoint}: choose best, last or previous")
    check_choice(weights, ema)


def check_places(trusted: Any = (), **folders: Any) -> None:
    """UserError unless folders are text or None, and trusted packages a name or names."""
    for name, folder in folders.items():
        if folder is not None and not isinstance(folder, str):
            raise UserError(f"{name}={folder}: name a folder")
    names = [trusted] if isinstance(trusted, str) else trusted
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise UserError(f"trusted={trusted}: name packages, as in trusted=[my_models]")


def check_seed(seed: Any) -> int:
    """The seed; UserError unless it is a whole number of 0 or more."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed.__index__() < 2**63:
        raise UserError(f"seeds: {short(repr(seed))} is no seed: give whole numbers, 0 or more")
    return seed.__index__()


def check_batch_size(size: Any) -> int:
    """The size; UserError unless it is a whole number of 1 or more."""
    if isinstance(size, bool) or not hasattr(size, "__index__") or size.__index__() < 1:
        raise UserError(f"batch_size={size!r}: give a whole number, 1 or more")
    return size.__index__()


def check_truncation(truncation: Any) -> None:
    """UserError unless it is a number from 0 to 2."""
    if isinstance(truncation, bool) or not isinstance(truncation, int | float) or not 0 <= truncation <= 2:
        raise UserError(f"truncation={truncation}: choose from 0, the mean, to 1, which changes nothing; at most 2")

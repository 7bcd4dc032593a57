"""Reads checkpoints without running code from them, and checks that every bit loaded is one that was saved."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zerosum.errors import UserError, one_line
from zerosum.evaluation.cached import refuse_damage
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

TRUE_PRECISIONS = {
    "16-true": torch.float16,
    "bf16-true": torch.bfloat16,
    "64-true": torch.float64,
    "64": torch.float64,
}
"""Settings of trainer.precision with weights that are not float32"""
MOST_VALUES = 2**22
"""Values in the lists and dictionaries of a checkpoint; a file of a few bytes may hold one list millions of times"""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, with a clock and weights; UserError if it is missing or damaged."""
    if not path.is_file():
        raise UserError(f"there is no {path}: {suggest_other(path)}")
    try:
        refuse_damage(path)
        stored = torch.load(path, weights_only=True, map_location="cpu")
        check_size(stored)
        if type(stored["images_seen"]) is not int or not 0 <= stored["images_seen"] < 2**63:
            raise ValueError("images_seen is not a number of images")
        if not isinstance(stored["state_dict"], dict):
            raise ValueError("it has no weights")
    except Exception as error:  # torch.load raises whatever the damage makes it
        raise UserError(
            f"{path} cannot be read ({describe_error(error)}): it is damaged, choose another checkpoint"
        ) from error
    return stored


def suggest_other(path: Path) -> str:
    """Advice where a checkpoint is missing."""
    others = [name for name in ("best", "last", "previous") if path.with_name(f"{name}.ckpt").is_file()]
    if others:
        return f"choose checkpoint={' or '.join(others)}"
    return (
        "this run ended before its first checkpoint; start it again with its own options,"
        f" hydra.run.dir={path.parent} and resume=auto"
    )


def check_size(stored: Any) -> None:
    """Raise at more values than any run saves, before anything walks through them."""
    unseen, count = [stored], 0
    while unseen:
        node = unseen.pop()
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple | set) else ()
        count += len(inner)
        if count > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values")
        unseen.extend(inner)


def read_newest(run: Path) -> tuple[Path, dict[str, Any]]:
    """last.ckpt and its content, or previous.ckpt if last.ckpt is damaged or missing."""
    last, previous = run / "last.ckpt", run / "previous.ckpt"
    try:
        return last, read_checkpoint(last)
    except UserError as error:
        if not previous.exists():
            raise
        stored = read_checkpoint(previous)
        log.warning("%s. Continuing from %s, at %s images.", error, previous, f"{stored['images_seen']:,}")
        return previous, stored


def describe_error(error: Exception) -> str:
    """An error's message in a few words."""
    return f"it has no {error}" if isinstance(error, KeyError) else one_line(error)


def check_weights(module: GenerativeModule, stored: dict[str, Any], path: Path, precision: Any = None) -> None:
    """UserError unless the weights have exactly the module's names, shapes and dtypes, and are finite."""
    dtype = TRUE_PRECISIONS.get(str(precision))
    if difference := first_difference(module.state_dict(), stored["state_dict"], dtype):
        raise UserError(f"{path} holds another model than {path.parent / 'config.yaml'} describes: {difference}")
    for name, value in stored["state_dict"].items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise UserError(
                f"{path} holds NaN or infinite values ({name}): training diverged, choose another checkpoint"
            )


def first_difference(expected: Mapping[str, Any], found: Mapping[str, Any], dtype: torch.dtype | None) -> str | None:
    """First difference in names, shapes or dtypes of two state dicts, or None.

    `dtype` is also accepted for floating-point tensors. torch would copy an integer into a float without a word.
    """
    for name in found.keys() - expected.keys():
        return f"there is no place for {name}"
    for name, place in expected.items():
        if name not in found:
            return f"{name} is missing"
        other = dtype if isinstance(place, Tensor) and place.is_floating_point() else None
        if form(found[name]) not in (form(place), form(place, other)):
            return f"{name} is {describe(found[name])}, not {describe(place)}"
        if getattr(found[name], "is_meta", False):
            return f"{name} has no values"
    return None


def form(value: Any, dtype: torch.dtype | None = None) -> tuple[Any, ...]:
    """Type, layout, shape and dtype, which must be equal for one value to replace another."""
    if not isinstance(value, Tensor):
        return (type(value),)
    return Tensor, value.layout, value.shape, dtype or value.dtype


def describe(value: Any) -> str:
    """A tensor in words."""
    return f"{value.dtype} of {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"

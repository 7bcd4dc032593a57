"""Checkpoints are read without running code from them, and only whole: every bit that is loaded was saved."""

import copy
import json
import logging
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor
from torch.optim import Optimizer

from zerosum.errors import UserError, one_line
from zerosum.gan import GAN
from zerosum.quiet import hush

log = logging.getLogger("zerosum")

TRUE_PRECISIONS = {
    "16-true": torch.float16,
    "bf16-true": torch.bfloat16,
    "64-true": torch.float64,
    "64": torch.float64,
}
"""Settings of the trainer in which weights are kept in other numbers than float32."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, with the clock and the weights in place."""
    if not path.is_file():
        raise UserError(f"there is no {path}: this run has not reached its first checkpoint")
    try:
        refuse_damage(path)
        stored = torch.load(path, weights_only=True, map_location="cpu")
        if type(stored["images_seen"]) is not int or stored["images_seen"] < 0:
            raise ValueError("images_seen is no number of images")
        if not isinstance(stored["state_dict"], dict):
            raise ValueError("it has no weights")
    except Exception as error:  # torch.load raises whatever the damage makes it
        raise UserError(f"{path} cannot be read ({reason(error)}): it is damaged, take another checkpoint") from error
    return stored


def newest(run: Path) -> tuple[Path, dict[str, Any]]:
    """last.ckpt and its content, or previous.ckpt, the one before it, where last.ckpt is damaged or gone."""
    last, previous = run / "last.ckpt", run / "previous.ckpt"
    try:
        return last, read_checkpoint(last)
    except UserError as error:
        if not previous.exists():
            raise
        stored = read_checkpoint(previous)
        log.warning("%s. Going on from %s, at %s images.", error, previous, f"{stored['images_seen']:,}")
        return previous, stored


def reason(error: Exception) -> str:
    """What is wrong, in a few words."""
    return f"it has no {error}" if isinstance(error, KeyError) else one_line(error)


def refuse_damage(path: Path) -> None:
    """Raises where a record's checksum is wrong, which torch.load does not look at, or where one would unfold."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
        if packed or sum(record.file_size for record in records) > path.stat().st_size:
            raise ValueError("it is packed, which no checkpoint is")
        if len({record.filename for record in records}) < len(records):
            raise ValueError("it has a record twice")
        if broken := archive.testzip():
            raise ValueError(f"the checksum of {broken} is wrong")


def refuse_other(gan: GAN, stored: dict[str, Any], path: Path, precision: Any = None) -> None:
    """A UserError where the weights are not exactly those that the GAN has places for, or are no numbers."""
    kept = TRUE_PRECISIONS.get(str(precision))
    if difference := first_difference(gan.state_dict(), stored["state_dict"], kept):
        raise UserError(f"{path} holds another model than {path.parent / 'config.yaml'} describes: {difference}")
    for name, value in stored["state_dict"].items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise UserError(f"{path} holds NaN or infinite values ({name}): training diverged, take another checkpoint")


def first_difference(places: Mapping[str, Any], found: Mapping[str, Any], kept: torch.dtype | None) -> str | None:
    """What keeps the tensors found from taking the places bit for bit; None where nothing does.

    They have the places' own types, or that which a true precision keeps them in.
    """
    for name in found.keys() - places.keys():
        return f"there is no place for {name}"
    for name, place in places.items():
        if name not in found:
            return f"{name} is missing"
        kinds = [form(place), form(place, kept if isinstance(place, Tensor) and place.is_floating_point() else None)]
        if form(found[name]) not in kinds:
            return f"{name} is {said(found[name])}, not {said(place)}"
        if getattr(found[name], "is_meta", False):
            return f"{name} has no values"
    return None


def form(value: Any, kept: torch.dtype | None = None) -> tuple[Any, ...]:
    """What must be equal for one value to be copied into another's place; the places may be on no device."""
    if not isinstance(value, Tensor):
        return (type(value),)
    return Tensor, value.layout, value.shape, kept or value.dtype


def said(value: Any) -> str:
    """A tensor in words."""
    return f"{value.dtype} of {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def refuse_unresumable(gan: GAN, stored: dict[str, Any], images_a_step: int, path: Path) -> None:
    """A UserError where training could not go on from the checkpoint as if it had never stopped."""
    try:
        if not re.fullmatch(r"2\.\d+\.\d+\S*", stored["pytorch-lightning_version"]) or stored["lr_schedulers"] != []:
            raise ValueError("it was not saved by zerosum")
        loop = stored["loops"]["fit_loop"]
        if not alike(loop, progress()):
            raise ValueError("its progress is none of training")
        total = loop["epoch_loop.manual_optimization.optim_step_progress"]["total"]
        steps = {stored["global_step"], total["ready"], total["completed"]}
        if steps != {stored["images_seen"] / images_a_step}:
            raise ValueError(f"{stored['images_seen']:,} images are not {stored['global_step']:,} steps")
        for optimizer, state in zip(gan.configure_optimizers(), stored["optimizer_states"], strict=True):
            refuse_state(optimizer, state, stored["global_step"])
        refuse_history(stored["callbacks"].get("Evaluate", {"history": []})["history"])
    except UserError:
        raise
    except Exception as error:  # whatever is missing, or is something else
        raise UserError(
            f"{path} cannot be gone on with ({reason(error)}): it is no checkpoint of this run, take another"
        ) from error


def refuse_history(history: list[dict[str, Any]]) -> None:
    """Raises where it is no list of measurements, each with its card."""
    json.dumps(history)
    for entry in history:
        numbers = [entry["card"]["images"], entry["minutes"], *entry["values"].values()]
        if not all(isinstance(number, int | float | None) for number in numbers) or not entry["values"]:
            raise ValueError("its measurements are no numbers")


def progress() -> dict[str, Any]:
    """What Lightning keeps of the progress of training, at its start."""
    hush()
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        plugins=[LightningEnvironment()],  # a cluster's would compare its processes with this trainer's one
    )
    return trainer.fit_loop.state_dict()


def alike(found: Any, expected: Any) -> bool:
    """Whether nested structures have the same keys, types and shapes, with no negative count, no infinite number."""
    if isinstance(expected, dict):
        same = isinstance(found, dict) and found.keys() == expected.keys()
        return same and all(alike(found[key], value) for key, value in expected.items())
    if isinstance(expected, Tensor):
        same = isinstance(found, Tensor) and found.shape == expected.shape
        return same and found.is_floating_point() == expected.is_floating_point() and bool(found.isfinite().all())
    bounded = math.isfinite(found) if isinstance(found, float) else not isinstance(found, int) or found >= 0
    return type(found) is type(expected) and bounded


def refuse_state(optimizer: Optimizer, state: dict[str, Any], steps: int) -> None:
    """Raises where the optimizer with that state would not be the same one so many steps later."""
    fresh = copy.deepcopy(optimizer)
    optimizer.load_state_dict(state)
    if steps == 0 or not type(optimizer).__module__.startswith("torch.optim"):
        return  # others may keep what they like
    for group in fresh.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    fresh.step()
    found, expected = optimizer.state_dict(), fresh.state_dict()
    if not all(alike(moments, expected["state"].get(index)) for index, moments in found["state"].items()):
        raise ValueError("its optimizer has no moments of these weights")
    for own, usual in zip(found["param_groups"], expected["param_groups"], strict=True):
        floats = {name for name, value in usual.items() if type(value) is float}  # `Anneal` changes them
        if own.keys() != usual.keys() or any(own[name] != usual[name] for name in own.keys() - floats):
            raise ValueError("its optimizer has other settings")
        if not all(alike(own[name], usual[name]) for name in floats):
            raise ValueError("its optimizer has settings that are no numbers")

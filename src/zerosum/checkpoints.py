"""Checkpoints are read without running code from them, and only whole: every bit that is loaded was saved."""

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
    kept = TRUE_PRECISIONS.get(str(precision), torch.float32)
    if difference := first_difference(gan.state_dict(), stored["state_dict"], kept):
        raise UserError(f"{path} holds another model than {path.parent / 'config.yaml'} describes: {difference}")
    for name, value in stored["state_dict"].items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise UserError(f"{path} holds NaN or infinite values ({name}): training diverged, take another checkpoint")


def first_difference(places: Mapping[str, Any], found: Mapping[str, Any], kept: torch.dtype) -> str | None:
    """What keeps the tensors found from taking the places bit for bit; None where nothing does."""
    for name in found.keys() - places.keys():
        return f"there is no place for {name}"
    for name, place in places.items():
        if name not in found:
            return f"{name} is missing"
        wanted = kept if isinstance(place, Tensor) and place.is_floating_point() else getattr(place, "dtype", None)
        if form(found[name]) != (type(place), getattr(place, "shape", None), wanted):
            return f"{name} is {said(found[name])}, not {said(place)}"
    return None


def form(value: Any) -> tuple[Any, ...]:
    """What must be equal for one value to be copied into another's place."""
    plain = isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"
    kind = Tensor if plain else type(value) if not isinstance(value, Tensor) else None
    return kind, getattr(value, "shape", None), getattr(value, "dtype", None)


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
            restore(optimizer, state)
        for entry in stored["callbacks"].get("Evaluate", {"history": []})["history"]:
            entry["card"]["images"] + entry["minutes"] + sum(value for value in entry["values"].values() if value)
    except UserError:
        raise
    except Exception as error:  # whatever is missing, or is something else
        raise UserError(
            f"{path} cannot be gone on with ({reason(error)}): it is no checkpoint of this run, take another"
        ) from error


def progress() -> dict[str, Any]:
    """What Lightning keeps of the progress of training, at its start."""
    hush()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    # An environment of its own: a cluster's would compare its processes with this trainer's one.
    trainer = Trainer(accelerator="cpu", devices=1, max_steps=1, plugins=[LightningEnvironment()], **quiet)
    return trainer.fit_loop.state_dict()


def alike(found: Any, expected: Any) -> bool:
    """Whether a nested dictionary has the same keys, with values of the same types and no negative number."""
    if isinstance(expected, dict):
        keys = isinstance(found, dict) and found.keys() == expected.keys()
        return keys and all(alike(found[key], value) for key, value in expected.items())
    return type(found) is type(expected) and not (isinstance(found, int) and found < 0)


def restore(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's state; raises where a moment does not fit its weight, which torch does not look at."""
    optimizer.load_state_dict(state)
    known = type(optimizer).__module__.startswith("torch.optim")  # others may keep what they like
    for parameter, moments in optimizer.state.items() if known else ():
        for name, moment in moments.items():
            if isinstance(moment, Tensor) and torch.broadcast_shapes(moment.shape, parameter.shape) != parameter.shape:
                raise ValueError(f"{name} has shape {list(moment.shape)}, its weight {list(parameter.shape)}")
            if isinstance(moment, Tensor) and not moment.isfinite().all():
                raise ValueError(f"{name} holds NaN or infinite values")

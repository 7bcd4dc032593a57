"""Reads checkpoints without running code from them, and checks that every bit loaded is one that was saved."""

import copy
import logging
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor
from torch.optim import Optimizer

from zerosum.errors import UserError, one_line
from zerosum.evaluation.cached import refuse_damage
from zerosum.training.module import GenerativeModule
from zerosum.training.process import silence_libraries

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
        raise UserError(f"{path} cannot be read ({reason(error)}): it is damaged, choose another checkpoint") from error
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


def newest(run: Path) -> tuple[Path, dict[str, Any]]:
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


def reason(error: Exception) -> str:
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


def check_resumable(
    module: GenerativeModule, callbacks: Iterable[Callback], stored: dict[str, Any], images_per_step: int, path: Path
) -> None:
    """UserError if training could not continue from the checkpoint as if it had never stopped.

    Optimizers and callbacks load their states here, before training, just as they will in training.
    """
    try:
        if not re.fullmatch(r"2\.\d+\.\d+\S*", stored["pytorch-lightning_version"]) or stored["lr_schedulers"] != []:
            raise ValueError("it was not saved by zerosum")
        check_progress(stored, images_per_step)
        optimizers = module.configure_optimizers()
        every = optimizers if isinstance(optimizers, list) else [optimizers]
        for optimizer, state in zip(every, stored["optimizer_states"], strict=True):
            check_optimizer(optimizer, state, stored["global_step"])
        for callback in callbacks:
            load_state(callback, stored["callbacks"])
    except UserError:
        raise
    except Exception as error:  # anything may be missing, or be something else
        raise UserError(
            f"{path} cannot be resumed ({reason(error)}): it is not a checkpoint of this run, choose another"
        ) from error


def check_progress(stored: dict[str, Any], images_per_step: int) -> None:
    """Raise unless Lightning's counts of steps agree with images_seen."""
    counts = stored["loops"]["fit_loop"]
    loop = plain_trainer().fit_loop
    if counts.keys() != loop.state_dict().keys():
        raise ValueError("its progress is not that of training")
    loop.load_state_dict(copy.deepcopy(counts))
    total = counts["epoch_loop.manual_optimization.optim_step_progress"]["total"]
    steps = {stored["global_step"], total["ready"], total["completed"]}
    if steps != {stored["images_seen"] / images_per_step}:
        raise ValueError(f"{stored['images_seen']:,} images are not {stored['global_step']:,} steps")
    if any(type(count) is not int or count < 0 for count in leaves(counts) if type(count) is not bool):
        raise ValueError("its progress is not that of training")


def plain_trainer() -> Trainer:
    """A trainer without loggers and callbacks, whose loop can load the counts of another."""
    silence_libraries()
    return Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        plugins=[LightningEnvironment()],  # a cluster's would compare its processes with this trainer's one
    )


def leaves(node: Any) -> list[Any]:
    """Every value in nested dictionaries that is not itself a dictionary."""
    return [leaf for value in node.values() for leaf in leaves(value)] if isinstance(node, dict) else [node]


def check_optimizer(optimizer: Optimizer, state: dict[str, Any], steps: int) -> None:
    """Raise unless the optimizer can load the state and has finite moments in the shapes of its weights."""
    before = copy.deepcopy(optimizer.state_dict()["param_groups"])
    optimizer.load_state_dict(copy.deepcopy(state))
    for group, usual in zip(optimizer.state_dict()["param_groups"], before, strict=True):
        # `Anneal` and rollbacks change numbers, nothing changes the rest.
        if group.keys() != usual.keys() or any(changed(group[name], usual[name]) for name in usual):
            raise ValueError("its optimizer has other settings")
    if steps and not optimizer.state and type(optimizer).__name__.startswith("Adam"):
        raise ValueError("its optimizer has no moments")
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and not (fits(value, parameter, name) and value.isfinite().all()):
                raise ValueError(f"its optimizer's {name} does not fit its weights")


def fits(moment: Tensor, parameter: Tensor, name: str) -> bool:
    """Whether a moment is a scalar or has its weight's shape; Adafactor's means over rows and columns have a size 1."""
    if name in ("row_var", "col_var"):
        sizes = zip(moment.shape, parameter.shape, strict=False)
        return moment.dim() == parameter.dim() and all(size in (1, full) for size, full in sizes)
    return moment.shape in (parameter.shape, ())


def changed(value: Any, usual: Any) -> bool:
    """Whether a setting of an optimizer differs in a way that training cannot have caused."""
    if type(usual) is float:
        return type(value) is not float or not math.isfinite(value)
    return bool(value != usual)


def load_state(callback: Callback, states: Mapping[str, Any]) -> None:
    """Let a callback load its state; raise if it cannot."""
    try:
        callback.load_state_dict(copy.deepcopy(states.get(callback.state_key) or callback.state_dict()))
    except UserError:
        raise
    except Exception as error:
        name = type(callback).__name__
        raise ValueError(f"it has no state that {name} can load: {reason(error)}") from error

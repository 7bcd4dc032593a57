"""Checks that training can continue from a checkpoint as if it had never stopped."""

import copy
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import Tensor
from torch.optim import Optimizer

from zerosum.errors import UserError
from zerosum.runs.checkpoints import describe_error
from zerosum.training.module import GenerativeModule
from zerosum.training.process import silence_libraries


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
            f"{path} cannot be resumed ({describe_error(error)}): it is not a checkpoint of this run, choose another"
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
    if any(type(count) is not int or count < 0 for count in leaf_values(counts) if type(count) is not bool):
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


def leaf_values(node: Any) -> list[Any]:
    """Every value in nested dictionaries that is not itself a dictionary."""
    return [leaf for value in node.values() for leaf in leaf_values(value)] if isinstance(node, dict) else [node]


def check_optimizer(optimizer: Optimizer, state: dict[str, Any], steps: int) -> None:
    """Raise unless the optimizer can load the state and has finite moments in the shapes of its weights."""
    before = copy.deepcopy(optimizer.state_dict()["param_groups"])
    optimizer.load_state_dict(copy.deepcopy(state))
    for group, usual in zip(optimizer.state_dict()["param_groups"], before, strict=True):
        # `Anneal` and rollbacks change numbers, nothing changes the rest.
        if group.keys() != usual.keys() or any(has_changed(group[name], usual[name]) for name in usual):
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


def has_changed(value: Any, usual: Any) -> bool:
    """Whether a setting of an optimizer differs in a way that training cannot have caused."""
    if type(usual) is float:
        return type(value) is not float or not math.isfinite(value)
    if isinstance(usual, tuple | list) and type(value) is type(usual) and len(value) == len(usual):
        return any(has_changed(*pair) for pair in zip(value, usual, strict=True))
    return bool(value != usual)


def load_state(callback: Callback, states: Mapping[str, Any]) -> None:
    """Let a callback load its state; raise if it cannot."""
    try:
        callback.load_state_dict(copy.deepcopy(states.get(callback.state_key) or callback.state_dict()))
    except UserError:
        raise
    except Exception as error:
        name = type(callback).__name__
        raise ValueError(f"it has no state that {name} can load: {describe_error(error)}") from error

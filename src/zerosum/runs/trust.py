"""Checks a run's config before anything in it is used: the run folder may be a stranger's."""

import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import torch

from zerosum.errors import UserError
from zerosum.experiment.settings import flatten
from zerosum.runs.folder import lies_in

TERMS = tuple(
    f"zerosum.gan.{name}"
    for name in ("regularizers", "feature_matching", "labels.terms", "labels.labelled", "labels.codes")
)
"""Terms of the players' losses"""
LOSSES = ("zerosum.gan.losses", "zerosum.gan.fgan")
"""Losses on logits"""
ALLOWED: dict[str, tuple[str, ...]] = {
    "dataset": ("zerosum.data",),
    "model": ("zerosum.models", "zerosum.families", *LOSSES, "zerosum.gan.regularizers"),
    "loss": LOSSES,
    "regularizer": (*TERMS, "zerosum.gan.augment"),
    "generator_regularizer": TERMS,
    "augment": ("zerosum.gan.augment",),
    "labels": (
        *("zerosum.gan.labels.use", "zerosum.gan.labels.conditions", "zerosum.gan.labels.codes", "zerosum.models"),
        *("zerosum.gan.labels.conditions.conditions_of_data", "zerosum.models.conditioning.condition_batch_norms"),
    ),
    "optimizer": ("torch.optim",),
    "features": ("zerosum.evaluation",),
    "metrics": ("zerosum.evaluation",),
    "protocol": ("zerosum.evaluation",),
    "trainer": ("lightning.Trainer", "zerosum.training.strategy"),
    "callbacks": (
        *("zerosum.training.callbacks", "zerosum.gan.logits", "zerosum.gan.gamma_control", "zerosum.doctor"),
        *("zerosum.gan.labels.traversals", "zerosum.evaluation", "zerosum.report.run_report.write_run_report"),
    ),
    "logger": tuple(f"zerosum.training.loggers.{name}" for name in ("CSVLogger", "TensorBoardLogger", "wandb_logger")),
}
"""For each group of a config, the modules whose classes it may name, and single classes and functions"""
WIDEST = 2**16
"""Bound of whole numbers in zerosum's own models: a depth of 10^12 would take years to build"""
MOST = 2**24
"""Bound of whole numbers elsewhere, such as samples of a protocol"""
LARGEST = 2**63
"""Bound of seeds and of images seen: torch's integers have 64 bits"""
BOUNDS = {"callbacks.count": WIDEST, "callbacks.frames": WIDEST, "game.unroll": 2**10, "game.critic_steps": 2**10}
BOUNDS |= {"game.pack": 2**10, "trainer.num_nodes": 2**10, "trainer.devices": 2**10}
BOUNDS |= {"images": LARGEST, "every": LARGEST, "seed": LARGEST}
"""Bounds of options by their last name, of some in one group alone"""
SEVERAL_MACHINES = ("SLURM_NNODES", "SLURM_JOB_NUM_NODES", "GROUP_RANK", "NODE_RANK")
"""Environment variables of a process that was started on one of several machines"""


def check_trusted(node: Any, trusted: Sequence[str] = (), path: str = "") -> Any:
    """Return the node; UserError if it names a class that is neither zerosum's nor in a `trusted` package."""
    if isinstance(node, dict):
        known = "_target_" in node and check_trusted_target(node["_target_"], trusted, f"{path}._target_".lstrip("."))
        for key, value in node.items():
            refuse_key(key, value, path, trusted=known)
            check_trusted(value, trusted, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            check_trusted(item, trusted, f"{path}[{index}]")
    elif isinstance(node, int | float):
        refuse_number(node, LARGEST if trusted else bound_of(path), path)
    return node


def check_trusted_target(target: Any, trusted: Sequence[str], path: str) -> bool:
    """Whether a target is in a trusted package and not zerosum's own; UserError if it is neither."""
    if isinstance(target, str):
        for places in (ALLOWED.get(path.split(".")[0], ()), trusted):
            if any(is_in(target, place, functions=places is trusted) for place in places):
                return places is trusted
    package = str(target).partition(".")[0]
    foreign = package.isidentifier() and package not in {"zerosum", "torch", *sys.stdlib_module_names}
    advice = f"; if {package} is yours or you trust it, add trusted=[{package}]" if foreign else ""
    group = path.partition(".")[0]
    raise UserError(
        f"{path}={target}: the config of a run may name only classes that zerosum allows in {group}, so that opening it"
        f" runs no foreign code{advice}"
    )


def is_in(target: str, place: str, functions: bool) -> bool:
    """Whether the target is the place itself or a class defined in it; nothing outside of the place is imported."""
    module, _, name = target.rpartition(".")
    if target != place and not target.startswith(f"{place}."):
        return False
    try:
        # Not by attributes from module to module: zerosum.files.os.system is not in zerosum.files.
        found = vars(import_module(module)).get(name)
    except Exception as error:  # an import raises whatever the module raises
        raise UserError(f"{target} cannot be imported ({error}): check the name") from error
    if target == place:
        return isinstance(found, type | FunctionType)
    kinds = type | FunctionType if functions else type
    if not isinstance(found, kinds) or (isinstance(found, type) and issubclass(found, BaseException)):
        return False
    return f"{found.__module__}.".startswith(f"{place}.")


def refuse_key(key: Any, value: Any, path: str, trusted: bool) -> None:
    """Refuse options that are not passed by name, which the checks by name would miss."""
    if not isinstance(key, str):
        raise UserError(f"{path}.{key}: the keys of a run's config are words")
    if key == "_partial_" and not isinstance(value, bool):
        raise UserError(f"{path}.{key}={value}: expected true or false")
    if key in ("_args_", "_convert_", "_recursive_") and not trusted:
        raise UserError(f"{path}.{key}: the config of a run names every option, without {key}")


def bound_of(path: str) -> int:
    """The bound of a whole number at this place of a config."""
    group, name = path.split(".")[0], path.split(".")[-1]
    return WIDEST if group == "model" else BOUNDS.get(f"{group}.{name}", BOUNDS.get(name, MOST))


def refuse_number(number: float, limit: int, path: str) -> None:
    """Refuse NaN, and whole numbers from the limit on."""
    if number != number:
        raise UserError(f"{path} is NaN: choose another run")
    if isinstance(number, int) and abs(number) >= limit:
        raise UserError(f"{path} must be less than {limit:,} in a run's config: choose another run")


def refuse_elsewhere(config: dict[str, Any], run: Path, given: Collection[str] = ()) -> None:
    """UserError if training would write outside of the run's folder, unless the user has `given` that key."""
    leaves = flatten({name: config.get(name) for name in ("callbacks", "logger", "run", "trainer")})
    for path, folder in leaves.items():
        says_where = path.rpartition(".")[2] in ("folder", "default_root_dir")
        if says_where and path not in given and not (isinstance(folder, str) and lies_in(folder, run)):
            raise UserError(
                f"{path}={folder} is not in {run}, and a run may write into its own folder alone: if it is right, add"
                f" {path}={folder}"
            )


def refuse_machines(config: dict[str, Any], given: Collection[str] = ()) -> None:
    """UserError if the run would start more processes than there are devices here, or wait for other machines."""
    trainer = config.get("trainer") if isinstance(config.get("trainer"), dict) else {}
    assert isinstance(trainer, dict)
    nodes, devices = trainer.get("num_nodes", 1), trainer.get("devices", 1)
    here = max(torch.cuda.device_count(), os.cpu_count() or 1)
    several = any(name in os.environ for name in SEVERAL_MACHINES)
    if not {"trainer", "trainer.num_nodes"} & set(given) and isinstance(nodes, int) and nodes > 1 and not several:
        raise UserError(
            f"trainer.num_nodes={nodes}: the run was trained on {nodes} machines; start it on as many, as docs/scale.md"
            " says, or add trainer.num_nodes=1"
        )
    if not {"trainer", "trainer.devices"} & set(given) and isinstance(devices, int) and devices > here:
        raise UserError(f"trainer.devices={devices}: there are {here} here; add trainer.devices={here} or fewer")


def refuse_root(config: dict[str, Any], run: Path, given: Collection[str] = ()) -> None:
    """UserError if the dataset's caches would be read from the run's folder, or written where there are none yet.

    Values are not computed from caches that a run brings along; a folder with a cache in it is taken for the user's.
    """
    dataset = config.get("dataset")
    root = dataset.get("root") if isinstance(dataset, dict) else None
    if root is None or "dataset.root" in given:
        return
    if not isinstance(root, str) or lies_in(root, run):
        raise UserError(
            f"dataset.root={root} is in the run's folder: say where your data is, such as dataset.root=data"
        )
    if not (lies_in(root, Path.cwd()) or (Path(root) / "cache").is_dir()):
        raise UserError(
            f"dataset.root={root} has no cache in it, and a run may not choose a new folder: say where your data is,"
            " such as dataset.root=data"
        )

"""Checks of a run's config before anything in it is used: a run folder may be a stranger's."""

import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from zerosum.errors import UserError
from zerosum.experiment.settings import flatten
from zerosum.runs.folder import lies_in

ALLOWED: dict[str, tuple[str, ...]] = {
    "dataset": ("zerosum.data",),
    "model": ("zerosum.models", "zerosum.families"),
    "loss": ("zerosum.gan.losses", "zerosum.gan.fgan"),
    "regularizer": ("zerosum.gan.regularizers", "zerosum.gan.augment"),
    "generator_regularizer": ("zerosum.gan.regularizers",),
    "augment": ("zerosum.gan.augment",),
    "optimizer": ("torch.optim",),
    "features": ("zerosum.evaluation",),
    "metrics": ("zerosum.evaluation",),
    "protocol": ("zerosum.evaluation",),
    "trainer": ("lightning.Trainer", "zerosum.distributed"),
    "callbacks": ("zerosum.training.callbacks", "zerosum.gan.overfitting", "zerosum.evaluation"),
    "logger": ("zerosum.training.loggers.CSVLogger", "zerosum.training.loggers.wandb_logger"),
}
"""For each group of a config, the modules whose classes it may name, and single classes and functions"""
WIDEST = 2**16
"""Bound of whole numbers in zerosum's own models: a depth of 10^12 would take years to build"""
LARGEST = 2**63
"""Bound of all whole numbers: torch's have 64 bits"""


def check_trusted(node: Any, trusted: Sequence[str] = (), path: str = "") -> Any:
    """The node, or a UserError where it names what is not zerosum's own nor in a package that is `trusted`."""
    if isinstance(node, dict):
        known = "_target_" in node and check_trusted_target(node["_target_"], trusted, f"{path}._target_".lstrip("."))
        for key, value in node.items():
            refuse_key(key, value, path, trusted=known)
            check_trusted(value, trusted, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            check_trusted(item, trusted, f"{path}[{index}]")
    elif isinstance(node, int | float):
        refuse_number(node, WIDEST if path.startswith("model.") and not trusted else LARGEST, path)
    return node


def check_trusted_target(target: Any, trusted: Sequence[str], path: str) -> bool:
    """Whether a target is trusted's, not zerosum's own; a UserError where it is neither's."""
    if isinstance(target, str):
        for places in (ALLOWED.get(path.split(".")[0], ()), trusted):
            if any(found_in(target, place, functions=places is trusted) for place in places):
                return places is trusted
    package = str(target).partition(".")[0]
    foreign = package.isidentifier() and package not in {"zerosum", "torch", *sys.stdlib_module_names}
    advice = f"; if {package} is yours or you trust it, add trusted=[{package}]" if foreign else ""
    raise UserError(
        f"{path}={target}: the config of a run may name zerosum's own classes, torch.optim's and lightning.Trainer,"
        f" so that opening it runs nobody's code{advice}"
    )


def found_in(target: str, place: str, functions: bool) -> bool:
    """Whether the target is the place itself or a class that is defined in it; nothing elsewhere is imported."""
    module, _, name = target.rpartition(".")
    if target != place and not target.startswith(f"{place}."):
        return False
    try:
        # Not by attributes from module to module: zerosum.files.os.system begins well.
        found = vars(import_module(module)).get(name)
    except Exception as error:  # an import raises whatever the module raises
        raise UserError(f"{target} cannot be imported ({error}): check the name") from error
    if target == place:
        return isinstance(found, type | FunctionType)
    return isinstance(found, type | FunctionType if functions else type) and f"{found.__module__}.".startswith(
        f"{place}."
    )


def refuse_key(key: Any, value: Any, path: str, trusted: bool) -> None:
    """Options are named and plain, so that what is checked by name is all there is."""
    if not isinstance(key, str):
        raise UserError(f"{path}.{key}: the config of a run has words for keys, this is none")
    if key == "_partial_" and not isinstance(value, bool):
        raise UserError(f"{path}.{key}={value}: expected true or false")
    if key in ("_args_", "_convert_", "_recursive_") and not trusted:
        raise UserError(f"{path}.{key}: the config of a run names every option, without {key}")


def refuse_number(number: float, limit: int, path: str) -> None:
    """No NaN, and no whole number from the limit on."""
    if number != number:
        raise UserError(f"{path} is NaN: the config of a run has numbers")
    if isinstance(number, int) and abs(number) >= limit:
        raise UserError(f"{path} is larger than any that a run can have ({limit:,})")


def refuse_elsewhere(config: dict[str, Any], run: Path, given: Collection[str] = ()) -> None:
    """A UserError where training would write outside of the run's folder; keys `given` by the user may."""
    leaves = flatten({name: config.get(name) for name in ("callbacks", "logger", "run", "trainer")})
    for path, folder in leaves.items():
        says_where = path.rpartition(".")[2] in ("folder", "default_root_dir")
        if says_where and path not in given and not (isinstance(folder, str) and lies_in(folder, run)):
            raise UserError(
                f"{path}={folder} is not in {run}, where alone the run may write: if it is right, add {path}={folder}"
            )


def refuse_root(config: dict[str, Any], run: Path, given: Collection[str] = ()) -> None:
    """A UserError where the dataset's caches would be read from the run's folder, or written where none have been.

    What a run brings along could be anything, so figures are not computed from it; a root is known by its cache.
    """
    dataset = config.get("dataset")
    root = dataset.get("root") if isinstance(dataset, dict) else None
    if root is None or "dataset.root" in given:
        return
    if not isinstance(root, str) or lies_in(root, run):
        raise UserError(f"dataset.root={root} is no folder but the run's: say where your data is, dataset.root=data")
    if not (lies_in(root, Path.cwd()) or (Path(root) / "cache").is_dir()):
        raise UserError(
            f"dataset.root={root} has no caches of yours, and a run may not bring its own: say where your data is,"
            " such as dataset.root=data"
        )

"""What the config of a run may name, and where it may write: a run folder can be anyone's."""

import sys
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from zerosum.errors import UserError
from zerosum.run_folder import lies_in

OWN = (
    "lightning.Trainer",
    "torch.optim",
    "zerosum.augment",
    "zerosum.callbacks",
    "zerosum.data",
    "zerosum.distributed",
    "zerosum.evaluation",
    "zerosum.features",
    "zerosum.fgan",
    "zerosum.loggers.CsvLogger",
    "zerosum.loggers.wandb_logger",
    "zerosum.losses",
    "zerosum.models",
    "zerosum.regularizers",
)
"""Modules, whose classes a run's config may name, and single classes and functions."""
WIDEST = 2**16
"""No number of zerosum's own models is larger: a depth of 10^12 would be built for years."""
LARGEST = 2**63
"""No number at all is: torch takes 64 bits."""


def vetted(node: Any, trusted: Sequence[str] = (), path: str = "") -> Any:
    """The node, or a UserError where it names what is not zerosum's own nor in a package that is `trusted`."""
    if isinstance(node, dict):
        known = "_target_" in node and vetted_target(node["_target_"], trusted, f"{path}._target_".lstrip("."))
        for key, value in node.items():
            refuse_key(key, value, path, trusted=known)
            vetted(value, trusted, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            vetted(item, trusted, f"{path}[{index}]")
    elif isinstance(node, int | float):
        refuse_number(node, WIDEST if path.startswith("model.") and not trusted else LARGEST, path)
    return node


def vetted_target(target: Any, trusted: Sequence[str], path: str) -> bool:
    """Whether a target is trusted's, not zerosum's own; a UserError where it is neither's."""
    if isinstance(target, str):
        for places in (OWN, trusted):
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
    for path, folder in folders({name: config.get(name) for name in ("callbacks", "logger", "run", "trainer")}):
        if path not in given and not (isinstance(folder, str) and lies_in(folder, run)):
            raise UserError(
                f"{path}={folder} is not in {run}, where alone the run may write: if it is right, add {path}={folder}"
            )


def folders(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each option that says where to write."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("folder", "default_root_dir"):
                yield f"{path}.{key}".lstrip("."), value
            else:
                yield from folders(value, f"{path}.{key}".lstrip("."))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from folders(item, f"{path}[{index}]")


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

"""Every `_target_` node is compared with its constructor before anything is built."""

import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object

from zerosum.errors import UserError, did_you_mean

RESERVED = {"_target_", "_partial_", "_args_", "_convert_", "_recursive_"}


def check(node: Any, path: str = "") -> Any:
    """The node with whole numbers made floats where floats are expected, or a UserError that names the key."""
    if isinstance(node, list):
        return [check(item, f"{path}[{index}]") for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    node = {key: check(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()}
    return check_node(node, path) if "_target_" in node else node


def check_node(node: dict[str, Any], path: str) -> dict[str, Any]:
    """One node against the signature of its target."""
    target = locate(node["_target_"], path)
    parameters = inspect.signature(target).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = annotations(target)
    for key in node.keys() - RESERVED:
        if key not in parameters and not takes_any:
            raise UserError(f"{path}.{key}: {node['_target_']} has no such option.{did_you_mean(str(key), parameters)}")
        node[key] = conformed(node[key], hints.get(key, Any), f"{path}.{key}")
    for name, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in node and not node.get("_partial_"):
            raise UserError(f"{path}.{name} is missing: set {path}.{name}=...")
    return node


def locate(target: str, path: str) -> Any:
    """The class or function that a target names."""
    try:
        return get_object(target)
    except Exception as error:  # hydra raises whatever importing the module raised
        raise UserError(f"{path}._target_={target} cannot be imported ({error}): check the name") from error


def annotations(target: Any) -> dict[str, Any]:
    """Type hints of a class's constructor or of a function, {} where they cannot be evaluated."""
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):
        return {}


def conformed(value: Any, annotation: Any, path: str) -> Any:
    """The value as the annotation wants it, or a UserError that says what was expected."""
    if value == "???":
        raise UserError(f"{path} is missing: set {path}=...")
    if not fits(value, annotation):
        whole = f", write {int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise UserError(f"{path}={value!r}: expected {named(annotation)}{whole}")
    return as_float(value, annotation)


def as_float(value: Any, annotation: Any) -> Any:
    """Whole numbers to floats, in lists too (torch's Adam takes betas of 0.0, not of 0)."""
    if isinstance(value, list):
        inner = {argument for option in options(annotation) for item in get_args(option) for argument in options(item)}
        return [float(item) if type(item) is int and float in inner and int not in inner else item for item in value]
    wanted = options(annotation)
    return float(value) if type(value) is int and float in wanted and int not in wanted else value


def options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones too; a single type is its own."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in options(member))
    return (annotation,)


def fits(value: Any, annotation: Any) -> bool:
    """Whether a YAML value may stand for the annotation; nodes with a target and unknown types may."""
    return any(fits_one(value, option) for option in options(annotation))


def fits_one(value: Any, annotation: Any) -> bool:
    """`fits` for anything but a union."""
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return value in get_args(annotation)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (bool, str):
        return isinstance(value, origin)
    if annotation in (None, type(None)):
        return value is None
    if origin in (list, tuple, Sequence, Iterable):
        return isinstance(value, list) and fits_items(value, get_args(annotation))
    if origin in (dict, Mapping):
        return isinstance(value, dict)
    return not isinstance(value, str | int | float | bool | None) or annotation is Any


def fits_items(values: list[Any], wanted: tuple[Any, ...]) -> bool:
    """Every item of a list, each against its own place of a tuple."""
    if not wanted:
        return True
    if len(wanted) == 1 or Ellipsis in wanted:
        return all(fits(value, wanted[0]) for value in values)
    return len(values) == len(wanted) and all(map(fits, values, wanted))


def named(annotation: Any) -> str:
    """The annotation in words."""
    return " or ".join(
        "null" if option is type(None) else getattr(option, "__name__", str(option)) for option in options(annotation)
    )

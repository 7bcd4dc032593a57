"""Every `_target_` node is compared with its constructor before anything is built."""

import inspect
import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object
from pydantic import AfterValidator, ConfigDict, Strict, TypeAdapter, ValidationError

from zerosum.errors import UserError, check_at_least, did_you_mean, one_line

RESERVED = {"_target_", "_partial_", "_args_", "_convert_", "_recursive_"}
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
"""The types that YAML writes by itself, in words"""
LISTS = (list, Sequence, Iterable, Collection)
STRICT = ConfigDict(strict=True)


class Options(NamedTuple):
    """What a class or function can be called with."""

    parameters: Mapping[str, inspect.Parameter]
    hints: Mapping[str, Any]
    """Type hints of those that have one"""
    least: Mapping[str, tuple[str, float]] = {}
    """The name that errors call an option's group by, and the smallest number that it may be, of those that have one"""

    @property
    def takes_any(self) -> bool:
        """Whether it has **options."""
        return any(parameter.kind is parameter.VAR_KEYWORD for parameter in self.parameters.values())


Reader = Callable[[str, str], Options | None]
"""Tells the options of a target from its name and its place in the config; None if they are unknown"""


def import_options(target: str, path: str) -> Options:
    """The options of a target that is imported; UserError if it cannot be."""
    found = locate(target, path)
    try:
        return Options(inspect.signature(found).parameters, annotations(found))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}._target_={target} cannot be called with options: check the name") from error


def check(node: Any, path: str = "", read: Reader = import_options) -> Any:
    """Return the node with whole numbers made floats where floats are expected; UserError names a key that is wrong."""
    if isinstance(node, list):
        return [check(item, f"{path}[{index}]", read) for index, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    node = {key: check(value, f"{path}.{key}" if path else str(key), read) for key, value in node.items()}
    return check_node(node, path, read) if "_target_" in node else node


def check_node(node: dict[str, Any], path: str, read: Reader = import_options) -> dict[str, Any]:
    """Check one node against the signature of its target, as far as `read` knows it."""
    options = read(node["_target_"], path)
    if options is None:
        return node
    for key in node.keys() - RESERVED:
        if key not in options.parameters and not options.takes_any:
            near = did_you_mean(str(key), options.parameters)
            raise UserError(f"{path}.{key}: {node['_target_']} has no such option.{near}")
        node[key] = conform(node[key], options.hints.get(key, Any), f"{path}.{key}")
        if key in options.least and isinstance(node[key], int | float):
            check_at_least(*options.least[key], **{key: node[key]})
    for name, parameter in options.parameters.items():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and name not in node and not node.get("_partial_"):
            raise UserError(f"{path}.{name} is missing: set {path}.{name}=...")
    return node


def locate(target: str, path: str) -> Any:
    """Import the class or function that a target names."""
    try:
        return get_object(target)
    except Exception as error:  # hydra raises whatever importing the module raised
        raise UserError(f"{path}._target_={target} cannot be imported ({one_line(error)}): check the name") from error


def annotations(target: Any) -> dict[str, Any]:
    """Type hints of a class's constructor or of a function, {} where they cannot be evaluated."""
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError):
        return {}


def conform(value: Any, annotation: Any, path: str) -> Any:
    """Return the value as the annotated type; UserError says what was expected."""
    if value == "???":
        raise UserError(f"{path} is missing: set {path}=...")
    try:
        return TypeAdapter(yaml_type(annotation), config=STRICT).validate_python(value)
    except ValidationError as error:
        whole = f", write {int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise UserError(f"{path}={value!r}: expected {describe(annotation)}{whole}") from error


def yaml_type(annotation: Any) -> Any:
    """The annotation in types that YAML can write; any other class stands for a node that builds it."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if annotation in (Any, None, *WORDS) or origin is Literal:
        return annotation
    if origin in (Union, types.UnionType):
        return Union[tuple(map(yaml_type, arguments))]  # noqa: UP007 (the members are known only now)
    if origin is tuple:
        items = tuple(item if item is Ellipsis else yaml_type(item) for item in arguments)
        return Annotated[tuple[items] if items else tuple, Strict(False), AfterValidator(list)]  # type: ignore[valid-type]
    if origin in LISTS:
        return list[yaml_type(arguments[0]) if arguments else Any]  # type: ignore[misc]
    if origin in (dict, Mapping):
        key, value = arguments or (Any, Any)
        return dict[yaml_type(key), yaml_type(value)]  # type: ignore[misc]
    if inspect.isclass(origin) and issubclass(origin, PurePath):
        return str
    return Annotated[Any, AfterValidator(check_is_node)] if inspect.isclass(origin) else Any


def check_is_node(value: Any) -> Any:
    """Refuse words and numbers where an object is expected."""
    if not isinstance(value, dict | list):
        raise ValueError("expected a node")
    return value


def describe(annotation: Any) -> str:
    """The annotation in plain words; classes are named only where nothing plainer would do."""
    options = members(annotation)
    words = [found for option in options for found in words_for(option)]
    names = [f"a {getattr(option, '__name__', option)} by its _target_" for option in options]
    return join_words(words or names)


def words_for(annotation: Any) -> list[str]:
    """A type that YAML can write, in words, each choice of several; nothing for any other."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is Literal:
        return [str(choice) for choice in arguments]
    each = join_words([describe(argument) for argument in arguments if argument is not Ellipsis])
    if origin is tuple and arguments and Ellipsis not in arguments:
        return [f"a list of {len(arguments)}, each {each}"]
    if origin in (tuple, *LISTS):
        return [f"a list, each item {each}" if each else "a list"]
    if origin in (dict, Mapping):
        return [f"named entries, each {describe(arguments[1])}" if arguments else "named entries"]
    return [WORDS[annotation]] if inspect.isclass(annotation) and annotation in WORDS else []


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones too; a single type is its own."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for member in get_args(annotation) for inner in members(member))
    return (annotation,)


def join_words(words: list[str]) -> str:
    """'constant, linear or cosine', each once."""
    *before, last = dict.fromkeys(words) or [""]
    return f"{', '.join(before)} or {last}" if before else last

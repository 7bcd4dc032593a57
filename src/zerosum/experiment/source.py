"""Options of classes and functions, read from their source files: importing Lightning or torch takes seconds.

Only plain definitions are read. Whatever is unusual is unknown here, and checked once it can be imported.
"""

import ast
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, Union

from zerosum.experiment.schema import Options

PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "Path": Path}
GENERIC: dict[str, Any] = {"list": list, "List": list, "tuple": tuple, "Tuple": tuple, "dict": dict, "Dict": dict}
GENERIC |= {"Sequence": Sequence, "Iterable": Iterable, "Collection": Collection, "Mapping": Mapping}
GENERIC |= {"Optional": Optional, "Union": Union, "Literal": Literal}
SAME_SIGNATURE = {"_defaults_from_env_vars"}
"""Decorators after which a constructor takes what it took before: that of Lightning's Trainer"""
MOST_IMPORTS = 20
"""Modules that pass on a name, one to the next"""


class Definition(NamedTuple):
    """A statement, or an assigned expression, and the module that it stands in."""

    node: ast.AST
    module: str


def read_options(target: str, path: str = "") -> Options | None:
    """Parameters and type hints of the target; None where its source does not say."""
    module, _, name = target.rpartition(".")
    with suppress(OSError, SyntaxError, ValueError, RecursionError):  # a type may refer to itself
        found = find(module, name)
        return found and options_of(*found)
    return None


def options_of(node: ast.AST, module: str) -> Options | None:
    """The options of a function, or of a class by its constructor; None for any but a plain one."""
    if isinstance(node, ast.FunctionDef):
        return None if node.decorator_list else signature(node, module)
    if not isinstance(node, ast.ClassDef) or node.decorator_list or node.keywords:
        return None
    methods = {child.name: child for child in node.body if isinstance(child, ast.FunctionDef)}
    if "__init__" in methods:
        own = methods["__init__"]
        names = {getattr(decorator, "id", None) for decorator in own.decorator_list}
        return signature(own, module, is_method=True) if names <= SAME_SIGNATURE else None
    if "__new__" in methods or len(node.bases) > 1:
        return None
    base = node.bases[0] if node.bases else None
    inherited = find(module, base.id) if isinstance(base, ast.Name) else None
    return Options({}, {}) if base is None else inherited and options_of(*inherited)


def signature(function: ast.FunctionDef, module: str, is_method: bool = False) -> Options:
    """The parameters, of a method those after `self`, and their types."""
    given = function.args
    by_position = [*given.posonlyargs, *given.args]
    required = len(by_position) - len(given.defaults)
    rows: list[Any] = [
        (argument, Parameter.POSITIONAL_OR_KEYWORD, i < required) for i, argument in enumerate(by_position)
    ]
    rows = rows[1:] if is_method else rows
    rows += [
        (argument, Parameter.KEYWORD_ONLY, default is None)
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    rows += [(argument, Parameter.VAR_POSITIONAL, True) for argument in [given.vararg] if argument]
    rows += [(argument, Parameter.VAR_KEYWORD, True) for argument in [given.kwarg] if argument]
    parameters = {
        argument.arg: Parameter(argument.arg, kind, default=Parameter.empty if is_required else None)
        for argument, kind, is_required in rows
    }
    hints = {argument.arg: evaluate(argument.annotation, module) for argument, _, _ in rows}
    return Options(parameters, hints, dict(bounds(function)))


def bounds(function: ast.FunctionDef) -> Iterator[tuple[str, tuple[str, float]]]:
    """(parameter, (group, least)) of what is passed on to `check_positive` or `check_at_least` under its own name."""
    for statement in function.body:
        match statement:
            case ast.Expr(ast.Call(func=ast.Name("check_positive"), args=[ast.Constant(str(group))], keywords=given)):
                least: float = 1
            case ast.Expr(
                ast.Call(
                    func=ast.Name("check_at_least"),
                    args=[ast.Constant(str(group)), ast.Constant(int() | float() as least)],
                    keywords=given,
                )
            ):
                pass
            case _:
                continue
        own = [word.arg for word in given if isinstance(word.value, ast.Name) and word.value.id == word.arg]
        yield from ((name, (group, least)) for name in own if name)


def evaluate(node: ast.AST | None, module: str) -> Any:
    """The type that an annotation means, `Any` where it is not plain."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str(text)):
            return evaluate(ast.parse(text, mode="eval").body, module)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[evaluate(left, module), evaluate(right, module)]  # noqa: UP007 (known only now)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in GENERIC:
            return GENERIC[name][arguments(inner, module, name == "Literal")]
        case ast.Name(id=name):
            return PLAIN.get(name) or GENERIC.get(name) or evaluate_name(module, name)
    return Any


def arguments(node: ast.expr, module: str, are_values: bool) -> Any:
    """What stands in the brackets of a generic type: types, or for Literal values."""
    items = node.elts if isinstance(node, ast.Tuple) else [node]
    found = tuple(
        ast.literal_eval(item)
        if are_values
        else ...
        if isinstance(item, ast.Constant) and item.value is ...
        else evaluate(item, module)
        for item in items
    )
    return found if len(found) > 1 else found[0]


def evaluate_name(module: str, name: str) -> Any:
    """The type that a name stands for: an alias is looked up, a class stands for a node that builds it."""
    found = find(module, name)
    if found is None:
        return Any
    return type(name, (), {}) if isinstance(found.node, ast.ClassDef) else evaluate(*found)


def find(module: str, name: str) -> Definition | None:
    """The definition of a name that a module has, or imports from another."""
    for _ in range(MOST_IMPORTS):
        node = definitions(module).get(name)
        if not isinstance(node, ast.ImportFrom):
            return node and Definition(node, module)
        name = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
        package = module if is_package(module) else module.rpartition(".")[0]
        start = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
        module = f"{start}{node.module or ''}".rstrip(".")
    return None


@cache
def definitions(module: str) -> dict[str, Any]:
    """Nodes by name: classes, functions, imports and assigned values; None for a name that is defined twice."""
    file = source_file(module)
    nodes: dict[str, Any] = {}
    for name, node in named_nodes(ast.parse(file.read_bytes()).body) if file else ():
        nodes[name] = None if name in nodes else node
    return nodes


def named_nodes(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """(name, definition) of statements, those in if and try included."""
    for statement in statements:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name, statement
            case ast.ImportFrom(names=names):
                yield from ((alias.asname or alias.name, statement) for alias in names)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.If(body=body, orelse=otherwise):
                yield from named_nodes([*body, *otherwise])
            case ast.Try(body=body, handlers=handlers):
                yield from named_nodes([*body, *(line for handler in handlers for line in handler.body)])


def is_package(module: str) -> bool:
    """Whether the module is a folder."""
    file = source_file(module)
    return file is not None and file.name == "__init__.py"


@cache
def source_file(module: str) -> Path | None:
    """The module's file, found without running any code of its packages; None if there is none."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top) if top else None
    if spec is None:
        return None
    if not inner and spec.submodule_search_locations is None:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    folders = [Path(folder, *inner) for folder in spec.submodule_search_locations or ()]
    files = [file for folder in folders for file in (folder / "__init__.py", folder.with_suffix(".py"))]
    return next((file for file in files if file.is_file()), None)

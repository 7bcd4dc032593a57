"""What sets configs apart, in as few words as name them: `loss=Hinge, regularizer=r1`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

ENTRIES = "regularizer"
"""The node that is named by its entries: regularizer=r1+r2."""

SHELVES = ("", "callbacks", "logger")
"""Nodes of parts that have nothing to do with each other; those of any other node are one thing, as a model's."""

ALWAYS = ("model", "loss", "regularizer", "augment")
"""Parts that a name says although most configs have the same."""

LONGEST = 40
"""Characters of a value."""

Columns = dict[str, dict[int, str]]
"""{dotted key: {number of a config: the key's value there}}; a config that the key says nothing about has none."""

Kind = tuple[str, ...]
"""The classes that make a node what it is."""


def differences(configs: list[dict[str, Any]]) -> tuple[list[str], str]:
    """A name for each config, '' for one that is alone, and the values that go without saying in them."""
    columns = telling(told(dict(enumerate(configs)), ""))
    everywhere = {label: column for label, column in columns.items() if len(column) == len(configs)}
    usual = {label: value for label, column in everywhere.items() if (value := commonest(label, column)) is not None}
    names = []
    for number in range(len(configs)):
        known = {label: column[number] for label, column in columns.items() if number in column}
        rare = {label: value for label, value in known.items() if usual.get(label) != value}
        names.append(written(rare or known))
    return names, written(usual)


def written(values: dict[str, str]) -> str:
    """As on the command line, with commas."""
    return ", ".join(f"{label}={value}" for label, value in values.items())


def telling(found: Columns) -> Columns:
    """Less the columns that repeat another; a part before its parameters, loss=FGAN, loss.divergence=kl."""
    columns: Columns = {}
    for label in sorted(found, key=lambda label: label.count(".")):
        if not any(implies(other, column, label, found[label]) for other, column in columns.items()):
            columns[label] = found[label]
    order = [label for label in found if label in columns]
    return {label: columns[label] for label in sorted(order, key=lambda label: label.split(".")[0] not in columns)}


def commonest(label: str, column: dict[int, str]) -> str | None:
    """The value of more than half of three configs or more; None for a part that is always said."""
    (value, count), *_ = Counter(column.values()).most_common(1)
    return value if label not in ALWAYS and len(column) > 2 and 2 * count > len(column) else None


def told(nodes: dict[int, Any], label: str) -> Columns:
    """Where a node differs between configs. One of another class is said by its class, and not by its parameters."""
    first, *others = nodes.values()
    if all(other == first for other in others):
        return {}
    if not any(isinstance(node, dict) for node in nodes.values()):
        return {label: {number: shown(node) for number, node in nodes.items()}}
    nodes = {number: node if isinstance(node, dict) else {} for number, node in nodes.items()}
    kinds = {number: kind(node, label) for number, node in nodes.items()}
    columns: Columns = {label: spoken(kinds)} if len(set(kinds.values())) > 1 else {}
    for key, parts in comparable(nodes, kinds, label):
        for name, column in told(parts, f"{label}.{key}".lstrip(".")).items():
            columns.setdefault(name, {}).update(column)
    return columns


def comparable(nodes: dict[int, Any], kinds: dict[int, Kind], label: str) -> Iterator[tuple[str, dict[int, Any]]]:
    """Each key with its values in nodes of one kind; an entry is compared wherever it is present."""
    if label == ENTRIES:
        for key in dict.fromkeys(key for node in nodes.values() for key in node):
            yield key, {number: node[key] for number, node in nodes.items() if key in node}
        return
    for chosen in dict.fromkeys(kinds.values()):
        alike = {number: node for number, node in nodes.items() if kinds[number] == chosen}
        for key in dict.fromkeys(key for node in alike.values() for key in node):
            yield key, {number: node.get(key) for number, node in alike.items()}


def kind(node: dict[str, Any], label: str) -> Kind:
    """The class of a node, or those of its parts; the entries of one that is named by them."""
    if label == ENTRIES:
        return tuple(node)
    if "_target_" in node:
        return (node["_target_"],)
    parts = [node[key] for key in sorted(node) if isinstance(node[key], dict)]
    return tuple(part["_target_"] for part in parts if "_target_" in part) if label not in SHELVES else ()


def spoken(kinds: dict[int, Kind]) -> dict[int, str]:
    """Classes by their names, or by their modules where those are the same: zerosum.models.mlp.Generator is mlp."""
    for place in (-1, -2):
        words = {number: joined([path.split(".")[place:][0] for path in found]) for number, found in kinds.items()}
        if len(set(words.values())) == len(set(kinds.values())):
            break
    return words


def joined(words: list[str]) -> str:
    """r1+r2, each once."""
    return "+".join(dict.fromkeys(words)) or "none"


def implies(other: str, known: dict[int, str], label: str, column: dict[int, str]) -> bool:
    """Whether a column repeats another of the same word, as model.generator.width does model.width."""
    same_word = other.rpartition(".")[2] == label.rpartition(".")[2] or (other == "gamma" and label.endswith(".weight"))
    return same_word and all(known.get(number) == value for number, value in column.items())


def value_of(config: dict[str, Any], name: str) -> str:
    """The value of a dotted key for people, a class by its name, entries by theirs; 'none' where it has none."""
    node: Any = config
    for key in name.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    if isinstance(node, dict) and "_target_" not in node:
        return joined(list(node))
    target = node["_target_"] if isinstance(node, dict) else node if name.endswith("_target_") else None
    return shown(node) if target is None else str(target).rpartition(".")[2]


def shown(value: Any) -> str:
    """A value as it is written on the command line, a long one by its end."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"[{','.join(shown(part) for part in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and value == value // 1 and abs(value) < 1e15:
        return f"{int(value):_}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"...{text[3 - LONGEST :]}"

"""A measurement: values, and a card that names their protocol, run and code.

Only this module reads and writes metrics.json; it works without torch.
"""

import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from zerosum.evaluation.finding import Finding, findings_from
from zerosum.files import save_whole

LIBRARIES = ("torch", "torchvision", "lightning", "torchmetrics", "torch-fidelity", "numpy")
NAME = re.compile(r"[\w./@ -]{1,80}")
"""Names of values and fields, which may come from a stranger's file and are printed"""
LARGEST_FILE = 2**26
"""Bytes of a metrics.json; one evaluation takes about 1,500"""
MOST_FIELDS = 100
"""Fields in one part of a card, values in one measurement; the largest in use have about 30"""
MOST_CHARACTERS = 10_000
"""Characters in one part of a card"""
LARGEST_INTEGER = 2**63
"""Larger numbers are no counts and take long to print"""
NO_LABELS = "none"
"""What a card says of labels where they are not used"""


ARROWS = {"lower": "↓", "higher": "↑"}
"""Which way a value is better"""


@dataclass(frozen=True)
class Card:
    """Describes a measurement. Two values are comparable if, and only if, their `protocol` is equal."""

    protocol: dict[str, Any]
    """Samples, split, features, resize, rounding, seeds of samples, weights, how labels are used"""
    run: dict[str, Any] = field(default_factory=dict)
    """Images seen, seed, checkpoint, seconds, better directions of values, hash of the real features, images behind
    the floor, metrics left out"""
    code: dict[str, Any] = field(default_factory=dict)
    """Commit and versions"""


@dataclass(frozen=True)
class Measurement:
    """Named values and their card; `minutes` is the time since training started."""

    values: dict[str, float]
    card: Card
    minutes: float = 0.0

    @property
    def protocol(self) -> dict[str, Any]:
        """The card's; one of before there were labels did not use them."""
        return {"labels": NO_LABELS, **self.card.protocol}

    @property
    def images(self) -> int:
        """Real images that the model had seen in training."""
        return self.card.run["images"]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, node: Any) -> "Measurement":
        """The inverse of `to_dict`; ValueError, KeyError or TypeError if the node is not a measurement."""
        card = Card(*(check_fields(node["card"][part]) for part in ("protocol", "run", "code")))
        values = check_values(node["values"])
        images, minutes = card.run["images"], node["minutes"]
        if not values or type(images) is not int or images < 0 or not is_finite(minutes):
            raise ValueError("a measurement has values, images and minutes")
        return cls(values, card, float(minutes))

    @classmethod
    def history_from(cls, nodes: Any) -> "list[Measurement]":
        """A list of measurements.

        ValueError, KeyError or TypeError if it is not, or if one dictionary stands in it twice: by such references a
        small file would unfold to more than memory holds.
        """
        if not isinstance(nodes, list):
            raise TypeError("a history is a list of measurements")
        if len({id(node) for node in nodes}) < len(nodes):
            raise ValueError("its history has the same measurement twice")
        return [cls.from_dict(node) for node in nodes]


@dataclass(frozen=True)
class Record:
    """The content of metrics.json: every measurement of a run, the best of them, the floor, and what the doctor found.

    `findings` is None where no doctor looked.
    """

    history: list[Measurement]
    best: Measurement
    floor: dict[str, float] | None = None
    findings: list[Finding] | None = None

    @property
    def last(self) -> Measurement:
        """The latest measurement."""
        return self.history[-1]


def with_arrow(name: str, better: Mapping[str, str]) -> str:
    """'fid ↓' of a value with a better direction, else the name alone."""
    return f"{name} {ARROWS[better[name]]}" if better.get(name) in ARROWS else name


class Measurable(Protocol):
    """A trained model that knows its clock and seed."""

    images_seen: int
    seed: int


class Measuring(Protocol):
    """The part of `EvaluationProtocol` that describes the measurement."""

    def card(self) -> dict[str, Any]:
        """Everything that decides whether two values are comparable."""
        ...

    def notes(self) -> dict[str, Any]:
        """Further facts."""
        ...


def measure(
    protocol: Measuring,
    model: Measurable,
    compute: Callable[[], dict[str, float]],
    weights: str = "ema",
    facts: Mapping[str, Any] | None = None,
) -> Measurement:
    """Call `compute` for the values and make their card; `facts` are added to the fields of its run."""
    start = time.perf_counter()
    values = compute()
    seconds = round(time.perf_counter() - start, 2)
    run = {"images": model.images_seen, "seed": model.seed, "seconds": seconds, **protocol.notes(), **(facts or {})}
    labels = getattr(model, "label_use", NO_LABELS)
    return Measurement(values, Card({**protocol.card(), "weights": weights, "labels": labels}, run, code_card()))


def write_record(path: Path, record: Record) -> None:
    """Write metrics.json: best, last, floor and the whole history."""
    content = {
        "best": record.best.to_dict(),
        "last": record.last.to_dict(),
        "floor": record.floor,
        "findings": None if record.findings is None else [finding.to_dict() for finding in record.findings],
        "history": [measurement.to_dict() for measurement in record.history],
    }
    save_whole(path, lambda partial: partial.write_text(json.dumps(content, indent=1), encoding="utf-8"))


def read_record(path: Path) -> Record:
    """Read metrics.json; OSError, ValueError, KeyError, TypeError or RecursionError if it is damaged."""
    if not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it is not a file of at most {LARGEST_FILE:,} bytes")
    node = json.loads(path.read_text(encoding="utf-8"))
    history = Measurement.history_from(node["history"])
    if not history:
        raise ValueError("it has no measurement")
    floor = None if node["floor"] is None else check_values(node["floor"])
    findings = None if node.get("findings") is None else findings_from(node["findings"])
    return Record(history, Measurement.from_dict(node["best"]), floor, findings)


def check_values(node: Any) -> dict[str, float]:
    """{name: number}; ValueError or TypeError if it is anything else."""
    check_names(node)
    for name, value in node.items():
        if not is_number(value):
            raise ValueError(f"{name} is not a number")
    return dict(node)


def check_fields(node: Any) -> dict[str, Any]:
    """{name: word, number, None or, one level deep, such fields}; ValueError or TypeError if it is anything else."""
    check_names(node)
    nested = [value for value in node.values() if isinstance(value, dict)]
    for fields in nested:
        check_names(fields)
    leaves = [value for value in node.values() if not isinstance(value, dict)]
    leaves += [value for fields in nested for value in fields.values()]
    if not all(leaf is None or isinstance(leaf, str) or is_number(leaf) for leaf in leaves):
        raise ValueError("a field of a card is not a word or number")
    if len(leaves) > MOST_FIELDS or sum(len(leaf) for leaf in leaves if isinstance(leaf, str)) > MOST_CHARACTERS:
        raise ValueError(f"a card has at most {MOST_FIELDS} fields and {MOST_CHARACTERS:,} characters")
    return dict(node)


def check_names(node: Any) -> None:
    """TypeError or ValueError unless it is a dictionary with at most MOST_FIELDS names that may be printed."""
    if not isinstance(node, dict):
        raise TypeError(f"a {type(node).__name__} stands in place of named values")
    if len(node) > MOST_FIELDS:
        raise ValueError(f"a measurement has at most {MOST_FIELDS} values")
    for name in node:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError("a value has no printable name")


def is_number(value: Any) -> bool:
    """Whether it is a float, NaN and infinity included, a boolean, or an integer that may be a count."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < LARGEST_INTEGER)


def is_finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return is_number(value) and math.isfinite(value)


def format_values(values: Mapping[str, float]) -> str:
    """'fid 12.34, kid 0.01'."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


@cache
def code_card() -> dict[str, Any]:
    """{"git": commit of the sources, with + if changed since, "versions": of zerosum and its libraries}."""
    versions = {name: version(name) for name in ("zerosum", *LIBRARIES)}
    commit = git("rev-parse", "HEAD")
    changed = "+" if git("status", "--porcelain", "--untracked-files=no", ".") else ""
    return {**({"git": commit + changed} if commit else {}), "versions": versions}


def git(*arguments: str) -> str:
    """Output of a git command in the folder of the sources; empty outside a repository or without git."""
    try:
        command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

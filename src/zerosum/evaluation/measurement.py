"""A measurement: values, and the card that says by what they were measured, of which run, by which code.

metrics.json is read and written here alone; nothing here needs torch.
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

from zerosum.files import save_whole

LIBRARIES = ("torch", "torchvision", "lightning", "torchmetrics", "torch-fidelity", "numpy")
NAME = re.compile(r"[\w./@ -]{1,80}")
"""Names of values and fields, which may come from a stranger's file and are printed."""
LARGEST_FILE = 2**26
"""Bytes of a metrics.json; one evaluation takes about 1,500."""


@dataclass(frozen=True)
class Card:
    """What a measurement is. Two values are comparable if, and only if, their `protocol` is equal."""

    protocol: dict[str, Any]
    """Samples, split, features, resize, rounding, seeds of samples, weights"""
    run: dict[str, Any] = field(default_factory=dict)
    """Images seen, seed, checkpoint, seconds, metrics that were left out"""
    code: dict[str, Any] = field(default_factory=dict)
    """Commit and versions"""


@dataclass(frozen=True)
class Measurement:
    """Named values and their card; `minutes` is the time since training started."""

    values: dict[str, float]
    card: Card
    minutes: float = 0.0

    @property
    def images(self) -> int:
        """Real images that the model had seen in training."""
        return self.card.run["images"]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, node: Any) -> "Measurement":
        """The inverse of `to_dict`; ValueError, KeyError or TypeError where the node is no measurement."""
        card = Card(*(check_fields(node["card"][part]) for part in ("protocol", "run", "code")))
        values = check_values(node["values"])
        images, minutes = card.run["images"], node["minutes"]
        if not values or type(images) is not int or images < 0 or not is_finite(minutes):
            raise ValueError("a measurement has values, images and minutes")
        return cls(values, card, float(minutes))


@dataclass(frozen=True)
class Record:
    """The content of metrics.json: every measurement of a run, the best of them, and the floor."""

    history: list[Measurement]
    best: Measurement
    floor: dict[str, float] | None = None

    @property
    def last(self) -> Measurement:
        """The latest measurement."""
        return self.history[-1]


class Measurable(Protocol):
    """A trained model that knows its clock and seed."""

    images_seen: int
    seed: int


class Measuring(Protocol):
    """The part of `EvaluationProtocol` that a card is made from."""

    left_out: dict[str, str]

    def card(self) -> dict[str, Any]:
        """Everything that decides whether two values are comparable."""
        ...


def measure(
    protocol: Measuring, model: Measurable, values_of: Callable[[], dict[str, float]], weights: str = "ema"
) -> Measurement:
    """Measure with `values_of`, and make the card."""
    start = time.perf_counter()
    values = values_of()
    seconds = round(time.perf_counter() - start, 2)
    run: dict[str, Any] = {"images": model.images_seen, "seed": model.seed, "seconds": seconds}
    if protocol.left_out:
        run["left_out"] = dict(protocol.left_out)
    return Measurement(values, Card({**protocol.card(), "weights": weights}, run, code_card()))


def write_record(path: Path, record: Record) -> None:
    """Write metrics.json: best, last, floor and the whole history."""
    content = {
        "best": record.best.to_dict(),
        "last": record.last.to_dict(),
        "floor": record.floor,
        "history": [measurement.to_dict() for measurement in record.history],
    }
    save_whole(path, lambda partial: partial.write_text(json.dumps(content, indent=1), encoding="utf-8"))


def read_record(path: Path) -> Record:
    """Read metrics.json; OSError, ValueError, KeyError or TypeError where it is damaged."""
    if path.stat().st_size > LARGEST_FILE or not path.is_file():
        raise ValueError(f"it is no file of at most {LARGEST_FILE:,} bytes")
    node = json.loads(path.read_text(encoding="utf-8"))
    history = [Measurement.from_dict(entry) for entry in node["history"]]
    if not history:
        raise ValueError("it has no measurement")
    floor = None if node["floor"] is None else check_values(node["floor"])
    return Record(history, Measurement.from_dict(node["best"]), floor)


def check_values(node: Any) -> dict[str, float]:
    """{name: number}; a value that is not a number, or has another name, is a ValueError."""
    for name, value in node.items():
        if not isinstance(name, str) or not NAME.fullmatch(name) or not isinstance(value, int | float):
            raise ValueError(f"{name!r} is no value of a measurement")
    return dict(node)


def check_fields(node: Any, depth: int = 1) -> dict[str, Any]:
    """{name: word, number or, one level deep, such fields}; anything else is a ValueError."""
    for name, value in node.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no field of a card")
        if isinstance(value, dict) and depth:
            check_fields(value, depth - 1)
        elif not isinstance(value, str | int | float | None):
            raise ValueError(f"{name} is no word or number")
    return dict(node)


def is_finite(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


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
    """Git's answer in the folder of the sources; empty where it is no repository or there is no git."""
    try:
        command = ["git", "-C", str(Path(__file__).parents[1]), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

"""A code as JSON: all that an image of the live explorer is made of, from which it can be made again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zerosum.errors import UserError, did_you_mean
from zerosum.explorer.options import MOST_DIRECTIONS
from zerosum.gan.labels.codes import Codes
from zerosum.runs.asked import check_seed, check_truncation
from zerosum.runs.trained import TrainedModel
from zerosum.sampling import arc, latents

FORMAT = "zerosum code 1"
KEYS = ("format", "model", "generator", "seed", "seeds", "t", "z", "w", "condition", "truncation", "directions")
LARGEST = 1000.0
"""Of any number in a code"""
FURTHEST = 20.0
"""Deviations along a direction"""


@dataclass(frozen=True)
class Code:
    """Where an image lies: values (D,) of z or w, a condition (1, ...), truncation, then steps along directions."""

    space: str
    values: Tensor
    condition: Tensor | None
    seed: int | None = None
    truncation: float = 1.0
    amounts: tuple[float, ...] = ()
    """Deviations along each principal direction"""
    label: int | None = None
    """Of the samples that the directions are those of"""

    def describe(self) -> dict[str, Any]:
        """The part of the JSON that says where the image lies."""
        return {
            "seed": self.seed,
            self.space: self.values.tolist(),
            "condition": describe_condition(self.condition),
            "truncation": self.truncation,
            "directions": {"label": self.label, "amounts": list(self.amounts)},
        }


def describe_condition(condition: Tensor | None) -> Any:
    """A label, or a list of numbers; None without."""
    if condition is None:
        return None
    return condition[0].tolist()


def read_code(node: Any, model: TrainedModel) -> Code:
    """The code that JSON asks for: by z or w, by a seed, or by two `seeds` and the share of the way between them, `t`.

    The condition is that of the seeds unless it is given. UserError at whatever is wrong.
    """
    if not isinstance(node, dict):
        raise UserError("the code is no JSON object: give a file that the explorer saved")
    for key in node.keys() - set(KEYS):
        raise UserError(f"the code has {key[:40]}, which is none of {', '.join(KEYS)}.{did_you_mean(key[:40], KEYS)}")
    if node.get("format", FORMAT) != FORMAT:
        raise UserError(f"the code is no '{FORMAT}': give a file that the explorer saved")
    space, values, drawn, seed = read_start(node, model)
    condition = read_condition(node.get("condition"), model)
    condition = drawn if condition is None else condition
    if condition is None and model.conditions is not None:
        raise UserError("condition: the code has none, and this model needs one: name a label")
    condition = None if condition is None else as_label(condition.cpu(), model)
    truncation = read_number(node.get("truncation", 1.0), "truncation", 2)
    check_truncation(truncation)
    return Code(space, values, condition, seed, truncation, *read_directions(node.get("directions"), model))


def read_start(node: Mapping[str, Any], model: TrainedModel) -> tuple[str, Tensor, Tensor | None, int | None]:
    """Space, values (D,), the seeds' own condition (1, ...), and the seed if it is one."""
    space = model.check_space()
    given = [name for name in ("z", "w") if node.get(name) is not None]
    seed = None if node.get("seed") is None else check_seed(node["seed"])
    if len(given) == 2 or (given == ["w"] and space.name == "z"):
        raise UserError(f"the code has {' and '.join(given)}: this model takes z{' or w' if space.name == 'w' else ''}")
    if given == ["w"]:
        length = model.codes([0], model.draw_condition([0])).shape[1]
        return "w", read_numbers(node["w"], "w", length), None, None
    if given:
        z = read_numbers(node["z"], "z", space.latent_dim)
        if seed is None or not torch.equal(z, latents([seed], space.latent_dim)[0]):
            return "z", z, None, None  # of no seed, or changed by hand
        return "z", z, model.draw_condition([seed]), seed
    if node.get("seeds") is not None:
        values, condition = between(node["seeds"], read_number(node.get("t"), "t", 1), model)
        return "z", values, condition, None
    if seed is None:
        raise UserError("the code says no place: give seed, seeds and t, z or w")
    return "z", latents([seed], space.latent_dim)[0], model.draw_condition([seed]), seed


def between(seeds: Any, t: float, model: TrainedModel) -> tuple[Tensor, Tensor | None]:
    """z (D,) on the great arc from one seed to another, and the mixture of their conditions (1, ...)."""
    if not isinstance(seeds, list) or len(seeds) != 2 or t < 0:
        raise UserError("seeds: give two of them, and t from 0, the first, to 1, the second")
    z = latents([check_seed(seed) for seed in seeds], model.check_space().latent_dim)
    return arc(z[0], z[1], torch.tensor([t]))[0], mix(model.draw_condition(seeds), t, model)


def mix(condition: Tensor | None, t: float, model: TrainedModel) -> Tensor | None:
    """(1, ...): between two conditions (2, ...); of codes, which may be categories, the nearer one."""
    if condition is None or isinstance(model.conditions, Codes):
        return None if condition is None else condition[[round(t)]]
    if model.num_classes is not None:
        condition = one_hot(condition.cpu(), model.num_classes)
    return (1 - t) * condition[:1].float() + t * condition[1:].float()


def read_condition(node: Any, model: TrainedModel) -> Tensor | None:
    """(1,) a label, or (1, K) a mixture of labels or a vector of attributes or codes; None where none is given."""
    if node is None:
        return None
    if model.conditions is None:
        raise UserError("condition: this model is not conditioned on anything: leave it out")
    if type(node) is int:
        return model.condition_of(node, 1)
    length = model.num_classes or model.draw_condition([0])[0].numel()  # type: ignore[index]
    condition = read_numbers(node, "condition", length)[None]
    if isinstance(model.conditions, Codes):
        sizes = model.conditions.codes.categorical
        categories = condition[0, : len(sizes)].tolist()
        if any(value not in range(size) for value, size in zip(categories, sizes, strict=True)):
            raise UserError(f"condition: the first codes are whole numbers from 0, below {', '.join(map(str, sizes))}")
    return condition


def as_label(condition: Tensor, model: TrainedModel) -> Tensor:
    """(1,) the label that a mixture (1, K) has alone, and altogether; any other condition as it is."""
    is_mixture = model.num_classes is not None and condition.is_floating_point()
    if is_mixture and torch.equal(condition, one_hot(condition.argmax(1), condition.shape[1]).float()):
        return condition.argmax(1)
    return condition


def read_directions(node: Any, model: TrainedModel) -> tuple[tuple[float, ...], int | None]:
    """Deviations along each direction, and the label of the samples that the directions are those of."""
    if node is None:
        return (), None
    if not isinstance(node, dict) or node.keys() - {"label", "amounts"} or not isinstance(node.get("amounts"), list):
        raise UserError("directions: give a label, or null, and a list of amounts")
    amounts = node["amounts"]
    if len(amounts) > MOST_DIRECTIONS:
        raise UserError(f"directions: the code has more than {MOST_DIRECTIONS}")
    label = node.get("label")
    if label is not None:
        if type(label) is not int:
            raise UserError("directions: the label is a whole number")
        model.condition_of(label, 1)
    return tuple(read_number(amount, "directions", FURTHEST) for amount in amounts), label


def read_numbers(node: Any, name: str, length: int) -> Tensor:
    """(length,) numbers."""
    if not isinstance(node, list) or len(node) != length:
        raise UserError(f"{name}: this model takes a list of {length} numbers")
    return torch.tensor([read_number(value, name, LARGEST) for value in node])


def read_number(value: Any, name: str, largest: float) -> float:
    """A finite number of at most `largest`, with either sign."""
    is_number = not isinstance(value, bool) and isinstance(value, int | float)
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):  # of an int, it may overflow
        raise UserError(f"{name}: give a number")
    if abs(value) > largest:
        raise UserError(f"{name}: give a number of at most {largest:g}")
    return float(value)

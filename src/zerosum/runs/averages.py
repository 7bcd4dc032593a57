"""Makes the power-function average of any width from a run's snapshots, which may be a stranger's."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.evaluation.cached import refuse_damage
from zerosum.runs.checkpoints import check_size, describe_error, first_difference
from zerosum.training.callbacks.power_average import FOLDER, MOST, Weights, find_snapshots, floating_weights
from zerosum.training.ema import normalize_vectors, singular_vectors
from zerosum.training.power_functions import check_width, solve

WORST = 0.02
"""Greatest misfit of the profile that the snapshots add up to, as a share of the norm of the one asked for"""
Snapshots = list[tuple[int, Path]]


def list_snapshots(run: Path) -> Snapshots:
    """The snapshots of a run; UserError if there are none, too many, or anything but files."""
    found = find_snapshots(run / FOLDER)
    if not found:
        raise UserError(
            f"{run} has no snapshots of averages: leave ema out, or train with 'callbacks=[default,power_average]'"
        )
    if len(found) > MOST:
        raise UserError(
            f"{run / FOLDER} has more than {MOST:,} snapshots, which no training writes: choose another run"
        )
    for _, path in found:
        if path.is_symlink() or not path.is_file():
            raise UserError(f"{path} is a link, a pipe or a folder, and a snapshot is a file: remove it")
    return found


def load_average(snapshots: Snapshots, width: float, network: nn.Module, images_seen: int, dtype: Any = None) -> int:
    """Give `network` the average of this width at its latest snapshot up to `images_seen`; returns that one's images.

    `dtype` is that of the weights of a run in true half or double precision.
    """
    past = [(images, path) for images, path in snapshots if images <= images_seen]
    if not past:
        raise UserError(
            f"the first snapshot is of {snapshots[0][0]:,} images, and the checkpoint of {images_seen:,}: choose a"
            " later one by checkpoint=last"
        )
    weights, times = floating_weights(network), [images for images, _ in past]
    widths = read(*past[-1], weights, dtype)["widths"]
    coefficients, misfit = solve(times, widths, times[-1], check_width(width))
    if misfit > WORST:
        raise UserError(
            f"ema={width:g} cannot be made from {len(past)} snapshots of the widths {widths[0]:g} and {widths[1]:g}"
            f" (the profile is off by {misfit:.0%}): choose a width nearer to these, or train with more snapshots by a"
            " smaller callbacks.power_average.every"
        )
    totals = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in weights.items()}
    for (images, path), row in zip(past, coefficients.tolist(), strict=True):
        if any(row):
            add(totals, read(images, path, weights, dtype, widths)["averages"], row)
    for name, value in weights.items():
        value.copy_(totals[name])
    normalize_vectors(singular_vectors(network))
    return times[-1]


def add(totals: Weights, averages: list[Weights], coefficients: list[float]) -> None:
    """totals <- totals + sum of coefficient * average."""
    for average, coefficient in zip(averages, coefficients, strict=True):
        for name, value in average.items():
            totals[name].add_(value, alpha=coefficient)


def read(images: int, path: Path, places: Weights, dtype: Any = None, widths: Any = None) -> dict[str, Any]:
    """A snapshot's content; UserError unless it is undamaged, of this time, network and widths, and finite."""
    try:
        if path.stat().st_size > largest(places):
            raise ValueError("it is larger than two averages of this generator")
        refuse_damage(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
        check_size(content)
        if content["images_seen"] != images or type(content["widths"]) is not list or len(content["widths"]) != 2:
            raise ValueError("it is not of the time that its name says")
        if [check_width(width, "a width") for width in content["widths"]] != (widths or content["widths"]):
            raise ValueError("its widths are not those of the others")
        averages = content["averages"]
        if type(averages) is not list or len(averages) != 2:
            raise ValueError("it does not have two averages")
        for average in averages:
            check_average(average, places, dtype)
    except Exception as error:  # torch.load raises whatever the damage makes it
        raise UserError(
            f"{path} cannot be read ({describe_error(error)}): it is damaged, remove it and ask for the average again"
        ) from error
    return content


def check_average(average: Any, places: Weights, dtype: Any) -> None:
    """ValueError unless it has exactly the names, shapes and dtypes of the weights, and finite values."""
    if not isinstance(average, dict):
        raise ValueError("an average is not named weights")
    if difference := first_difference(places, average, dtype):
        raise ValueError(difference)
    if not all(isinstance(value, Tensor) and value.isfinite().all() for value in average.values()):
        raise ValueError("it has NaN or infinite values")


def largest(places: Weights) -> int:
    """Most bytes of a snapshot: two averages of at most 8 bytes a number, and what torch writes beside each."""
    return sum(2 * (8 * value.numel() + 4096) for value in places.values()) + 2**20

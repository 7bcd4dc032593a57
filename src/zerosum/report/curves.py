"""A setting's value over training: the mean of its seeds, and their lowest and highest."""

from dataclasses import dataclass

import numpy as np

from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.grouping import Setting
from zerosum.report.table import measured


@dataclass(frozen=True)
class Curve:
    """One setting's line: arrays of equal length, of `seeds` runs."""

    name: str
    images: np.ndarray
    minutes: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


def curves(settings: list[Setting], value: str) -> list[Curve]:
    """A curve for each setting in which the value was measured."""
    return [found for setting in settings if (found := curve(setting, value)) is not None]


def curve(setting: Setting, value: str) -> Curve | None:
    """Runs that stopped before the setting's others are left out, and the name says so; None where none is left.

    Seeds are averaged at the counts of images at which one of them was measured, the others on straight lines.
    """
    tracks = [points for run in setting.runs if len(points := track(run, value))]
    if not tracks:
        return None
    farthest = max(points[-1, 0] for points in tracks)
    whole = [points for points in tracks if points[-1, 0] == farthest]
    start = max(points[0, 0] for points in whole)
    images = np.unique(np.concatenate([points[:, 0] for points in whole]))
    images = images[images >= start]
    heights = np.stack([np.interp(images, points[:, 0], points[:, 2]) for points in whole])
    minutes = np.stack([np.interp(images, points[:, 0], points[:, 1]) for points in whole]).mean(0)
    some = f" ({len(whole)} of {len(setting.runs)} runs)" if len(whole) < len(setting.runs) else ""
    name = f"{setting.name}{some}"
    return Curve(name, images, minutes, heights.mean(0), heights.min(0), heights.max(0), len(whole))


def track(run: MeasuredRun, value: str) -> np.ndarray:
    """(N, 3): images, minutes and the value, at each count of images once, less what was not measured."""
    points = {
        measurement.images: (measurement.images, measurement.minutes, *known)
        for measurement in run.record.history
        if (known := measured([measurement.values.get(value)]))
    }
    return np.array([points[images] for images in sorted(points)], float).reshape(-1, 3)

"""Average a setting's value over its seeds, along training."""

from dataclasses import dataclass

import numpy as np

from zerosum.report.grouping import Setting
from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.table import finite_values


@dataclass(frozen=True)
class Curve:
    """A setting's line in the chart: arrays of equal length over `seeds` runs."""

    name: str
    images: np.ndarray
    minutes: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int


def make_curves(settings: list[Setting], value: str) -> list[Curve]:
    """A curve for each setting in which the value was measured."""
    return [curve for setting in settings if (curve := average_seeds(setting, value)) is not None]


def average_seeds(setting: Setting, value: str) -> Curve | None:
    """The curve of a setting; None if the value was never measured.

    Runs that stopped before the others of the setting are left out, and the name says so. The mean is taken at every
    number of images at which some run was measured; the other runs are interpolated linearly.
    """
    tracks = [points for run in setting.runs if len(points := extract_points(run, value))]
    if not tracks:
        return None
    end = max(points[-1, 0] for points in tracks)
    complete = [points for points in tracks if points[-1, 0] == end]
    start = max(points[0, 0] for points in complete)
    images = np.unique(np.concatenate([points[:, 0] for points in complete]))
    images = images[images >= start]
    minutes = np.stack([np.interp(images, points[:, 0], points[:, 1]) for points in complete]).mean(0)
    values = np.stack([np.interp(images, points[:, 0], points[:, 2]) for points in complete])
    count = f" ({len(complete)} of {len(setting.runs)} runs)" if len(complete) < len(setting.runs) else ""
    name = f"{setting.name}{count}"
    return Curve(name, images, minutes, values.mean(0), values.min(0), values.max(0), len(complete))


def extract_points(run: MeasuredRun, value: str) -> np.ndarray:
    """(N, 3): images, minutes and the value of each measurement that has it, ordered by images."""
    points = {
        measurement.images: (measurement.images, measurement.minutes, *finite)
        for measurement in run.record.history
        if (finite := finite_values([measurement.values.get(value)]))
    }
    return np.array([points[images] for images in sorted(points)], float).reshape(-1, 3)

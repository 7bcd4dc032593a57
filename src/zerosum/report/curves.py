"""Average a setting's value over its seeds, along training."""

from dataclasses import dataclass

import numpy as np

from zerosum.evaluation.measurement import Measurement
from zerosum.report.grouping import Setting
from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.table import finite_values

MINUTES = "minutes of training"
MINUTES_ALONE = "minutes of training, evaluation left out"


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
    time: str = MINUTES
    """What `minutes` are"""


def make_curves(settings: list[Setting], value: str) -> list[Curve]:
    """A curve for each setting in which the value was measured.

    Where all runs have `metrics=cost`, minutes are those of training alone, and on a CPU the processor's.
    """
    runs = [run for setting in settings for run in setting.runs]
    time = MINUTES_ALONE if all("train_minutes" in run.record.last.values for run in runs) else MINUTES
    return [curve for setting in settings if (curve := average_seeds(setting, value, time)) is not None]


def average_seeds(setting: Setting, value: str, time: str) -> Curve | None:
    """The curve of a setting; None if the value was never measured.

    Runs that stopped before the others of the setting are left out, and the name says so. The mean is taken at every
    number of images at which some run was measured; the other runs are interpolated linearly.
    """
    tracks = [points for run in setting.runs if len(points := extract_points(run, value, time))]
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
    return Curve(name, images, minutes, values.mean(0), values.min(0), values.max(0), len(complete), time)


def extract_points(run: MeasuredRun, value: str, time: str) -> np.ndarray:
    """(N, 3): images, minutes and the value of each measurement that has it, ordered by images."""
    points = {
        measurement.images: (measurement.images, minutes_of(measurement, time), *finite)
        for measurement in run.record.history
        if (finite := finite_values([measurement.values.get(value)]))
    }
    return np.array([points[images] for images in sorted(points)], float).reshape(-1, 3)


def minutes_of(measurement: Measurement, time: str) -> float:
    """Minutes before a measurement; an untrained model has no `train_minutes`."""
    return measurement.minutes if time == MINUTES else measurement.values.get("train_minutes", 0.0)

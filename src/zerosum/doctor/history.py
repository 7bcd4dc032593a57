"""Everything that a run has logged, in the order of images seen, for the doctor to read."""

from collections.abc import Mapping
from statistics import median
from typing import Any

MOST_POINTS = 400
"""Of one curve; beyond, every second one is dropped"""

LARGEST = 1e30
"""Values that are NaN, infinite or larger are left out: the guard and the evaluation stop at those"""

Point = tuple[int, float]
"""Images seen, and a value"""


class History:
    """Curves by name; long ones are thinned, so that it stays small."""

    def __init__(self, curves: Mapping[str, list[Point]] | None = None) -> None:
        self.curves: dict[str, list[Point]] = {
            name: [(images, value) for images, value in points if abs(value) < LARGEST]
            for name, points in (curves or {}).items()
        }

    def add(self, images: int, values: Mapping[str, float]) -> None:
        """Add one value to each named curve."""
        for name, value in values.items():
            if not abs(value) < LARGEST:
                continue
            points = self.curves.setdefault(name, [])
            if len(points) >= MOST_POINTS:
                points[:] = points[::2]
            points.append((images, float(value)))

    def values(self, name: str) -> list[float]:
        """The values of a curve, the earliest first; empty if it was never logged."""
        return [value for _, value in self.curves.get(name, [])]

    def last(self, name: str, count: int) -> list[float]:
        """The last `count` values; empty if there are fewer."""
        values = self.values(name)
        return values[-count:] if len(values) >= count else []

    def moving_median(self, name: str, count: int) -> list[float]:
        """The medians of every `count` successive values; empty if there are fewer."""
        values = self.values(name)
        return [median(values[end - count : end]) for end in range(count, len(values) + 1)]

    @property
    def images(self) -> int:
        """Images seen at the last value of any curve."""
        return max((points[-1][0] for points in self.curves.values() if points), default=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for a checkpoint."""
        return {name: [list(point) for point in points] for name, points in self.curves.items()}

    @classmethod
    def from_dict(cls, node: Any) -> "History":
        """The inverse of `to_dict`."""
        return cls({name: [(int(images), float(value)) for images, value in points] for name, points in node.items()})

"""The clock of loggers: images seen."""

from collections.abc import Mapping
from typing import Any


class Clock:
    """Converts what Lightning passes to a logger to images seen.

    Lightning's own callbacks, and `self.log`, do not know the images seen: theirs follow from the step.
    """

    def __init__(self) -> None:
        self.images_per_step = 1

    def set(self, params: Mapping[str, Any]) -> None:
        """Read how many images a step has from the parameters of a run."""
        self.images_per_step = int(params.get("images_per_step", 1))

    def images(self, metrics: Mapping[str, Any], step: int | None) -> int:
        """Images seen when these metrics were logged."""
        return int(metrics.get("images", (step or 0) * self.images_per_step))

"""Where the time of training goes."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

STEPS_BETWEEN = 50
"""On a GPU, which must be waited for at each reading, only every 50th step is timed and stands for 50"""


class Stopwatch:
    """Adds up the seconds of named parts of training steps; of a part within another, the outer one counts the rest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.device = torch.device("cpu")
        self.weight = 1
        self._inner = 0.0

    def begin_step(self, device: torch.device, step: int) -> None:
        """Decide whether this step is timed, and how many it stands for."""
        self.device = device
        self.weight = 1 if device.type == "cpu" else STEPS_BETWEEN if step % STEPS_BETWEEN == 0 else 0

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Time a part, unless this step is not timed."""
        if not self.weight:
            yield
            return
        outer, self._inner = self._inner, 0.0
        started = self.now()
        try:
            yield
        finally:
            elapsed = self.now() - started
            self.seconds[part] += self.weight * (elapsed - self._inner)
            self._inner = outer + elapsed

    def now(self) -> float:
        """Seconds, once the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

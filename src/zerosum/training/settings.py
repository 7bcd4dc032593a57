"""How any model is trained: checked before torch is imported, so that a mistyped value is answered at once."""

from dataclasses import dataclass
from typing import Literal

from zerosum.errors import UserError

SMALLEST = {"batch_size": 1, "accumulate": 1, "rollbacks": 0}


@dataclass(frozen=True)
class TrainingSettings:
    """How any model is trained.

    `batch_size` is the global batch, over all devices; it passes through the networks in `accumulate` equal parts.
    Gradients longer than the norm `clip` are scaled down to it. At a NaN or infinite loss, `on_nan` says whether to
    stop, or to roll back to the last checkpoint with half the learning rates, at most `rollbacks` times.
    `ema_half_life` is in images; it is at most `ema_ramp_up` times the images seen.
    """

    batch_size: int = 64
    accumulate: int = 1
    clip: float | None = None
    on_nan: Literal["stop", "rollback"] = "stop"
    rollbacks: int = 3
    ema_half_life: float = 10_000.0
    ema_ramp_up: float | None = 0.05

    def __post_init__(self) -> None:
        for name, smallest in SMALLEST.items():
            if getattr(self, name) < smallest:
                raise UserError(f"training.{name}={getattr(self, name)}: the smallest value is {smallest}")
        if self.batch_size % self.accumulate:
            raise UserError(
                f"training.accumulate={self.accumulate} does not divide training.batch_size={self.batch_size}:"
                " choose numbers that do"
            )
        if self.clip is not None and not self.clip > 0:
            raise UserError(f"training.clip={self.clip}: choose a norm greater than 0, or null for no clipping")
        if not self.ema_half_life >= 0 or not (self.ema_ramp_up is None or self.ema_ramp_up >= 0):
            raise UserError(
                f"training.ema_half_life={self.ema_half_life} training.ema_ramp_up={self.ema_ramp_up}: choose numbers"
                " of 0 or more"
            )

"""Pasts of time series as conditions."""

import torch
from torch import Tensor

from zerosum.data.dataset import DataShape
from zerosum.errors import UserError
from zerosum.gan.labels.conditions import AttributeConditions, Columns

PANELS = 8
"""Pasts in one picture"""


class PastConditions(AttributeConditions):
    """Pasts (B, T) float: those of training windows, and of test windows for pictures."""

    use = "conditioned on the past"
    shown: Tensor

    def __init__(self, shape: DataShape) -> None:
        if shape.num_attributes is None or len(shape.sample_shape) != 1:
            raise UserError("labels=past: this dataset has no past: take dataset=ar2, regime_sines or sunspots")
        super().__init__(shape.num_attributes)
        (self.future,) = shape.sample_shape
        self.register_buffer("shown", torch.zeros(PANELS, shape.num_attributes))

    def begin(self, dataset: object) -> None:
        """Keep some pasts."""
        super().begin(dataset)
        self.shown.copy_(dataset.split("test").attributes[:PANELS])  # type: ignore[attr-defined]

    def arrange(self, count: int) -> Columns:
        """Column i goes on from test window i."""
        return Columns(self.shown.repeat(max(1, count // PANELS), 1), PANELS, [])

    def rows_above(self, columns: int) -> Tensor:
        """The pasts of the columns, as much of each as a future is long."""
        return self.shown[:columns, -self.future :].cpu()

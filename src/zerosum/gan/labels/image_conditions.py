"""Images as conditions of a GAN: super-resolution, next frames, translation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from zerosum.data.dataset import DataShape
from zerosum.data.images import to_condition
from zerosum.errors import UserError
from zerosum.gan.labels.conditions import Columns, Conditions, uniforms
from zerosum.models.conditioning import ImageVector
from zerosum.pixels import from_uint8
from zerosum.randomness import generator

KEPT = 64
"""Conditions, and real images beside them, that a model keeps for pictures"""
COLUMNS = 8


class ImageConditions(Conditions):
    """Images (B, c, h, w) in [-1, 1]: held-out ones of the data, if it has any, for pictures and without the data."""

    from_data = True
    use = "conditioned on images"
    kept: Tensor
    real: Tensor

    def __init__(self, shape: DataShape) -> None:
        super().__init__()
        if shape.condition_shape is None:
            raise UserError(
                "labels=image: this dataset gives no image as the condition: take dataset=super_resolution, edges,"
                " gray_to_color, bounce, moving_digits or dyed, or a Pairs of your own"
            )
        self.shape = shape.condition_shape
        channels, *places = shape.condition_shape
        self.register_buffer("kept", torch.zeros(KEPT, *places, channels, dtype=torch.uint8))
        channels, *places = shape.sample_shape
        self.register_buffer("real", torch.zeros(KEPT, *places, channels, dtype=torch.uint8))

    def make_encoder(self, pack: int = 1) -> ImageVector:
        if pack > 1:
            raise UserError(f"game.pack={pack}: a pack of images has no condition image: set game.pack=1")
        return ImageVector(self.shape)

    def begin(self, dataset: Any) -> None:
        """Keep some conditions, and the images that belong to them."""
        split = dataset.split("test" if "test" in dataset.splits else "train")
        rows = torch.randint(len(split.images), (KEPT,), generator=generator(0, "kept")).numpy()
        self.kept.copy_(torch.from_numpy(np.array(split.condition_images[rows])))
        self.real.copy_(torch.from_numpy(np.array(split.images[rows])))

    def draw(self, seeds: Sequence[int]) -> Tensor:
        rows = (uniforms(seeds, 1)[:, 0] * KEPT).long()
        return to_condition(self.kept[rows.to(self.kept.device)])

    def arrange(self, count: int) -> Columns:
        """A column for each of the first eight conditions."""
        columns = min(COLUMNS, count)
        condition = to_condition(self.kept[:columns])
        return Columns(condition.repeat(max(1, count // columns), 1, 1, 1), columns, [])

    def rows_above(self, columns: int) -> Tensor:
        """The conditions, as images, and below them the real images that belong to them."""
        real = from_uint8(self.real[:columns].permute(0, 3, 1, 2))
        return torch.cat([as_image(to_condition(self.kept[:columns]), tuple(real.shape[1:])), real])


def as_image(condition: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(B, *shape) to be drawn beside images: pixels enlarged, gray as color; of several frames the last."""
    channels, *places = shape
    last = (
        condition[:, -channels:] if condition.shape[1] >= channels else condition[:, -1:].expand(-1, channels, -1, -1)
    )
    return interpolate(last, tuple(places))

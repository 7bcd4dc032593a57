"""What a conditional GAN asks its generator for: labels, attributes, or codes."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from zerosum.data.dataset import Batch, DataShape
from zerosum.errors import UserError
from zerosum.models.conditioning import Encoder, Flat, OneHot
from zerosum.randomness import derive

MOST_COLUMNS = 16
"""Classes in one picture; more are taken at equal distances"""
MOST_NAMED = 3
"""Attributes in the heading of a column"""
KEPT = 1_000
"""Attribute vectors of training images that a model keeps to draw from"""


class Columns(NamedTuple):
    """Conditions of a picture, row by row, and how many columns it has."""

    condition: Tensor
    columns: int
    names: list[str]
    """Of the columns"""


class Conditions(nn.Module):
    """The conditions of one model: how they are drawn and how they become vectors.

    Buffers hold what is known of the training data, so that a run is sampled without it.
    """

    from_data: ClassVar[bool]
    """Whether real images have these conditions too"""
    use: ClassVar[str] = "conditioned on labels"
    """What cards say of labels"""

    def make_encoder(self, pack: int = 1) -> Encoder:
        """Turns `pack` conditions into one vector."""
        raise NotImplementedError

    def begin(self, dataset: Any) -> None:
        """Learn from the training split how conditions are distributed."""

    def of_batch(self, batch: Batch, *seed: int | str) -> Tensor | None:
        """Conditions of the fakes beside a batch: those of its images, so they have the training distribution."""
        if batch.condition is None:
            raise UserError("labels: this dataset gives images without labels: set labels=none")
        return batch.condition

    def draw(self, seeds: Sequence[int]) -> Tensor:
        """(B, ...), row i drawn from the training distribution by seeds[i] alone."""
        raise NotImplementedError

    def arrange(self, count: int) -> Columns:
        """About `count` conditions for a picture with one column each."""
        raise NotImplementedError

    def rows_above(self, columns: int) -> Tensor | None:
        """Images (R * columns, C, H, W) that show the conditions of the columns: none, unless a child has some."""
        return None


class LabelConditions(Conditions):
    """Labels (B,) int64, as frequent as in the training split."""

    from_data = True
    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.register_buffer("counts", torch.ones(num_classes))

    def make_encoder(self, pack: int = 1) -> Encoder:
        return OneHot(self.num_classes, pack)

    def begin(self, dataset: Any) -> None:
        """Count the labels."""
        self.counts.copy_(torch.from_numpy(np.asarray(dataset.count_labels(), dtype=np.float32)))

    def draw(self, seeds: Sequence[int]) -> Tensor:
        counts = self.counts.double().cpu()
        if not (counts >= 0).all() or not 0 < counts.sum() < math.inf:
            raise UserError(
                "the checkpoint's counts of labels (conditions.counts) are damaged: choose another checkpoint"
            )
        shares = counts.cumsum(0) / counts.sum()
        found = torch.searchsorted(shares, uniforms(seeds, 1)[:, 0], right=True)
        return found.clamp(max=self.num_classes - 1).to(self.counts.device)

    def arrange(self, count: int) -> Columns:
        columns = min(self.num_classes, MOST_COLUMNS, count)
        classes = torch.linspace(0, self.num_classes - 1, columns).round().long()
        names = [str(label) for label in classes.tolist()]
        return Columns(classes.repeat(max(1, count // columns)).to(self.counts.device), columns, names)


class AttributeConditions(Conditions):
    """Attributes (B, A) float: those of training images."""

    from_data = True
    kept: Tensor

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        self.num_attributes = num_attributes
        self.register_buffer("kept", torch.zeros(KEPT, num_attributes))

    def make_encoder(self, pack: int = 1) -> Encoder:
        return Flat(self.num_attributes, pack)

    def begin(self, dataset: Any) -> None:
        """Keep the attributes of some training images."""
        attributes = torch.from_numpy(np.asarray(dataset.split("train").attributes, dtype=np.float32))
        chosen = torch.randint(len(attributes), (KEPT,), generator=torch.Generator().manual_seed(derive(0, "kept")))
        self.kept.copy_(attributes[chosen])

    def draw(self, seeds: Sequence[int]) -> Tensor:
        rows = (uniforms(seeds, 1)[:, 0] * len(self.kept)).long()
        return self.kept[rows.to(self.kept.device)]

    def arrange(self, count: int) -> Columns:
        """One column for each of the first few vectors that differ."""
        _, group = self.kept.cpu().unique(dim=0, return_inverse=True)
        firsts = [int((group == number).nonzero()[0]) for number in group.unique()]
        chosen = sorted(firsts)[: max(1, min(MOST_COLUMNS // 2, count))]
        names = ["\n".join(f"{value:.2g}" for value in self.kept[row, :MOST_NAMED].tolist()) for row in chosen]
        return Columns(self.kept[chosen].repeat(max(1, count // len(chosen)), 1), len(chosen), names)


def uniforms(seeds: Sequence[int], length: int) -> Tensor:
    """(B, length) ~ U[0, 1) in float64, row i drawn from seeds[i] alone, and independent of its z."""
    random = torch.Generator()
    rows = torch.empty(len(seeds), length, dtype=torch.float64)
    for row, seed in zip(rows, seeds, strict=True):
        row.uniform_(generator=random.manual_seed(derive(seed, "condition")))
    return rows


def conditions_of_data(shape: DataShape) -> Conditions:
    """Attributes if the dataset has them, else labels; UserError if it has neither, or images as conditions."""
    if shape.condition_shape is not None:
        raise UserError(
            "labels: this dataset gives an image as the condition, as model=image_to_image takes it: leave"
            " the option labels out"
        )
    if shape.num_attributes is not None:
        return AttributeConditions(shape.num_attributes)
    if shape.num_classes is None:
        raise UserError("labels: this dataset has no labels: put each class into a sub-folder, or set labels=none")
    return LabelConditions(shape.num_classes)

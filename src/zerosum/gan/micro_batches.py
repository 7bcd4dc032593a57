"""The parts that a batch passes through the networks in, and what is put together of their results."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.gan.regularizers import ScoredBatch
from zerosum.models.networks import Scores

Metrics = dict[str, Tensor]
"""Detached values by name"""


class Round(NamedTuple):
    """The micro-batches of a batch of real images, and the noise and the fakes beside each."""

    parts: Sequence[Batch]
    noise: Sequence[Tensor]
    fakes: Sequence[Tensor]


def concatenate(parts: Sequence[ScoredBatch]) -> ScoredBatch:
    """Images and scores of a whole batch from those of its micro-batches."""
    scores = (
        None if each[0] is None else torch.cat(each) for each in zip(*(part.scores for part in parts), strict=True)
    )
    return ScoredBatch(torch.cat([part.images for part in parts]), Scores(*scores))  # type: ignore[arg-type]


def merge(parts: Sequence[Metrics]) -> Metrics:
    """The batch's values from those of its micro-batches: scalars averaged, logits concatenated."""
    if len(parts) == 1:
        return parts[0]
    values = {name: [part[name] for part in parts] for name in parts[0]}
    return {name: torch.cat(each) if each[0].dim() else torch.stack(each).mean() for name, each in values.items()}

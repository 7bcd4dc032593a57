"""What a step saw, for whoever logs it or looks after it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.data import Batch


class Critique(NamedTuple):
    """D's turn on a part of a batch, detached."""

    loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    penalties: dict[str, Tensor]


class Turn(NamedTuple):
    """What the last step saw, detached; logits are those of D's last turn."""

    discriminator_loss: Tensor
    generator_loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    penalties: dict[str, Tensor]
    fakes: Tensor
    """Of the last part of the batch"""
    images: int
    """Real images shown to D in the step, over all processes."""


def merged(parts: Sequence[Critique]) -> Critique:
    """The whole batch's: means of losses, all logits."""
    if len(parts) == 1:
        return parts[0]
    penalties = {name: torch.stack([part.penalties[name] for part in parts]).mean() for name in parts[0].penalties}
    real, fake = (torch.cat(logits) for logits in ([p.real_logits for p in parts], [p.fake_logits for p in parts]))
    return Critique(torch.stack([part.loss for part in parts]).mean(), real, fake, penalties)


def split(batch: Batch, z: Tensor, parts: int) -> list[tuple[Batch, Tensor]]:
    """Equal parts of a batch and of its noise."""
    if parts == 1:
        return [(batch, z)]
    labels: Sequence[Tensor | None] = [None] * parts if batch.labels is None else batch.labels.chunk(parts)
    rows = zip(batch.images.chunk(parts), labels, z.chunk(parts), strict=True)
    return [(Batch(images, label), noise) for images, label, noise in rows]

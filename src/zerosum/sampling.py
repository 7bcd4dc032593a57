"""Samples of a trained model: sample i depends on seed i alone."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Model(Protocol):
    """A trained generative model, which is all that metrics, grids and reports know of it."""

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape), images in [-1, 1]; sample i depends on seed i and row i of `condition` alone."""
        ...


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """z ~ N(0, I) of shape (len(seeds), latent_dim), row i drawn from seeds[i] alone."""
    generator = torch.Generator()
    z = torch.empty(len(seeds), latent_dim)
    for row, seed in zip(z, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    return z


@torch.inference_mode()
def images(
    model: Model, seeds: Sequence[int], condition: Tensor | None = None, batch_size: int = 64
) -> Iterator[Tensor]:
    """Batches of samples for the seeds, in order."""
    for start in range(0, len(seeds), batch_size):
        chosen = slice(start, start + batch_size)
        yield model.sample(seeds[chosen], None if condition is None else condition[chosen])

"""Pictures from a trained model: picture i depends on seed i alone."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor


class Model(Protocol):
    """Anything that was trained to generate: all that metrics, grids, reports and exports know."""

    def sample(self, seeds: Sequence[int], labels: Tensor | None = None) -> Tensor:
        """(len(seeds), *image_shape), pictures in [-1, 1]; each depends on its own seed and label alone."""
        ...


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """z ~ N(0, I) of shape (len(seeds), latent_dim), row i drawn from seeds[i] alone."""
    generator = torch.Generator()
    z = torch.empty(len(seeds), latent_dim)
    for row, seed in zip(z, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    return z


@torch.inference_mode()
def images(model: Model, seeds: Sequence[int], labels: Tensor | None = None, batch_size: int = 64) -> Iterator[Tensor]:
    """Batches of samples of `model` for the seeds, in order."""
    for start in range(0, len(seeds), batch_size):
        chosen = slice(start, start + batch_size)
        yield model.sample(seeds[chosen], None if labels is None else labels[chosen])


def to_uint8(pictures: Tensor) -> Tensor:
    """[-1, 1] to 0 .. 255, rounded to nearest and clamped (not truncated: that shifts the Frechet distance)."""
    return (pictures.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def from_uint8(pictures: Tensor) -> Tensor:
    """0 .. 255 to [-1, 1], the inverse of `to_uint8`."""
    return pictures.float().div_(127.5).sub_(1)

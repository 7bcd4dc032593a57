"""Samples of a trained model: sample i depends on seed i alone."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


class Model(Protocol):
    """A trained generative model, which is all that metrics, grids and reports know of it."""

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape), images in [-1, 1]; sample i depends on seed i and row i of `condition` alone."""
        ...


@runtime_checkable
class LatentModel(Protocol):
    """A model whose samples are functions of latents z ~ N(0, I)."""

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        ...

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, *sample_shape) of latents (B, latent_dim)."""
        ...


@runtime_checkable
class ExplicitModel(Protocol):
    """A model that tells how likely an image is."""

    @property
    def likelihood(self) -> str:
        """exact, bound or estimate, and how: 'bound, by uniform dequantization'."""
        ...

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats, by the moving average: of images in [-1, 1] the probability of their levels, of points a density.

        An estimate may draw from torch's default generators, which its caller seeds.
        """
        ...


@runtime_checkable
class ReconstructingModel(Protocol):
    """A model that makes codes of images, and images of codes."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """(B, C, H, W) of images in [-1, 1], by the moving average."""
        ...


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """z ~ N(0, I) of shape (len(seeds), latent_dim), row i drawn from seeds[i] alone."""
    generator = torch.Generator()
    z = torch.empty(len(seeds), latent_dim)
    for row, seed in zip(z, seeds, strict=True):
        row.normal_(generator=generator.manual_seed(seed))
    return z


def uniforms(seeds: Sequence[int], count: int) -> Tensor:
    """Uniform in [0, 1), (len(seeds), count), row i drawn from seeds[i] alone."""
    generator = torch.Generator()
    u = torch.empty(len(seeds), count)
    for row, seed in zip(u, seeds, strict=True):
        row.uniform_(generator=generator.manual_seed(seed))
    return u


@torch.inference_mode()
def images(
    model: Model, seeds: Sequence[int], condition: Tensor | None = None, batch_size: int = 64
) -> Iterator[Tensor]:
    """Batches of samples for the seeds, in order."""
    for start in range(0, len(seeds), batch_size):
        chosen = slice(start, start + batch_size)
        yield model.sample(seeds[chosen], None if condition is None else condition[chosen])


class Sheet(NamedTuple):
    """Samples of one picture, row by row."""

    seeds: Sequence[int]
    condition: Tensor | None
    columns: int | None
    """None where any number will do"""
    names: list[str]
    """Of the columns: labels, attributes or values of a code"""


def arrange(model: Any, count: int, first: int = 0) -> Sheet:
    """About `count` samples for a picture: of seeds from `first` on, or, of a conditional model, a row for each seed.

    A column then has one condition.
    """
    if getattr(model, "conditions", None) is None:
        return Sheet(range(first, first + count), None, None, [])
    condition, columns, names = model.conditions.arrange(count)
    return Sheet([first + row // columns for row in range(len(condition))], condition, columns, names)


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(steps, *shape) from `start` to `end` along the great arc, both ends included."""
    return arc(start, end, torch.linspace(0, 1, steps, dtype=torch.float64))


def arc(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """(T, *shape) on the great arc, whose points are as likely under N(0, I) as its ends, at t (T,) from 0 to 1.

    sin((1 - t) angle) / sin(angle) start + sin(t angle) / sin(angle) end (Shoemake 1985).
    """
    t = t.double().view(-1, *[1] * start.dim())
    one, other = start.double(), end.double()
    cosine = (one * other).sum(-1, keepdim=True) / (one.norm(dim=-1, keepdim=True) * other.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin()
    between = (((1 - t) * angle).sin() * one + (t * angle).sin() * other) / sine
    straight = (1 - t) * one + t * other
    return torch.where(sine.abs() < 1e-6, straight, between).to(start.dtype)

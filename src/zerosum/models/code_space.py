"""The space in which a generator's images are explored: w of a network with styles, else z itself."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from zerosum.models.conditioning import JoinedGenerator, OwnCondition
from zerosum.randomness import generator

STYLES = 4096
"""Styles w whose mean stands for the mean style"""


class Styled(Protocol):
    """A generator of two parts, such as StyleGAN2's."""

    latent_dim: int
    mapping: Callable[[Tensor, Tensor | None], Tensor]
    """z (B, latent_dim), and a condition, to styles w (B, D)"""

    def synthesize(self, w: Tensor) -> Tensor:
        """Styles to images."""
        ...


class CodeSpace:
    """Codes of images (B, D): styles w where the network maps z to them, else latents z ~ N(0, I)."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.styled = find_styled(network)
        self.means: dict[bytes, Tensor] = {}

    @property
    def name(self) -> str:
        """w or z"""
        return "z" if self.styled is None else "w"

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.network.latent_dim  # type: ignore[return-value]

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return next(self.network.parameters()).device

    def encode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Codes of latents (B, latent_dim)."""
        z, condition = self.place(z, condition)
        return z if self.styled is None else self.styled.mapping(*prepare(self.network, z, condition))

    def decode(self, codes: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images (B, *sample_shape) in [-1, 1] of codes; a style has its condition in it already."""
        codes, condition = self.place(codes, condition)
        return self.network(codes, condition) if self.styled is None else self.styled.synthesize(codes).clamp(-1, 1)

    def place(self, codes: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Both on the network's device."""
        return codes.to(self.device), None if condition is None else condition.to(self.device)

    def truncate(self, codes: Tensor, truncation: float, condition: Tensor | None = None) -> Tensor:
        """mean + truncation (code - mean): 1 leaves codes as they are, 0 gives the mean.

        The mean is 0 for z, and for w that of the same condition (Karras et al. 2019, StyleGAN, appendix B).
        """
        if truncation == 1:
            return codes
        mean = self.mean(codes, condition)
        return mean + truncation * (codes - mean)

    def mean(self, codes: Tensor, condition: Tensor | None) -> Tensor:
        """(B, D): the mean code of each row's condition."""
        if self.styled is None:
            return torch.zeros_like(codes)
        if condition is None:
            return self.mean_style(None).expand_as(codes)
        return torch.cat([self.mean_style(row) for row in condition.split(1)])

    @torch.no_grad()
    def mean_style(self, condition: Tensor | None) -> Tensor:
        """(1, D): the mean of `STYLES` styles of one condition, computed once."""
        key = b"" if condition is None else condition.cpu().numpy().tobytes()
        if key not in self.means:
            z = torch.randn(STYLES, self.latent_dim, generator=generator("mean style"))
            repeated = None if condition is None else condition.repeat(STYLES, *[1] * (condition.dim() - 1))
            self.means[key] = self.encode(z, repeated).mean(0, keepdim=True)
        return self.means[key]


def find_styled(network: nn.Module) -> Styled | None:
    """The part of a network, with or without room for a condition around it, that makes images of styles."""
    inner = network.network if isinstance(network, OwnCondition | JoinedGenerator) else network
    has_both = isinstance(getattr(inner, "mapping", None), nn.Module) and hasattr(inner, "synthesize")
    return inner if has_both else None  # type: ignore[return-value]


def prepare(network: nn.Module, z: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """What the inner network of a conditional one is called with."""
    if isinstance(network, OwnCondition):
        assert condition is not None
        return z, network.encode(condition)
    if isinstance(network, JoinedGenerator):
        assert condition is not None
        return network.join(z, condition), None
    return z, condition

"""Exponential moving average of a network, with its half-life in images."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class ExponentialMovingAverage(nn.Module):
    """A copy of a network whose weights are a moving average of its weights; samples are drawn from the copy.

    The half-life is at most `ramp_up` times the images seen, so that the copy forgets the initial
    weights soon (StyleGAN2-ADA, Karras et al. 2020). Running statistics of batch norm are averaged too, and so are the
    singular vectors of spectral norm, which keep their length of 1.
    """

    def __init__(self, network: nn.Module, half_life: float, ramp_up: float | None = 0.05) -> None:
        super().__init__()
        self.half_life = half_life
        self.ramp_up = ramp_up
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None
        self._vectors: list[Tensor] = []
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "ExponentialMovingAverage":
        """Stay in evaluation mode."""
        return super().train(False)

    def decay(self, images: int, images_seen: int) -> float:
        """beta = 2^(-images / half-life)."""
        ramp = float("inf") if self.ramp_up is None else self.ramp_up * images_seen
        half_life = min(self.half_life, ramp)
        return 0.5 ** (images / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, images_seen: int) -> None:
        """Move the average towards `network` by one step of `images` images."""
        if self._pairs is None:  # walking the modules at every step would cost a fiftieth of a small model's
            self._pairs = floating(self.network), floating(network)
            self._vectors = singular_vectors(self.network)
        torch._foreach_lerp_(*self._pairs, 1 - self.decay(images, images_seen))
        normalize_vectors(self._vectors)

    def _apply(self, *arguments: Any, **named: Any) -> "ExponentialMovingAverage":
        self._pairs = None  # moving to a device replaces buffers
        return super()._apply(*arguments, **named)


def floating(network: nn.Module) -> list[Tensor]:
    """Parameters and floating-point buffers, in the order of the state dict."""
    return [tensor for tensor in [*network.parameters(), *network.buffers()] if tensor.is_floating_point()]


def singular_vectors(network: nn.Module) -> list[Tensor]:
    """The estimates of left and right singular vectors that spectral norm keeps."""
    buffers = network.named_buffers()
    return [buffer for name, buffer in buffers if ".parametrizations." in name and name.endswith(("._u", "._v"))]


@torch.no_grad()
def normalize_vectors(vectors: list[Tensor]) -> None:
    """Give each the length 1: the mean of unit vectors is shorter, and its singular value would be too."""
    if vectors:
        torch._foreach_div_(vectors, torch._foreach_norm(vectors))

"""Normalizing flow: RealNVP (Dinh et al. 2017, arXiv 1605.08803), with Glow's 1x1 convolutions as an option."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, logsigmoid, pixel_shuffle, pixel_unshuffle

from zerosum.data.dataset import Batch
from zerosum.errors import UserError, check_positive
from zerosum.families.levels import dequantize, from_levels, log_cell_volume
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.sampling import latents
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

STEEPEST = math.log(1e3)
"""Bound of a coupling's |log scale|"""
ALPHA = 0.05
"""Of the logit transform, as in the paper's section 4.1"""


class Transformed(NamedTuple):
    """y = f(x), and log |det dy/dx|, (B,)."""

    y: Tensor
    log_det: Tensor


class Coupling(nn.Module):
    """y = m x + (1 - m) (x exp(s(m x)) + t(m x)), log |det| = sum (1 - m) s (eq. 9); s is bounded smoothly."""

    mask: Tensor

    def __init__(self, mask: Tensor, channels: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        last = nn.Conv2d(width, 2 * channels, 3, 1, 1)
        nn.init.zeros_(last.weight)  # the identity at first
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), last
        )

    def scale_and_shift(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """s and t of m x, zero where m is 1."""
        log_scale, shift = self.layers(kept).chunk(2, 1)
        log_scale = log_scale / (1 + (log_scale / STEEPEST).abs())
        return (1 - self.mask) * log_scale, (1 - self.mask) * shift

    def forward(self, x: Tensor) -> Transformed:
        log_scale, shift = self.scale_and_shift(self.mask * x)
        return Transformed(x * log_scale.exp() + shift, log_scale.flatten(1).sum(1))

    def inverse(self, y: Tensor) -> Tensor:
        log_scale, shift = self.scale_and_shift(self.mask * y)
        return (y - shift) * (-log_scale).exp()


class Invertible1x1(nn.Module):
    """A 1x1 convolution, first a random rotation: log |det| = H W log |det W| (Kingma and Dhariwal 2018, eq. 9)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(channels, channels)))

    def forward(self, x: Tensor) -> Transformed:
        log_det = torch.linalg.slogdet(self.weight.float())[1] * math.prod(x.shape[2:])
        return Transformed(conv2d(x, self.weight[:, :, None, None]), log_det.expand(len(x)))

    def inverse(self, y: Tensor) -> Tensor:
        return conv2d(y, torch.linalg.inv(self.weight)[:, :, None, None])


class Squeeze(nn.Module):
    """(B, C, H, W) to (B, 4 C, H / 2, W / 2): each 2x2 square becomes channels."""

    def forward(self, x: Tensor) -> Transformed:
        return Transformed(pixel_unshuffle(x, 2), x.new_zeros(len(x)))

    def inverse(self, y: Tensor) -> Tensor:
        return pixel_shuffle(y, 2)


class Logit(nn.Module):
    """logit(s) of s = alpha + (1 - 2 alpha) y, y in [0, 1): log |det| = sum log(1 - 2 alpha) - log s(1 - s)."""

    def forward(self, y: Tensor) -> Transformed:
        x = (ALPHA + (1 - 2 * ALPHA) * y).logit()
        log_det = math.log(1 - 2 * ALPHA) - logsigmoid(x) - logsigmoid(-x)
        return Transformed(x, log_det.flatten(1).sum(1))

    def inverse(self, x: Tensor) -> Tensor:
        return (x.sigmoid() - ALPHA) / (1 - 2 * ALPHA)


def checkerboard(height: int, width: int) -> Tensor:
    """(1, H, W) of 0 and 1, the colour of each field."""
    return (torch.arange(height)[:, None] + torch.arange(width)).remainder(2).float()[None]


def every_other(channels: int) -> Tensor:
    """(C, 1, 1) of 0 and 1 in turn."""
    return torch.arange(channels).remainder(2).float()[:, None, None]


def layers_of(shape: Sequence[int], couplings: int, width: int, glow: bool) -> list[nn.Module]:
    """At each scale `couplings` over a checkerboard, a squeeze, and as many over channels, down to a side of 4 or 7.

    Points have channels alone. With `glow` a 1x1 convolution stands before each coupling over
    channels.
    """
    channels, height, width_ = shape
    layers: list[nn.Module] = []
    while height > 1 and height % 2 == 0 and width_ % 2 == 0 and height >= 8:
        board = checkerboard(height, width_)
        layers += [Coupling(alternate(board, index), channels, width) for index in range(couplings)]
        channels, height, width_ = 4 * channels, height // 2, width_ // 2
        layers += [Squeeze(), *over_channels(channels, couplings, width, glow)]
    if not layers:
        layers = over_channels(channels, couplings, width, glow)
    return layers


def over_channels(channels: int, couplings: int, width: int, glow: bool) -> list[nn.Module]:
    """Couplings that keep every other channel in turn."""
    layers: list[nn.Module] = []
    for index in range(couplings):
        layers += [Invertible1x1(channels)] if glow else []
        layers += [Coupling(alternate(every_other(channels), index), channels, width)]
    return layers


def alternate(mask: Tensor, index: int) -> Tensor:
    """The mask, or every second time its opposite."""
    return mask if index % 2 == 0 else 1 - mask


class Flow(nn.Module):
    """Invertible layers from data (B, *sample_shape) to z ~ N(0, I) of (B, C, H, W)."""

    def __init__(self, sample_shape: Sequence[int], layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.sample_shape = tuple(sample_shape)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Transformed:
        """z and log |det dz/dx| of x (B, *sample_shape)."""
        z = x if x.dim() == 4 else x[:, :, None, None]
        total = x.new_zeros(len(x))
        for layer in self.layers:
            z, log_det = layer(z)
            total = total + log_det
        return Transformed(z, total)

    def inverse(self, z: Tensor) -> Tensor:
        """x (B, *sample_shape) of z (B, numbers)."""
        shape = self.sample_shape if len(self.sample_shape) == 3 else (*self.sample_shape, 1, 1)
        squeezes = 2 ** sum(isinstance(layer, Squeeze) for layer in self.layers)
        x = z.view(-1, shape[0] * squeezes**2, shape[1] // squeezes, shape[2] // squeezes)
        for layer in reversed(self.layers):
            x = layer.inverse(x)  # type: ignore[operator]
        return x.view(-1, *self.sample_shape)

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(z; 0, I) + log |det dz/dx|, (B,) nats (eq. 2)."""
        z, log_det = self(x)
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1) + log_det


class RealNVP(OneLoss):
    """Maximizes the log-likelihood of points, or of images with uniform noise in their cells and a logit transform."""

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = 256,
        couplings: int = 4,
        width: int = 64,
        glow: bool = False,
    ) -> None:
        check_positive("model", couplings=couplings, width=width)
        if math.prod(sample_shape) < 2:
            raise UserError("model: RealNVP changes half of the numbers by the other half: take data of two or more")
        shape = sample_shape if len(sample_shape) == 3 else (*sample_shape, 1, 1)
        if min(shape[1:]) > 1 and (min(shape[1:]) < 8 or shape[1] % 2 or shape[2] % 2):
            raise UserError(
                f"dataset.resolution: RealNVP couples pixels over a checkerboard of even sides of 8 or more, and these"
                f" images have {shape[1]}x{shape[2]}: choose such a resolution"
            )
        layers = layers_of(shape, couplings, width, glow)
        super().__init__(
            Flow(sample_shape, layers if levels is None else [Logit(), *layers]), optimizer, training, seed
        )
        self.sample_shape, self.levels = tuple(sample_shape), levels

    @property
    def likelihood(self) -> str:
        """Exact for points; of images the density is, and their probability is bounded."""
        return "exact" if self.levels is None else "bound, by uniform dequantization"

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean negative log-likelihood, or its bound, in nats."""
        uniform = torch.empty(0) if self.levels is None else noise.uniform("cells", *self.sample_shape)
        return -self.log_prob_of(self.network, batch.images, uniform).mean(), {}

    def log_prob_of(self, network: Any, images: Tensor, uniform: Tensor) -> Tensor:
        """(B,) nats of images with this noise in their cells, or of points."""
        with torch.autocast(images.device.type, enabled=False):
            if self.levels is None:
                return network.log_prob(images)
            inside = dequantize(images, uniform, self.levels)
            return network.log_prob(inside) + log_cell_volume(self.sample_shape, self.levels)

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats; of images with one draw of noise each."""
        return self.log_prob_of(self.ema.network, images, torch.rand(images.shape, device=images.device))

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape): x of z ~ N(0, I), images cut to their levels."""
        return self.decode(latents(seeds, self.latent_dim))

    @property
    def latent_dim(self) -> int:
        """As many as the data have."""
        return math.prod(self.sample_shape)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, *sample_shape) of z (B, latent_dim)."""
        x = self.ema.network.inverse(z.to(self.device))  # type: ignore[operator]
        if self.levels is None:
            return x
        return from_levels((x * self.levels).floor().clamp(0, self.levels - 1), self.levels)

"""R3GAN (Huang et al. 2024): residual blocks of grouped convolutions without any normalization."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from zerosum.errors import UserError, check_positive
from zerosum.models.networks import Scores
from zerosum.models.resampling import Downsample, Upsample
from zerosum.models.resolutions import check_resolution

RESOLUTIONS = (16, 32, 64, 128, 256)
EXPANSION = 2
GAIN = math.sqrt(2 / (1 + 0.2**2))
"""Of leaky ReLU with slope 0.2, which keeps the variance (He et al. 2015)"""


class Block(nn.Module):
    """x + 1x1, twice as wide, grouped 3x3, 1x1 back; a bias and leaky ReLU follow the first two, none has a bias else.

    The weights start as N(0, gain^2 / fan_in) with a gain that falls with the number of `blocks` in the network, the
    last ones as 0 (Zhang et al. 2019, Fixup).
    """

    def __init__(self, width: int, group_width: int, blocks: int) -> None:
        super().__init__()
        wide = EXPANSION * width
        if wide % group_width:
            raise UserError(
                f"model.group_width={group_width} does not divide {wide}, the channels of r3gan's grouped convolutions:"
                " choose numbers that do"
            )
        gain = GAIN * blocks**-0.25
        self.widen = initialize(nn.Conv2d(width, wide, 1, bias=False), gain)
        self.grouped = nn.Conv2d(wide, wide, 3, padding=1, groups=wide // group_width, bias=False)
        initialize(self.grouped, gain)
        self.narrow = initialize(nn.Conv2d(wide, width, 1, bias=False), 0.0)
        self.biases = nn.ParameterList([torch.zeros(wide), torch.zeros(wide)])

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        hidden = self.widen(features)
        hidden = leaky_relu(hidden + self.biases[0][:, None, None], 0.2)
        hidden = leaky_relu(self.grouped(hidden) + self.biases[1][:, None, None], 0.2)
        return features + self.narrow(hidden)


def initialize(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """Weights N(0, gain^2 / fan_in), in place."""
    weight: nn.Parameter = layer.weight  # type: ignore[assignment]
    nn.init.normal_(weight, 0.0, gain / math.sqrt(weight[0].numel()))
    return layer


def widths(sample_shape: tuple[int, ...], width: int) -> list[int]:
    """Channels at 4x4, 8x8, ... up to the resolution: `width` up to 32 pixels, halved at each doubling beyond."""
    side = check_resolution(sample_shape, "r3gan", RESOLUTIONS)
    return [max(1, width // max(1, 2**level // 32)) for level in range(2, int(math.log2(side)) + 1)]


def group_of(width: int, group_width: int) -> int:
    """Channels of a group; at most all of a narrow network's."""
    return min(group_width, EXPANSION * width)


class Generator(nn.Module):
    """Noise scales a learned 4x4 basis; blocks and doublings turn it to an image, which passes through no tanh.

    In evaluation images are clamped to [-1, 1].
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int = 64,
        width: int = 768,
        group_width: int = 16,
        blocks: int = 2,
        embedding: int = 64,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, width=width, group_width=group_width, blocks=blocks)
        check_positive("model.generator", embedding=embedding)
        channels = widths(sample_shape, width)
        self.latent_dim = latent_dim
        self.embed = initialize(nn.Linear(condition_size, embedding, bias=False)) if condition_size else None
        self.basis = nn.Parameter(torch.randn(channels[0], 4, 4))
        joined = latent_dim + (embedding if condition_size else 0)
        self.scale = initialize(nn.Linear(joined, channels[0], bias=False))
        total = blocks * len(channels)
        layers: list[nn.Module] = []
        for index, after in enumerate(channels):
            before = channels[index - 1] if index else after
            layers += [] if before == after else [initialize(nn.Conv2d(before, after, 1, bias=False))]
            layers += [Upsample()] if index else []
            layers += [Block(after, group_of(after, group_width), total) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.to_image = initialize(nn.Conv2d(channels[-1], sample_shape[0], 1, bias=False))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim), with a label (B, condition_size), to (B, C, H, W)."""
        if self.embed is not None:
            assert condition is not None
            z = torch.cat([z, self.embed(condition.to(z.dtype))], 1)
        images = self.to_image(self.layers(self.basis * self.scale(z)[:, :, None, None]))
        return images if self.training else images.clamp(-1, 1)


class Discriminator(nn.Module):
    """An image to a logit: blocks and halvings to 4x4, one learned weight for each place, and a linear map.

    With a label, the logit is the product of as many outputs as features with an embedding of the label.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: int = 768,
        group_width: int = 16,
        blocks: int = 2,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        check_positive("model", width=width, group_width=group_width, blocks=blocks)
        channels = widths(sample_shape, width)[::-1]
        total = blocks * len(channels)
        self.from_image = initialize(nn.Conv2d(sample_shape[0], channels[0], 1, bias=False))
        layers: list[nn.Module] = []
        for before, after in itertools.zip_longest(channels, channels[1:]):
            layers += [Block(before, group_of(before, group_width), total) for _ in range(blocks)]
            layers += [] if after is None else [Downsample()]
            layers += [] if after in (None, before) else [initialize(nn.Conv2d(before, after, 1, bias=False))]
        self.layers = nn.Sequential(*layers)
        self.num_features = channels[-1]
        self.basis = initialize(
            nn.Conv2d(self.num_features, self.num_features, 4, groups=self.num_features, bias=False)
        )
        outputs = self.num_features if condition_size else 1
        self.output = initialize(nn.Linear(self.num_features, outputs, bias=False))
        embedding = nn.Linear(condition_size, outputs, bias=False) if condition_size else None
        self.embed = None if embedding is None else initialize(embedding, 1 / math.sqrt(outputs))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, C, H, W), with a label (B, condition_size), to (B,)."""
        features = self.basis(self.layers(self.from_image(images))).flatten(1)
        outputs = self.output(features)
        if self.embed is not None:
            assert condition is not None
            outputs = (outputs * self.embed(condition.to(outputs.dtype))).sum(1, keepdim=True)
        return Scores(outputs.squeeze(1), features=features)

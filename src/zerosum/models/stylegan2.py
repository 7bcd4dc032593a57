"""StyleGAN2 (Karras et al. 2020), in the form that ADA uses for CIFAR-10, of plain convolutions.

A modulated convolution is written as scaled inputs, one convolution for the whole batch, and scaled outputs, which any
device computes and any format exports.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from zerosum.errors import check_positive
from zerosum.models.blocks import MinibatchStandardDeviation
from zerosum.models.equalized import EqualizedConv2d, EqualizedLinear, activate, normalize
from zerosum.models.networks import Scores
from zerosum.models.resampling import Blur, Upsample
from zerosum.models.resolutions import check_resolution

RESOLUTIONS = (16, 32, 64, 128, 256)
SLOW = 0.01
"""Learning rate of the mapping network, relative to the others"""


def widths(side: int, channel_base: int, channel_max: int) -> list[int]:
    """Channels at 4x4, 8x8, ... up to the resolution: channel_base / resolution, at most channel_max."""
    return [max(1, min(channel_base // 2**level, channel_max)) for level in range(2, int(math.log2(side)) + 1)]


class Mapping(nn.Module):
    """z, and the embedded condition beside it, to a style w; both are normalized, each on its own.

    Without `latent_dim` the condition alone is mapped, as D does.
    """

    def __init__(self, latent_dim: int, condition_size: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = EqualizedLinear(condition_size, width) if condition_size else None
        sizes = [latent_dim + (width if condition_size else 0)] + layers * [width]
        self.layers = nn.ModuleList(EqualizedLinear(*pair, rate=SLOW) for pair in itertools.pairwise(sizes))

    def forward(self, z: Tensor | None, condition: Tensor | None) -> Tensor:
        """(B, latent_dim) and (B, condition_size) to (B, width)."""
        parts = [] if z is None else [normalize(z)]
        if self.embed is not None:
            assert condition is not None
            parts.append(normalize(self.embed(condition.to(self.embed.weight.dtype))))
        features = torch.cat(parts, 1)
        for layer in self.layers:
            features = activate(layer(features))
        return features


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by the style, and whose outputs are scaled back to variance 1.

    Karras et al. 2020, StyleGAN2, equations 1 and 3: w'_ijk = s_i w_ijk, divided by the root of its sum of squares. The
    scales are applied to the maps in the weights' place, which gives the same result. `up` doubles the resolution.
    """

    def __init__(
        self, before: int, after: int, kernel: int, style: int, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.style = EqualizedLinear(style, before, bias=1.0)
        self.gain = 1 / math.sqrt(before * kernel**2)
        self.padding = kernel // 2
        self.demodulate = demodulate
        self.blur = Blur(padding=1, gain=4.0) if up else None

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """(B, before, H, W) and (B, style) to (B, after, H, W), or (B, after, 2 H, 2 W) with `up`."""
        style, weight = self.style(w), self.gain * self.weight
        features = features * style[:, :, None, None].to(features.dtype)
        if self.blur is None:
            features = conv2d(features, weight, padding=self.padding)
        else:
            features = self.blur(conv_transpose2d(features, weight.transpose(0, 1), stride=2))
        if not self.demodulate:
            return features
        squares = style.square() @ weight.square().sum((2, 3)).T  # (B, after)
        return features * (squares + 1e-8).rsqrt()[:, :, None, None].to(features.dtype)


class StyledLayer(nn.Module):
    """Modulated convolution, noise of a learned strength, bias, leaky ReLU.

    The noise is drawn anew in training; in evaluation it is the same for every image, so that an image depends on its
    z alone.
    """

    noise: Tensor

    def __init__(self, before: int, after: int, side: int, style: int, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(before, after, 3, style, up)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))
        self.register_buffer("noise", torch.randn(side, side))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """(B, before, H, W) and (B, style) to (B, after, side, side)."""
        features = self.convolution(features, w)
        noise = torch.randn_like(features[:, :1]) if self.training else self.noise.to(features.dtype)
        return activate(features + self.strength * noise + self.bias[:, None, None])


class ToImage(nn.Module):
    """Features to channels of an image by a modulated 1x1 convolution whose outputs are not scaled back."""

    def __init__(self, before: int, channels: int, style: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(before, channels, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """(B, before, H, W) and (B, style) to (B, channels, H, W)."""
        return self.convolution(features, w) + self.bias[:, None, None]


class Generator(nn.Module):
    """Noise to a style, and a learned 4x4 constant to an image, which is the sum of those of every resolution.

    Images are not bounded while D learns from them; in evaluation they are clamped to [-1, 1].
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int = 512,
        style_dim: int = 512,
        mapping_layers: int = 2,
        channel_base: int = 32768,
        channel_max: int = 512,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, channel_base=channel_base, channel_max=channel_max)
        check_positive("model.generator", style_dim=style_dim, mapping_layers=mapping_layers)
        side = check_resolution(sample_shape, "stylegan2", RESOLUTIONS)
        channels = widths(side, channel_base, channel_max)
        self.latent_dim = latent_dim
        self.mapping = Mapping(latent_dim, condition_size, style_dim, mapping_layers)
        self.constant = nn.Parameter(torch.randn(channels[0], 4, 4))
        layers = [StyledLayer(channels[0], channels[0], 4, style_dim)]
        for level, (before, after) in enumerate(itertools.pairwise(channels), 3):
            layers.append(StyledLayer(before, after, 2**level, style_dim, up=True))
            layers.append(StyledLayer(after, after, 2**level, style_dim))
        self.layers = nn.ModuleList(layers)
        self.to_image = nn.ModuleList(ToImage(width, sample_shape[0], style_dim) for width in channels)
        self.upsample = Upsample()

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim), with a label (B, condition_size), to (B, C, H, W)."""
        images = self.synthesize(self.mapping(z, condition))
        return images if self.training else images.clamp(-1, 1)

    def synthesize(self, w: Tensor) -> Tensor:
        """Styles (B, style_dim) to images (B, C, H, W)."""
        features = self.layers[0](self.constant.expand(w.shape[0], -1, -1, -1), w)
        images = self.to_image[0](features, w)
        for index, to_image in enumerate(list(self.to_image)[1:]):
            for layer in self.layers[1 + 2 * index : 3 + 2 * index]:
                features = layer(features, w)
            images = self.upsample(images) + to_image(features, w)
        return images


class Halving(nn.Module):
    """Two convolutions, the second after a blur to half the resolution, each followed by leaky ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = EqualizedConv2d(before, before, 3, padding=1)
        self.blur = Blur(padding=2)
        self.second = EqualizedConv2d(before, after, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H / 2, W / 2)."""
        return activate(self.second(self.blur(activate(self.first(features)))))


class Discriminator(nn.Module):
    """An image to a logit, halved to 4x4; the deviation over `group` neighbours in the batch is one more feature.

    With a label, the logit is the product of as many outputs with a map of the label, over the root of their number.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        channel_base: int = 32768,
        channel_max: int = 512,
        group: int = 32,
        mapping_layers: int = 8,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        check_positive("model", channel_base=channel_base, channel_max=channel_max)
        check_positive("model.discriminator", mapping_layers=mapping_layers, group=group)
        side = check_resolution(sample_shape, "stylegan2", RESOLUTIONS)
        *channels, last = widths(side, channel_base, channel_max)[::-1]
        self.from_image = EqualizedConv2d(sample_shape[0], [*channels, last][0], 1)
        self.halvings = nn.Sequential(*(Halving(*pair) for pair in itertools.pairwise([*channels, last])))
        self.deviation = MinibatchStandardDeviation(group)
        self.convolution = EqualizedConv2d(last + 1, last, 3, padding=1)
        self.hidden = EqualizedLinear(4 * 4 * last, last)
        self.num_features = last
        self.mapping = Mapping(0, condition_size, last, mapping_layers) if condition_size else None
        self.output = EqualizedLinear(last, last if condition_size else 1)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, C, H, W), with a label (B, condition_size), to (B,)."""
        features = self.halvings(activate(self.from_image(images)))
        features = activate(self.convolution(self.deviation(features)))
        features = activate(self.hidden(features.flatten(1)))
        outputs = self.output(features)
        if self.mapping is not None:
            label = self.mapping(None, condition)
            outputs = (outputs * label).sum(1, keepdim=True) / math.sqrt(label.shape[1])
        return Scores(outputs.squeeze(1), features=features)

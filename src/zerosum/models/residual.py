"""Residual blocks of SNGAN, SAGAN and BigGAN."""

import itertools
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

from zerosum.models.attention import insert_attention
from zerosum.models.blocks import ConditionedLayers
from zerosum.models.networks import Scores


def convolution(before: int, after: int) -> nn.Conv2d:
    """3x3, to the same resolution."""
    return nn.Conv2d(before, after, 3, padding=1)


class GeneratorBlock(nn.Module):
    """Doubles the resolution: norm, ReLU, nearest neighbours, 3x3, norm, ReLU, 3x3, beside a shortcut with a 1x1.

    Miyato et al. 2018, appendix B.4. A 1x1 convolution and nearest neighbours commute, so the shortcut convolves the
    smaller map.
    """

    def __init__(self, before: int, after: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        double = nn.Upsample(scale_factor=2)
        self.first = ConditionedLayers(norm(before), nn.ReLU(), double, convolution(before, after))
        self.second = ConditionedLayers(norm(after), nn.ReLU(), convolution(after, after))
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1), double)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, before, H, W) to (B, after, 2 H, 2 W)."""
        return self.second(self.first(features, condition), condition) + self.shortcut(features)


class DiscriminatorBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, halved where `down`, beside a shortcut, which has a 1x1 unless it is the identity.

    `first` is the block of the image, which has no ReLU before it and `after` channels within. A 1x1 convolution and
    a mean commute, so the shortcut convolves the smaller map.
    """

    def __init__(self, before: int, after: int, hidden: int, down: bool, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.down = down
        self.layers = nn.Sequential(convolution(before, hidden), nn.ReLU(), convolution(hidden, after))
        self.shortcut = nn.Conv2d(before, after, 1) if down or before != after else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, H / 2, W / 2), or to (B, after, H, W) without `down`."""
        residual = self.layers(features if self.first else relu(features))
        if not self.down:
            return residual + self.shortcut(features)
        return avg_pool2d(residual, 2) + self.shortcut(avg_pool2d(features, 2))


class Discriminator(nn.Module):
    """An image to a logit: residual blocks, ReLU, the sum over places, which scales the logits, and a linear map.

    `widths` are those behind each block, of which the first `halved` halve the resolution. Blocks are as wide within as
    at their end with `wide`, else as at their start.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        widths: list[int],
        halved: int,
        wide: bool = False,
        attention: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = [DiscriminatorBlock(sample_shape[0], widths[0], widths[0], True, first=True)]
        for index, (before, after) in enumerate(itertools.pairwise(widths), 1):
            blocks.append(DiscriminatorBlock(before, after, after if wide else before, down=index < halved))
        if attention:
            side = sample_shape[1]
            insert_attention(blocks, [side // 2 ** (block + 1) for block in range(len(blocks))], widths, side)
        self.blocks = nn.Sequential(*blocks)
        self.num_features = widths[-1]
        self.output = nn.Linear(self.num_features, 1, bias=bias)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, C, H, W) to (B,)."""
        features = relu(self.blocks(images)).sum((2, 3))
        return Scores(self.output(features).squeeze(1), features=features)

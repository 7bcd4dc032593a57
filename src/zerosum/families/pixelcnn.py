"""Gated PixelCNN (van den Oord et al. 2016, arXiv 1606.05328)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from zerosum.errors import UserError, check_positive
from zerosum.families.autoregressive import (
    Autoregressive,
    AutoregressiveNetwork,
    Choice,
    check_dropout,
    check_gray,
    levels_of_images,
)
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class GatedLayer(nn.Module):
    """One layer of the vertical stack, which sees the rows above, and of the horizontal one, which sees the left too.

    Both stacks were shifted by one pixel before the first layer, so a layer may see its own place (figure 2).
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.vertical = nn.Conv2d(width, 2 * width, (self.reach + 1, kernel))
        self.horizontal = nn.Conv2d(width, 2 * width, (1, self.reach + 1))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.drop = nn.Dropout2d(dropout)
        self.output = nn.Conv2d(width, width, 1)
        self.skip = nn.Conv2d(width, width, 1)

    def forward(self, above: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both stacks (B, width, H, W) to both, and what the output adds up."""
        gates = self.vertical(pad(above, (self.reach, self.reach, self.reach, 0)))
        left, skip = self.move_right(left, pad(left, (self.reach, 0, 0, 0)), self.link(gates))
        return gate(gates), left, skip

    def move_right(self, left: Tensor, window: Tensor, linked: Tensor) -> tuple[Tensor, Tensor]:
        """The horizontal stack, with a residual connection, and its skip; `window` is padded by `reach` on its left."""
        gated = self.drop(gate(self.horizontal(window) + linked))
        return left + self.output(gated), self.skip(gated)


class GatedStacks(AutoregressiveNetwork):
    """Two stacks of convolutions that together see the pixels before a pixel and no other, without a blind spot.

    `depth` layers reach first_kernel // 2 + (depth - 1) (kernel // 2) pixels up and to each side.
    """

    layers: Sequence[GatedLayer]

    def __init__(
        self,
        sample_shape: Sequence[int],
        levels: int,
        width: int,
        depth: int,
        kernel: int,
        first_kernel: int,
        dropout: float,
    ) -> None:
        super().__init__(sample_shape, levels)
        self.width = width
        self.above = nn.Conv2d(1, width, 1)
        self.left = nn.Conv2d(1, width, 1)
        kernels = [first_kernel, *[kernel] * (depth - 1)]
        self.layers = nn.ModuleList(GatedLayer(width, size, dropout) for size in kernels)  # type: ignore[assignment]
        self.middle = nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, levels - 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) to logits (B, levels - 1, 1, H, W)."""
        above = self.above(pad(images[:, :, :-1], (0, 0, 1, 0)))
        left = self.left(pad(images[:, :, :, :-1], (1, 0, 0, 0)))
        skips = []
        for layer in self.layers:
            above, left, skip = layer(above, left)
            skips.append(skip)
        return self.logits(sum(skips, torch.zeros_like(left))).unsqueeze(2)

    def logits(self, skips: Tensor) -> Tensor:
        """(B, width, H, W) to (B, levels - 1, H, W)."""
        return self.head(relu(self.middle(relu(skips))))

    def generate(self, choose: Choice) -> Tensor:
        """(B, 1, H, W) with both stacks kept: a row of the vertical one, a pixel of the horizontal one at a time."""
        count, (_, height, width) = len(choose.uniforms), self.sample_shape
        images = choose.uniforms.new_zeros(count, 1, height, width)
        kept = [
            images.new_zeros(count, self.width, height + layer.reach, width + 2 * layer.reach) for layer in self.layers
        ]
        for row in range(height):
            last = images[:, :, row - 1 : row] if row else images[:, :, :1]  # zeros above the first row
            linked = self.move_down(self.above(last), kept, row)
            lines = [images.new_zeros(count, self.width, 1, width + layer.reach) for layer in self.layers]
            for column in range(width):
                pixel = images[:, :, row, column - 1] if column else images.new_zeros(count, 1)
                skips = self.move_right(self.left(pixel[:, :, None, None]), lines, linked, column)
                images[:, 0, row, column] = choose(row * width + column, self.logits(skips)[:, :, 0, 0])
        return images

    def move_down(self, above: Tensor, kept: list[Tensor], row: int) -> list[Tensor]:
        """Add a row (B, width, 1, W) to the vertical stack, and return what each layer links to the horizontal one."""
        linked = []
        for layer, rows in zip(self.layers, kept, strict=True):
            rows[:, :, row + layer.reach, layer.reach : rows.shape[3] - layer.reach] = above[:, :, 0]
            gates = layer.vertical(rows[:, :, row : row + layer.reach + 1])
            above = gate(gates)
            linked.append(layer.link(gates))
        return linked

    def move_right(self, left: Tensor, lines: list[Tensor], linked: list[Tensor], column: int) -> Tensor:
        """Add a pixel (B, width, 1, 1) to the horizontal stack, and return the sum of the skips there."""
        skips = torch.zeros_like(left)
        for layer, line, links in zip(self.layers, lines, linked, strict=True):
            line[:, :, :, column + layer.reach] = left[:, :, :, 0]
            window = line[:, :, :, column : column + layer.reach + 1]
            left, skip = layer.move_right(left, window, links[:, :, :, column : column + 1])
            skips = skips + skip
        return skips


def gate(features: Tensor) -> Tensor:
    """tanh(one half) sigmoid(other half) of (B, 2 C, H, W) (equation 2)."""
    one, other = features.chunk(2, 1)
    return one.tanh() * other.sigmoid()


class PixelCNN(Autoregressive):
    """Gated stacks; the first kernel is `first_kernel` wide, the others `kernel`."""

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = None,
        width: int = 16,
        depth: int = 5,
        kernel: int = 3,
        first_kernel: int = 7,
        dropout: float = 0.0,
    ) -> None:
        check_positive("model", width=width, depth=depth, kernel=kernel, first_kernel=first_kernel)
        check_dropout(dropout)
        if not kernel % 2 or not first_kernel % 2:
            raise UserError(f"model.kernel={kernel} model.first_kernel={first_kernel}: choose odd numbers")
        levels = levels_of_images("PixelCNN", sample_shape, levels)
        check_gray("PixelCNN", sample_shape)
        network = GatedStacks(sample_shape, levels, width, depth, kernel, first_kernel, dropout)
        super().__init__(network, optimizer, training, seed)

"""PixelRNN with diagonal bidirectional LSTMs (van den Oord et al. 2016, arXiv 1601.06759)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from zerosum.errors import check_positive
from zerosum.families.autoregressive import Autoregressive, AutoregressiveNetwork, Choice, check_gray, levels_of_images
from zerosum.families.one_loss import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class State(NamedTuple):
    """Of the cells of a diagonal or of one cell, (B, width, cells) each."""

    hidden: Tensor
    memory: Tensor


class DiagonalLSTM(nn.Module):
    """An LSTM over the pixels, whose state is that of the pixel on the left, beside the hidden state of the one above.

    So it sees all that is above and to the left. All pixels of a diagonal are computed at once (figure 3). A residual
    connection goes around it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(width, 4 * width, 1)
        self.left = nn.Conv1d(width, 4 * width, 1, bias=False)
        self.above = nn.Conv1d(width, 4 * width, 1, bias=False)
        self.output = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to the same shape."""
        batch, width, height, _ = features.shape
        inputs = skew(self.input(features))
        inside = skew(torch.ones_like(features[:1, :1]))[:, 0]  # (1, H, diagonals)
        state = State(*features.new_zeros(2, batch, width, height))
        hidden = []
        for diagonal in range(inputs.shape[3]):
            above = pad(state.hidden[:, :, :-1], (1, 0))
            state = self.step(inputs[:, :, :, diagonal], state, above)
            state = State(*(part * inside[:, None, :, diagonal] for part in state))  # outside of the image it is 0
            hidden.append(state.hidden)
        return features + self.output(unskew(torch.stack(hidden, 3)))

    def step(self, inputs: Tensor, left: State, above: Tensor) -> State:
        """The state of cells of one diagonal, of inputs (B, 4 width, cells) (equation 3)."""
        gates = inputs + self.left(left.hidden) + self.above(above)
        out, forget, enter, content = gates.chunk(4, 1)
        memory = forget.sigmoid() * left.memory + enter.sigmoid() * content.tanh()
        return State(out.sigmoid() * memory.tanh(), memory)

    def move_right(self, feature: Tensor, left: State, above: Tensor) -> tuple[Tensor, State]:
        """One cell: a feature (B, width, 1), the state on its left, the hidden state above it; to output and state."""
        state = self.step(self.input(feature[:, :, None])[:, :, 0], left, above)
        return feature + self.output(state.hidden[:, :, None])[:, :, 0], state


def skew(features: Tensor) -> Tensor:
    """Row r of (B, C, H, W) moved right by r: (B, C, H, W + H - 1), whose columns are diagonals."""
    height, width = features.shape[2:]
    return pad(features, (0, height)).flatten(2)[:, :, : height * (width + height - 1)].unflatten(2, (height, -1))


def unskew(skewed: Tensor) -> Tensor:
    """The inverse of `skew`: (B, C, H, W)."""
    height, diagonals = skewed.shape[2:]
    return pad(skewed.flatten(2), (0, height)).unflatten(2, (height, -1))[:, :, :, : diagonals - height + 1]


class DiagonalLayers(AutoregressiveNetwork):
    """Two streams of diagonal LSTMs: one from the left, and one from the right whose output counts a row further down.

    The stream from the left begins with the pixel on the left, so with its own layers it sees all that is above and to
    the left; the one from the right begins with the pixel itself, and sees all that is above and to the right. So there
    is no blind spot. (In the paper both begin with one masked layer: the last pixel of the row above is seen by few.)
    """

    def __init__(self, sample_shape: Sequence[int], levels: int, width: int, depth: int) -> None:
        super().__init__(sample_shape, levels)
        self.width = width
        self.enter_left = nn.Conv2d(1, width, 1)
        self.enter_right = nn.Conv2d(1, width, 1)
        self.from_left = nn.ModuleList(DiagonalLSTM(width) for _ in range(depth))
        self.from_right = nn.ModuleList(DiagonalLSTM(width) for _ in range(depth))
        self.middle = nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, levels - 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) to logits (B, levels - 1, 1, H, W)."""
        left = self.enter_left(pad(images[:, :, :, :-1], (1, 0)))
        right = self.enter_right(images).flip(3)
        for from_left, from_right in zip(self.from_left, self.from_right, strict=True):
            right = from_right(right)
            left = from_left(left + pad(right.flip(3)[:, :, :-1], (0, 0, 1, 0)))
        return self.logits(left).unsqueeze(2)

    def logits(self, features: Tensor) -> Tensor:
        """(B, width, H, W) to (B, levels - 1, H, W)."""
        return self.head(relu(self.middle(relu(features))))

    def generate(self, choose: Choice) -> Tensor:
        """(B, 1, H, W), with the states of the row above and of the pixel on the left kept."""
        count, (_, height, width) = len(choose.uniforms), self.sample_shape
        images = choose.uniforms.new_zeros(count, 1, height, width)
        nothing = images.new_zeros(count, self.width, width)
        above, above_right = [nothing] * len(self.from_left), [nothing] * len(self.from_right)
        from_above = [nothing] * len(self.from_left)  # outputs of the stream from the right, of the row above
        for row in range(height):
            states = [State(nothing[:, :, :1], nothing[:, :, :1]) for _ in self.from_left]
            lines = []
            for column in range(width):
                pixel = images[:, :, row, column - 1 : column] if column else images.new_zeros(count, 1, 1)
                feature = self.enter_left(pixel[:, :, None])[:, :, 0]
                for index, layer in enumerate(self.from_left):
                    here = slice(column, column + 1)
                    feature = feature + from_above[index][:, :, here]
                    feature, states[index] = layer.move_right(feature, states[index], above[index][:, :, here])
                lines.append([state.hidden for state in states])
                images[:, 0, row, column] = choose(row * width + column, self.logits(feature[:, :, None])[:, :, 0, 0])
            above = [torch.cat(cells, 2) for cells in zip(*lines, strict=True)]
            from_above, above_right = self.end_row(images[:, :, row : row + 1], above_right)
        return images

    def end_row(self, pixels: Tensor, above: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The stream from the right for a row (B, 1, 1, W): outputs from left to right, hidden states of each layer."""
        line = self.enter_right(pixels)[:, :, 0].flip(2)
        outputs, hidden = [], []
        for layer, before in zip(self.from_right, above, strict=True):
            state = State(torch.zeros_like(line[:, :, :1]), torch.zeros_like(line[:, :, :1]))
            cells = []
            for feature, over in zip(line.split(1, 2), before.split(1, 2), strict=True):
                output, state = layer.move_right(feature, state, over)
                cells.append((output, state.hidden))
            line, states = (torch.cat(parts, 2) for parts in zip(*cells, strict=True))
            outputs.append(line.flip(2))
            hidden.append(states)
        return outputs, hidden


class PixelRNN(Autoregressive):
    """`depth` diagonal LSTMs in each direction."""

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = None,
        width: int = 32,
        depth: int = 2,
    ) -> None:
        check_positive("model", width=width, depth=depth)
        levels = levels_of_images("PixelRNN", sample_shape, levels)
        check_gray("PixelRNN", sample_shape)
        super().__init__(DiagonalLayers(sample_shape, levels, width, depth), optimizer, training, seed)

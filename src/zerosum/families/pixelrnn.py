"""PixelRNN with diagonal bidirectional LSTMs (van den Oord et al. 2016, arXiv 1601.06759)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from zerosum.errors import check_positive
from zerosum.families.autoregressive import Autoregressive, AutoregressiveNetwork, Choice, check_gray, levels_of_images
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

SHUT = -1e4
"""The input of gates outside of the image, where they let nothing through and the state stays 0"""


class State(NamedTuple):
    """Of one cell or of several, (B, ..., width) each."""

    hidden: Tensor
    memory: Tensor


class DiagonalLSTM(nn.Module):
    """An LSTM over the pixels, whose state is that of the pixel on the left, beside the hidden state of the one above.

    So it sees all that is above and to the left. All pixels of a diagonal are computed at once (figure 3). A residual
    connection goes around it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.input = nn.Linear(width, 4 * width)
        self.recurrent = nn.Linear(width, 8 * width, bias=False)
        self.output = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """(B, H, W, width) to the same shape."""
        batch, height, _, width = features.shape
        state = State(*features.new_zeros(2, batch, height, width))
        hidden = []
        for inputs in skew(self.input(features), SHUT).unbind(2):
            left, above = self.recurrent(state.hidden).chunk(2, 2)
            state = self.step(inputs + left + pad(above[:, :-1], (0, 0, 1, 0)), state.memory)
            hidden.append(state.hidden)
        return features + self.output(unskew(torch.stack(hidden, 2)))

    def step(self, gates: Tensor, memory: Tensor) -> State:
        """The state of cells, of their gates (B, ..., 4 width) and the memory on their left (equation 3)."""
        out, forget, enter = gates[..., : 3 * self.width].sigmoid().chunk(3, -1)
        memory = forget * memory + enter * gates[..., 3 * self.width :].tanh()
        return State(out * memory.tanh(), memory)

    def move_right(self, feature: Tensor, left: State, above: Tensor) -> tuple[Tensor, State]:
        """One cell: a feature (B, width), the state on its left, the hidden state above it; to output and state."""
        of_left, of_above = self.recurrent.weight.chunk(2)
        gates = self.input(feature) + left.hidden @ of_left.T + above @ of_above.T
        state = self.step(gates, left.memory)
        return feature + self.output(state.hidden), state


def skew(features: Tensor, value: float = 0.0) -> Tensor:
    """Row r of (B, H, W, C) moved right by r: (B, H, W + H - 1, C), whose columns are diagonals, and `value` beside."""
    height, width = features.shape[1:3]
    wide = pad(features, (0, 0, 0, height), value=value).flatten(1, 2)
    return wide[:, : height * (width + height - 1)].unflatten(1, (height, -1))


def unskew(skewed: Tensor) -> Tensor:
    """The inverse of `skew`: (B, H, W, C)."""
    height, diagonals = skewed.shape[1:3]
    wide = pad(skewed.flatten(1, 2), (0, 0, 0, height)).unflatten(1, (height, -1))
    return wide[:, :, : diagonals - height + 1]


class DiagonalLayers(AutoregressiveNetwork):
    """Two streams of diagonal LSTMs: one from the left, and one from the right whose output counts a row further down.

    The stream from the left begins with the pixel on the left, so with its own layers it sees all that is above and to
    the left; the one from the right begins with the pixel itself, and sees all that is above and to the right. So there
    is no blind spot. (In the paper both begin with one masked layer: the last pixel of the row above is seen by few.)
    """

    from_left: Sequence[DiagonalLSTM]
    from_right: Sequence[DiagonalLSTM]

    def __init__(self, sample_shape: Sequence[int], levels: int, width: int, depth: int) -> None:
        super().__init__(sample_shape, levels)
        self.width = width
        self.enter_left = nn.Linear(1, width)
        self.enter_right = nn.Linear(1, width)
        self.from_left = nn.ModuleList(DiagonalLSTM(width) for _ in range(depth))  # type: ignore[assignment]
        self.from_right = nn.ModuleList(DiagonalLSTM(width) for _ in range(depth))  # type: ignore[assignment]
        self.middle = nn.Linear(width, width)
        self.head = nn.Linear(width, levels - 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) to logits (B, levels - 1, 1, H, W)."""
        pixels = images[:, 0, :, :, None]
        left = self.enter_left(pad(pixels[:, :, :-1], (0, 0, 1, 0)))
        right = self.enter_right(pixels).flip(2)
        for from_left, from_right in zip(self.from_left, self.from_right, strict=True):
            right = from_right(right)
            left = from_left(left + pad(right.flip(2)[:, :-1], (0, 0, 0, 0, 1, 0)))
        return self.logits(left).permute(0, 3, 1, 2).unsqueeze(2)

    def logits(self, features: Tensor) -> Tensor:
        """(B, ..., width) to (B, ..., levels - 1)."""
        return self.head(relu(self.middle(relu(features))))

    def generate(self, choose: Choice) -> Tensor:
        """(B, 1, H, W), with the states of the row above and of the pixel on the left kept."""
        count, (_, height, width) = len(choose.uniforms), self.sample_shape
        images = choose.uniforms.new_zeros(count, 1, height, width)
        nothing = images.new_zeros(count, self.width)
        empty = [[nothing] * width for _ in self.from_left]  # (layer, column)
        above, above_right, from_above = empty, empty, empty
        for row in range(height):
            states = [State(nothing, nothing) for _ in self.from_left]
            line = []
            for column in range(width):
                pixel = images[:, :, row, column - 1] if column else images.new_zeros(count, 1)
                feature = self.enter_left(pixel)
                for index, layer in enumerate(self.from_left):
                    feature = feature + from_above[index][column]
                    feature, states[index] = layer.move_right(feature, states[index], above[index][column])
                line.append([state.hidden for state in states])
                images[:, 0, row, column] = choose(row * width + column, self.logits(feature))
            above = [list(cells) for cells in zip(*line, strict=True)]
            from_above, above_right = self.end_row(images[:, 0, row, :, None], above_right)
        return images

    def end_row(self, pixels: Tensor, above: list[list[Tensor]]) -> tuple[list[list[Tensor]], list[list[Tensor]]]:
        """The stream from the right for a row (B, W, 1): outputs and hidden states by layer and column."""
        line = list(self.enter_right(pixels).unbind(1))
        outputs, hidden = [], []
        for layer, before in zip(self.from_right, above, strict=True):
            state = State(torch.zeros_like(line[0]), torch.zeros_like(line[0]))
            cells = []
            for feature, over in zip(reversed(line), reversed(before), strict=True):
                output, state = layer.move_right(feature, state, over)
                cells.append((output, state.hidden))
            line, states = (list(parts) for parts in zip(*reversed(cells), strict=True))
            outputs.append(line)
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
        width: int = 24,
        depth: int = 1,
    ) -> None:
        check_positive("model", width=width, depth=depth)
        levels = levels_of_images("PixelRNN", sample_shape, levels)
        check_gray("PixelRNN", sample_shape)
        super().__init__(DiagonalLayers(sample_shape, levels, width, depth), optimizer, training, seed)

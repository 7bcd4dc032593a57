"""Neural autoregressive distribution estimator (Larochelle and Murray 2011)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zerosum.errors import check_positive
from zerosum.families.autoregressive import Autoregressive, AutoregressiveNetwork, Choice
from zerosum.families.levels import check_binary
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class GrowingSum(AutoregressiveNetwork):
    """logits_d = V_d sigmoid(c + sum_i<d W_i x_i) + b_d: hidden units whose input grows by one term a value.

    So an image costs O(D width), whether it is scored or drawn. Training keeps (B, D, width) numbers.
    """

    def __init__(self, sample_shape: Sequence[int], width: int) -> None:
        super().__init__(sample_shape, levels=2)
        self.terms = nn.Parameter(torch.randn(self.size, width) / self.size**0.5)  # W
        self.start = nn.Parameter(torch.zeros(width))  # c
        self.rows = nn.Parameter(torch.randn(self.size, width) / width**0.5)  # V
        self.bias = nn.Parameter(torch.zeros(self.size))  # b

    def forward(self, images: Tensor) -> Tensor:
        """(B, *sample_shape) to logits of white (B, 1, *sample_shape)."""
        terms = images.flatten(1)[:, :-1, None] * self.terms[:-1]
        sums = torch.cat([self.start.expand(len(images), 1, -1), terms], 1).cumsum(1)  # (B, D, width)
        logits = (sums.sigmoid() * self.rows).sum(2) + self.bias
        return logits.view(-1, 1, *self.sample_shape)

    def generate(self, choose: Choice) -> Tensor:
        """(B, *sample_shape), with the sum kept."""
        values = torch.empty_like(choose.uniforms)
        total = self.start.expand(len(values), -1)
        for place in range(self.size):
            values[:, place] = choose(place, (total.sigmoid() @ self.rows[place] + self.bias[place])[:, None])
            total = total + values[:, place, None] * self.terms[place]
        return values.view(-1, *self.sample_shape)


class NADE(Autoregressive):
    """A growing sum of `width` hidden units, row by row."""

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = None,
        width: int = 256,
    ) -> None:
        check_positive("model", width=width)
        check_binary("NADE", levels)
        super().__init__(GrowingSum(sample_shape, width), optimizer, training, seed)

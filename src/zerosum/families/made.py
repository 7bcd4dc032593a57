"""Masked autoencoder for distribution estimation (Germain et al. 2015, arXiv 1502.03509)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, relu

from zerosum.data.dataset import Batch
from zerosum.errors import check_positive
from zerosum.families.autoregressive import (
    Autoregressive,
    AutoregressiveNetwork,
    Choice,
    check_dropout,
    log_prob_of_levels,
)
from zerosum.families.levels import check_binary, to_levels
from zerosum.families.one_loss import Noise
from zerosum.randomness import generator
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class MaskedAutoencoder(AutoregressiveNetwork):
    """Layers whose weights are masked so that output i sees the inputs before i alone, and one layer past them all.

    The first of `orders` is row by row, the others are drawn, and so are the numbers of inputs that each hidden unit
    sees. The model is the mixture of the orders with equal weights: log p(x) = logsumexp_k log p_k(x) - log K, exactly.
    """

    hidden: Sequence[nn.Linear]
    degrees: Tensor

    def __init__(self, sample_shape: Sequence[int], width: int, depth: int, orders: int, dropout: float) -> None:
        super().__init__(sample_shape, levels=2)
        widths = [self.size] + depth * [width]
        self.dropout = dropout
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))  # type: ignore[assignment]
        self.output = nn.Linear(width, self.size)
        self.past = nn.Linear(self.size, self.size, bias=False)
        drawn = [draw_degrees(self.size, widths[1:], shuffled=order > 0) for order in range(orders)]
        self.register_buffer("degrees", torch.stack(drawn))  # (orders, D + depth * width)

    @property
    def orders(self) -> int:
        """The number of orders, K."""
        return len(self.degrees)

    def forward(self, images: Tensor, order: int = 0) -> Tensor:
        """(B, *sample_shape) to logits of white (B, 1, *sample_shape) that follow one of the orders."""
        seen, *degrees = self.degrees[order].split([self.size, *(layer.out_features for layer in self.hidden)])
        values = hidden = images.flatten(1)
        for layer, (before, after) in zip(self.hidden, pairwise([seen, *degrees]), strict=True):
            hidden = relu(linear(hidden, layer.weight * (after[:, None] >= before), layer.bias))
            hidden = dropout(hidden, self.dropout, self.training)
        logits = linear(hidden, self.output.weight * (seen[:, None] > degrees[-1]), self.output.bias)
        return (logits + linear(values, self.past.weight * (seen[:, None] > seen))).view(-1, 1, *self.sample_shape)

    @property
    def is_raster(self) -> bool:
        """Of one order, the first."""
        return super().is_raster and self.orders == 1

    def log_prob_in_order(self, images: Tensor, order: int) -> Tensor:
        """(B,) nats under one of the orders."""
        return log_prob_of_levels(self(images, order), to_levels(images, self.levels))

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats under the mixture of the orders."""
        each = [self.log_prob_in_order(images, order) for order in range(self.orders)]
        return torch.stack(each).logsumexp(0) - math.log(self.orders)

    def generate(self, choose: Choice) -> Tensor:
        """(B, *sample_shape); the first uniform u of each row says in which order its values are drawn, and draws one.

        The whole part of K u is the order; its fraction is uniform again.
        """
        if self.orders == 1:
            return self.generate_naively(choose)
        scaled = self.orders * choose.uniforms[:, :1]
        images = scaled.new_zeros(len(scaled), *self.sample_shape)
        for order in range(self.orders):
            rows = (scaled[:, 0].floor() == order).nonzero().squeeze(1)
            drawn = Choice(torch.cat([scaled[rows].frac(), choose.uniforms[rows, 1:]], 1))
            images[rows] = self.generate_in_order(drawn, order)
        return images

    def generate_in_order(self, choose: Choice, order: int) -> Tensor:
        """(B, *sample_shape) by a forward for each value, in one of the orders."""
        images = choose.uniforms.new_zeros(len(choose.uniforms), *self.sample_shape)
        values = images.flatten(1)  # the same memory
        for place in self.degrees[order, : self.size].argsort().tolist():
            values[:, place] = choose(place, self(images, order).flatten(2)[:, :, place])
        return images


def draw_degrees(size: int, widths: Sequence[int], shuffled: bool) -> Tensor:
    """(size + sum of widths,): the place of each input in the order, and the place of the last input that a unit sees.

    No unit sees all inputs, and none less than the least of the layer before it (equation 13).
    """
    cpu = torch.device("cpu")  # also where a run is opened on the device of shapes alone
    degrees = [torch.randperm(size, device=cpu) if shuffled else torch.arange(size, device=cpu)]
    least = 0
    for width in widths:
        degrees.append(torch.randint(least, max(size - 1, least + 1), (width,), device=cpu))
        least = int(degrees[-1].min())
    return torch.cat(degrees)


class MADE(Autoregressive):
    """A masked autoencoder. A step trains one of the `orders`, drawn at random; the likelihood is that of all."""

    network: MaskedAutoencoder

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = None,
        width: int = 256,
        depth: int = 2,
        orders: int = 1,
        dropout: float = 0.0,
    ) -> None:
        check_positive("model", width=width, depth=depth, orders=orders)
        check_dropout(dropout)
        check_binary("MADE", levels)
        network = MaskedAutoencoder(sample_shape, width, depth, orders, dropout)
        super().__init__(network, optimizer, training, seed)

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean negative log-likelihood under one order, nats an image; its mean bounds that of the mixture."""
        order = torch.randint(self.network.orders, (), generator=generator(*noise.purpose, "order"))
        return -self.network.log_prob_in_order(batch.images, int(order)).mean(), {}

"""Codes beside z, and the network Q that recognizes them in an image (Chen et al. 2016, InfoGAN)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal
from torch.nn.functional import one_hot, softplus

from zerosum.errors import UserError
from zerosum.models.conditioning import Encoder, MakeNetwork, make_head
from zerosum.models.networks import Scores

LEAST_DEVIATION = 0.1
"""Of Q(c | x) for continuous codes, so that the information about one has a greatest value"""


@dataclass(frozen=True)
class CodeShape:
    """How many values each categorical code has, and how many continuous codes there are, each U(-1, 1).

    A sample's codes are one row of numbers: the values of the categorical codes, from 0, then the continuous codes.
    """

    categorical: tuple[int, ...]
    continuous: int

    @property
    def names(self) -> tuple[str, ...]:
        """categorical_1, ..., continuous_1, ..."""
        counts = {"categorical": len(self.categorical), "continuous": self.continuous}
        return tuple(f"{kind}_{number + 1}" for kind, count in counts.items() for number in range(count))

    @property
    def entropies(self) -> dict[str, float]:
        """H(c) of each code in nats: log K, or the differential entropy log 2."""
        sizes = [*self.categorical, *[2] * self.continuous]
        return {name: math.log(size) for name, size in zip(self.names, sizes, strict=True)}

    @property
    def parameters(self) -> int:
        """Numbers that describe Q(c | x): logits, then means, then deviations before softplus."""
        return sum(self.categorical) + 2 * self.continuous

    def distributions(self, parameters: Tensor) -> Mapping[str, Distribution]:
        """Q(c | x) of each code, from (B, parameters)."""
        sizes = [*self.categorical, self.continuous, self.continuous]
        *logits, means, deviations = parameters.split(sizes, 1)
        deviations = LEAST_DEVIATION + softplus(deviations)
        found = [Categorical(logits=each, validate_args=False) for each in logits]
        normal = [Normal(*pair, validate_args=False) for pair in zip(means.T, deviations.T, strict=True)]
        return dict(zip(self.names, [*found, *normal], strict=True))


@dataclass(frozen=True)
class JoinedCodes:
    """Codes (B, L), or (B, pack, L), as vectors: categorical ones as 0 and 1, continuous ones as they are."""

    codes: CodeShape
    pack: int = 1

    @property
    def size(self) -> int:
        """pack * (the values of all categorical codes + the continuous codes)"""
        return self.pack * (sum(self.codes.categorical) + self.codes.continuous)

    def __call__(self, condition: Tensor) -> Tensor:
        counts = self.codes.categorical
        hot = [one_hot(condition[..., column].long(), count).float() for column, count in enumerate(counts)]
        return torch.cat([*hot, condition[..., len(counts) :]], -1).flatten(1)


class RecognizingDiscriminator(nn.Module):
    """A discriminator with Q(c | x) as a second head on its features; it is not told the codes.

    `class_logits` are the parameters of Q. As in the authors' code, Q has one hidden layer of its own; it has no batch
    norm here, so that Q is a function of one image where D is.
    """

    def __init__(
        self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...], width: int = 128
    ) -> None:
        super().__init__()
        if not isinstance(encode, JoinedCodes):
            raise UserError("labels/discriminator=recognition recognizes codes, which only labels=infogan has")
        if width < 1:
            raise UserError(f"labels.discriminator.width={width}: choose 1 or more")
        self.codes = encode.codes
        self.network = make_network(sample_shape=sample_shape)
        hidden = make_head(self.network, width)
        self.recognize = nn.Sequential(hidden, nn.LeakyReLU(0.2), nn.Linear(width, encode.pack * self.codes.parameters))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to logits (B,) and class_logits (B, pack * parameters)."""
        scores = self.network(images)
        return scores._replace(class_logits=self.recognize(scores.features))

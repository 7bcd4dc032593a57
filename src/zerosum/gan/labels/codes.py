"""Codes that a generator is given beside z, and the information about them that its images keep (Chen et al. 2016)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zerosum.data.dataset import Batch, DataShape
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UserError
from zerosum.gan.labels.conditions import MOST_COLUMNS, Columns, Conditions, uniforms
from zerosum.gan.regularizers import Critic, Regularizer, ScoredBatch
from zerosum.models.conditioning import Encoder
from zerosum.models.recognition import CodeShape, JoinedCodes
from zerosum.randomness import generator

MOST_VALUES = 2**10
"""Of a categorical code, and most codes of either kind"""


class Codes(Conditions):
    """Codes (B, L), independent and uniform: categorical ones over 0 .. K - 1, continuous ones over [-1, 1].

    `categorical` is the K of each. Nothing is learned of them from the data.
    """

    from_data = False
    use = "none"  # of labels: codes are not from the data

    def __init__(self, shape: DataShape, categorical: Sequence[int] = (10,), continuous: int = 2) -> None:
        super().__init__()
        self.codes = make_shape(categorical, continuous)

    def make_encoder(self, pack: int = 1) -> Encoder:
        return JoinedCodes(self.codes, pack)

    def of_batch(self, batch: Batch, *seed: int | str) -> Tensor:
        """This process's rows of the codes of the global batch, a function of the seed and the position alone."""
        rank, processes = rank_and_world_size()
        size, random = len(batch.images), generator(*seed, "codes")
        uniform = torch.rand(processes * size, len(self.codes.names), generator=random, dtype=torch.float64)
        return self.from_uniform(uniform[rank * size : (rank + 1) * size]).to(batch.images.device)

    def draw(self, seeds: Sequence[int]) -> Tensor:
        return self.from_uniform(uniforms(seeds, len(self.codes.names)))

    def from_uniform(self, uniform: Tensor) -> Tensor:
        """(B, L) float32 codes from numbers (B, L) in [0, 1)."""
        counts = self.codes.categorical
        values = uniform[:, : len(counts)] * torch.tensor(counts, dtype=uniform.dtype)
        return torch.cat([values.floor(), 2 * uniform[:, len(counts) :] - 1], 1).float()

    def arrange(self, count: int) -> Columns:
        """A column for each value of the first code; each row has other codes of its own."""
        values = self.values_of(0)[:count]
        rows = max(1, count // len(values))
        return self.traverse(0, values, range(rows))

    def values_of(self, code: int, reach: float = 1.0) -> Tensor:
        """Values for the columns of a picture: those of a categorical code, or nine from -reach to reach."""
        counts = self.codes.categorical
        if code >= len(counts):
            return torch.linspace(-reach, reach, 9)
        return torch.linspace(0, counts[code] - 1, min(counts[code], MOST_COLUMNS)).round()

    def traverse(self, code: int, values: Tensor, seeds: Sequence[int]) -> Columns:
        """Codes, row by row: within a row, which is a seed's, only this code changes, over the values."""
        condition = self.draw(seeds).repeat_interleave(len(values), 0)
        condition[:, code] = values.repeat(len(seeds))
        return Columns(condition, len(values), [f"{value:g}" for value in values.tolist()])


def make_shape(categorical: Sequence[int], continuous: int) -> CodeShape:
    """The shape of these codes; UserError if there are none, or if one has a single value."""
    sizes = [*categorical, len(categorical), continuous]
    if (
        min(categorical, default=2) < 2
        or continuous < 0
        or max(sizes) > MOST_VALUES
        or len(categorical) + continuous < 1
    ):
        raise UserError(
            f"labels.conditions.categorical={list(categorical)} continuous={continuous}: name a number of values from 2"
            f" to {MOST_VALUES:,} for each categorical code, a number of continuous codes, and at least one code"
        )
    return CodeShape(tuple(categorical), continuous)


class MutualInformation(Regularizer):
    """-I(c; G(z, c)) by its lower bound E log Q(c | x) + H(c) on fakes (Chen et al. 2016, equation 5).

    Both players minimize it: D's optimizer trains Q, G's the images. The sum is over the codes, and those of continuous
    codes count `continuous_weight` times. The bound of each code, in nats, stands among the curves.
    """

    needs_real = False

    def __init__(
        self,
        weight: float,
        categorical: Sequence[int],
        continuous: int,
        every: int = 1,
        continuous_weight: float = 0.1,
    ) -> None:
        super().__init__(weight, every)
        if not continuous_weight >= 0:
            raise UserError(f"continuous_weight={continuous_weight}: choose 0 or more, such as 0.1")
        self.codes = make_shape(categorical, continuous)
        self.continuous_weight = continuous_weight
        self.last: dict[str, Tensor] = {}

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Of the fakes: the codes of real images are unknown."""
        parameters, condition = fake.scores.class_logits, fake.condition
        if parameters is None or condition is None:
            raise UserError("the term information needs codes and a D that recognizes them: set labels=infogan")
        bounds = bound_information(self.codes, parameters.reshape(len(condition), -1), condition)
        self.last = {f"information/{name}": bound.detach() for name, bound in bounds.items()}
        factors = [1.0] * len(self.codes.categorical) + [self.continuous_weight] * self.codes.continuous
        return -sum(factor * bound for factor, bound in zip(factors, bounds.values(), strict=True))  # type: ignore[return-value]

    def curves(self) -> dict[str, Tensor]:
        return self.last


def bound_information(codes: CodeShape, parameters: Tensor, condition: Tensor) -> dict[str, Tensor]:
    """E log Q(c | x) + H(c) in nats of each code, averaged over the batch."""
    distributions = codes.distributions(parameters)
    found = zip(codes.names, condition.T, strict=True)
    return {name: distributions[name].log_prob(values).mean() + codes.entropies[name] for name, values in found}

"""The black squares of a board: a density with holes and sharp edges."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Uniform

from zerosum.data.points import KnownDensity
from zerosum.errors import UserError


class Checkerboard(KnownDensity):
    """Uniform on every other one of `squares` x `squares` squares of side `side`, around the origin."""

    def __init__(self, squares: int = 4, side: float = 1.0) -> None:
        if not 2 <= squares <= 100 or not 0 < side < torch.inf:
            raise UserError(f"dataset.squares={squares} dataset.side={side}: take 2 to 100 squares of a side above 0")
        self.squares, self.side = squares, side
        column, row = torch.cartesian_prod(torch.arange(squares), torch.arange(squares)).T
        black = (column + row) % 2 == 0
        self.corners = side * (torch.stack([column, row], 1)[black] - squares / 2)  # (K, 2), the lower left ones

    @property
    def reach(self) -> float:
        """A quarter of a square beyond the board."""
        return self.side * (self.squares / 2 + 0.25)

    def describe(self) -> dict[str, Any]:
        """The distribution's parameters, for metric cards."""
        return {"squares": self.squares, "side": self.side}

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, None]:
        """Points (count, 2)."""
        chosen = torch.randint(len(self.corners), (count,), generator=random)
        return self.corners[chosen] + self.side * torch.rand(count, 2, generator=random), None

    def log_prob(self, points: Tensor) -> Tensor:
        """-log(black squares * side^2) on them, -infinity elsewhere, of points (B, 2)."""
        corners = self.corners.to(points)
        square = Independent(Uniform(corners, corners + self.side, validate_args=False), 1)
        board = MixtureSameFamily(Categorical(torch.ones_like(corners[:, 0])), square, validate_args=False)
        return board.log_prob(points)

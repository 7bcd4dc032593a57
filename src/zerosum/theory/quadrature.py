"""Integrals over a line, and the exact density of a generator's samples there."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

FARTHEST_Z = 8.0
"""N(0, 1) beyond it has 1e-15 of its mass"""


def midpoints(reach: float, count: int) -> Tensor:
    """The middles (count,) of equal parts of [-reach, reach], in float64."""
    return reach * (2 * (torch.arange(count, dtype=torch.float64) + 0.5) / count - 1)


def integral(values: Tensor, points: Tensor) -> float:
    """Of values (N,) at evenly spaced points, by the midpoint rule."""
    return float(values.sum() * (points[1] - points[0]))


def standard_normal(z: Tensor) -> Tensor:
    """The density of N(0, 1)."""
    return (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)


def expectation(function: Callable[[Tensor], Tensor], cells: int = 20_000) -> float:
    """E f(z) of z ~ N(0, 1), by the midpoint rule; f takes (N,) and returns (N,)."""
    z = midpoints(FARTHEST_Z, cells)
    return integral(standard_normal(z) * function(z), z)


def on_line(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A generator from one z, or a discriminator of points on a line, as a function from (N,) to (N,) in float64."""
    exact = copy.deepcopy(network).double().eval()

    @torch.no_grad()
    def function(places: Tensor) -> Tensor:
        result = exact(places.double()[:, None])
        return getattr(result, "logits", result).flatten()

    return function


def density_of_fakes(generator: Callable[[Tensor], Tensor], points: Tensor, cells: int = 2**16) -> Tensor:
    """p_G (N,) at ascending points (N,), by the change of variables: sum over all z with G(z) = x of N(z) / |G'(z)|.

    G maps (M,) to (M,); between neighbours of a fine grid of z it is taken for linear, as a network of ReLUs is but for
    the cells that hold a kink.
    """
    z = torch.linspace(-FARTHEST_Z, FARTHEST_Z, cells + 1, dtype=torch.float64)
    ends = generator(z)
    low, high = torch.minimum(ends[:-1], ends[1:]), torch.maximum(ends[:-1], ends[1:])
    first, last = torch.searchsorted(points, low), torch.searchsorted(points, high)
    counts = last - first  # how many points have a preimage in each cell
    cell = torch.repeat_interleave(torch.arange(cells), counts)
    place = first[cell] + torch.arange(len(cell)) - (counts.cumsum(0) - counts)[cell]
    slope = (ends[1:] - ends[:-1])[cell] / (z[1] - z[0])
    preimage = z[cell] + (points[place] - ends[cell]) / slope
    return torch.zeros_like(points).index_add_(0, place, standard_normal(preimage) / slope.abs())

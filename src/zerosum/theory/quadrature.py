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
    """p_G (N,) by the change of variables, as the mean over the cell around each evenly spaced point (N,).

    Each small cell of z carries its mass N(z) dz to where G maps it, which is N(z) / |G'(z)| dx summed over all z with
    G(z) = x. G maps (M,) to (M,); in a cell it is taken for linear, as a network of ReLUs is but at its kinks. Where G
    is flat, the density is higher than any number and the mass of a cell still exact.
    """
    z = torch.linspace(-FARTHEST_Z, FARTHEST_Z, cells + 1, dtype=torch.float64)
    ends, mass = generator(z), torch.special.ndtr(-z.abs()).diff().abs()  # exact in both tails; 0 is one of the ends
    low = torch.minimum(ends[:-1], ends[1:])
    high = torch.maximum(torch.maximum(ends[:-1], ends[1:]), low + 1e-7)
    height = mass / (high - low)
    width = points[1] - points[0]
    edges = torch.cat([points - width / 2, points[-1:] + width / 2])
    below = ramps(low, height, edges) - ramps(high, height, edges)  # P(G(z) < x)
    return below.diff().clamp(min=0) / width  # rounding may make it -1e-17


def ramps(starts: Tensor, slopes: Tensor, places: Tensor) -> Tensor:
    """sum_i slope_i max(0, x - start_i) at places x (N,), of starts and slopes (M,)."""
    order = starts.argsort()
    zero = starts.new_zeros(1)
    slope = torch.cat([zero, slopes[order].cumsum(0)])
    offset = torch.cat([zero, (slopes * starts)[order].cumsum(0)])
    before = torch.searchsorted(starts[order], places)
    return slope[before] * places - offset[before]

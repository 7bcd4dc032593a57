"""Power-function averages of weights, and the weights' average of any width from snapshots of two (EDM2).

Karras et al. 2024, "Analyzing and Improving the Training Dynamics of Diffusion Models", section 3 and appendix C. The
average of gamma at time t has the profile p(tau) = (gamma + 1) / t * (tau / t)^gamma over the times tau from 0 to t, in
images seen. Its relative width is the standard deviation of that profile over t. Works without torch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zerosum.errors import UserError

NARROWEST, WIDEST = 0.005, 0.28
"""Relative widths; gamma = 0, all weights alike, has 0.289"""


def width_of(gamma: float) -> float:
    """sigma_rel = (gamma + 1)^(1/2) (gamma + 2)^(-1) (gamma + 3)^(-1/2), equation 123."""
    return (gamma + 1) ** 0.5 / (gamma + 2) / (gamma + 3) ** 0.5


def gamma_of(width: float) -> float:
    """The inverse of `width_of`: the greatest root of equation 126, a cubic polynomial (Algorithm 2)."""
    square = width**-2
    return float(np.roots([1, 7, 16 - square, 12 - square]).real.max())


def decay(gamma: float, images: int, images_seen: int) -> float:
    """beta = (1 - images / images_seen)^(gamma + 1) of a step of `images` images, which `images_seen` counts too.

    Equation 127, exact for weights that stay as they are from one step to the next; the first step has 0.
    """
    return (1 - images / images_seen) ** (gamma + 1)


def inner_products(times: Any, gammas: Any, other_times: Any, other_gammas: Any) -> np.ndarray:
    """Integral over tau of p_a(tau) p_b(tau) for profiles a and b, broadcast over both (equation 151)."""
    earlier, later = np.minimum(times, other_times), np.maximum(times, other_times)
    falls = (earlier / times) ** gammas * (earlier / other_times) ** other_gammas
    return (gammas + 1) * (other_gammas + 1) / (gammas + other_gammas + 1) * falls / later


def solve(times: Sequence[int], widths: Sequence[float], time: int, width: float) -> tuple[np.ndarray, float]:
    """Coefficients (times, widths) of the averages at `times` that add up best to that of `width` at `time`.

    The best in least squares of the profiles (Algorithm 3), then scaled to add up to 1. Also returns how far that
    profile is off: the norm of the difference, as a share of the norm of what was asked for.
    """
    ends = np.repeat(np.array(times, dtype=np.float64) / time, len(widths))
    gammas = np.tile([gamma_of(each) for each in widths], len(times))
    wanted = np.float64(gamma_of(width))
    between = inner_products(ends[:, None], gammas[:, None], ends, gammas)
    towards = inner_products(ends, gammas, np.float64(1), wanted)
    scale = 1 / np.sqrt(np.diag(between))  # of profiles with norm 1: early ones are high and narrow
    found = scale * np.linalg.lstsq(between * np.outer(scale, scale), towards * scale, rcond=1e-14)[0]
    found /= found.sum()
    norm = inner_products(np.float64(1), wanted, np.float64(1), wanted)
    square = norm - 2 * found @ towards + found @ between @ found
    return found.reshape(len(times), len(widths)), float(np.sqrt(max(0.0, square) / norm))


def check_width(width: Any, path: str = "ema") -> float:
    """The width as a number; UserError unless it is one that a power-function average can have."""
    if type(width) not in (int, float) or not NARROWEST <= width <= WIDEST:
        raise UserError(
            f"{path}={width}: the width of an average, relative to the images seen, is a number from {NARROWEST} to"
            f" {WIDEST}, such as 0.05"
        )
    return float(width)


def name_of(width: float) -> str:
    """How cards name such an average."""
    return f"power average {width:g}"


def check_choice(weights: str, ema: Any) -> None:
    """UserError unless `weights` is ema or raw, and `ema` a width that there can be, or None, and not beside raw."""
    if weights not in ("ema", "raw"):
        raise UserError(f"weights={weights}: choose ema or raw")
    if ema is not None and weights == "raw":
        raise UserError(f"weights=raw ema={ema}: raw weights are no average: leave out one of the two")
    if ema is not None:
        check_width(ema)

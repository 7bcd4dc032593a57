"""Values of the verbs' options, checked without torch: by commands before its import, and by the verbs."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from zerosum.errors import UserError, check_positive, did_you_mean
from zerosum.explorer.address import try_address
from zerosum.runs.asked import check_seed, check_truncation

MASKS = ("center", "left", "random")
"""Those of applications.inpainting"""
SIGNS = re.compile(r"\s+([+\-\u2212\u2013])\s+")
"""Between terms of arithmetic; minus is also what typesetters write for it"""
MOST_DIRECTIONS, MOST_STEPS = 64, 100_000
"""Of the live explorer"""
MOST_IMAGES = 100_000
"""Of a walk"""


def check_walk(
    seed: int = 0,
    walkers: int = 9,
    stations: int = 4,
    frames: int = 12,
    labels: Sequence[int] | None = None,
    still: bool = False,
    truncation: float = 1.0,
    **others: Any,
) -> None:
    """UserError at too few or too many images, or a walk that stays where it is."""
    check_seed(seed)
    check_positive("walk", walkers=walkers, stations=stations, frames=frames)
    if still and not labels:
        raise UserError("still=true keeps z, so name the labels to walk through, such as labels=3,8")
    if walkers * stations * frames > MOST_IMAGES:
        text = f"walkers={walkers} stations={stations} frames={frames}"
        raise UserError(f"{text}: choose {MOST_IMAGES:,} images or fewer")
    check_truncation(truncation)


def check_arithmetic(expression: str = "a + b", count: int = 1, trials: int = 1, seed: int = 0, **others: Any) -> None:
    """UserError at none of something, and at a single term."""
    check_positive("arithmetic", count=count, trials=trials)
    check_seed(seed)
    if not SIGNS.search(expression.strip()):
        raise UserError(f"'{expression}' has one term: add or subtract another, as in 'thick 3 - thin 3 + thin 8'")


def check_invert(
    count: int = 1,
    steps: int = 1,
    starts: int = 1,
    kept: int = 1,
    rate: float = 1.0,
    prior: float = 0.0,
    seed: int = 0,
    **others: Any,
) -> None:
    """UserError at a descent that goes nowhere."""
    check_positive("invert", count=count, steps=steps, starts=starts, kept=kept)
    if not (0 < rate < 100 and 0 <= prior < 100):
        raise UserError(f"rate={rate} prior={prior}: choose numbers above 0, prior may be 0")
    check_seed(seed)


def check_neighbours(count: int = 1, shown: int = 1, seed: int = 0, **others: Any) -> None:
    """UserError at none of something."""
    check_positive("neighbours", count=count, shown=shown)
    check_seed(seed)


def check_inpaint(mask: str = "center", count: int = 1, shown: int = 1, seed: int = 0, **others: Any) -> None:
    """UserError at a mask that there is not; the search checks its own options."""
    if mask not in MASKS:
        raise UserError(f"mask={mask}: choose one of {', '.join(MASKS)}.{did_you_mean(mask, MASKS)}")
    check_positive("inpaint", count=count, shown=shown)
    check_seed(seed)


def check_traverse(
    count: int = 1, rows: int = 1, steps: int = 1, reach: float = 1.0, seed: int = 0, samples: int = 2, **others: Any
) -> None:
    """UserError at none of something."""
    check_positive("traverse", count=count, rows=rows, steps=steps)
    if samples < 2:
        raise UserError(f"samples={samples}: choose 2 or more, which a variance needs")
    if not 0 < reach < 100:
        raise UserError(f"reach={reach}: choose deviations above 0, such as 3")
    check_seed(seed)


def check_truncate(values: Sequence[float] = (0.5, 1.0), count: int = 2, **others: Any) -> None:
    """UserError at too few samples or truncations."""
    if count < 2:
        raise UserError(f"count={count}: choose 2 samples or more, which a covariance needs")
    if len(values) < 2:
        raise UserError("values: name two truncations or more, such as values=0.5,0.7,1")
    for value in values:
        check_truncation(value)


def check_page(seed: int = 0, **others: Any) -> None:
    """UserError at what is no seed."""
    check_seed(seed)


def check_serve(host: str = "127.0.0.1", port: int = 8000, count: int = 1, steps: int = 1, **others: Any) -> None:
    """UserError at a port that there is not, and at more than a page can show or a person wait for."""
    if not host:
        raise UserError("host is empty: name an address, such as 127.0.0.1")
    check_positive("serve", count=count, steps=steps)
    for name, value, most in (("count", count, MOST_DIRECTIONS), ("steps", steps, MOST_STEPS)):
        if value > most:
            raise UserError(f"serve.{name}={value}: choose {most:,} or fewer")
    if not 1 <= port <= 65535:
        raise UserError(f"port={port}: choose one from 1 to 65535, such as 8000")


def check_serve_and_address(host: str = "127.0.0.1", port: int = 8000, **others: Any) -> None:
    """The same before the model is loaded, and UserError at an address that cannot be opened now."""
    check_serve(host, port, **others)
    try_address(host, port)


CHECKS: dict[str, Callable[..., None]] = {
    "walk": check_walk,
    "arithmetic": check_arithmetic,
    "invert": check_invert,
    "inpaint": check_inpaint,
    "neighbours": check_neighbours,
    "traverse": check_traverse,
    "truncate": check_truncate,
    "page": check_page,
    "serve": check_serve_and_address,
}

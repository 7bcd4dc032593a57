"""Random numbers of augmentations and penalties: a function of the image's position in the global batch.

Every micro-batch, on every process, draws for the whole global batch and keeps its own rows. So neither accumulation
nor the number of processes changes what an image is augmented with.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.distributed import rank_and_world_size
from zerosum.randomness import derive


class Part(NamedTuple):
    """One of `parts` equal parts of the global batch, and the generator that it draws from."""

    position: int
    parts: int
    generator: torch.Generator


current: Part | None = None
"""None outside of `BatchDraws.part`, where numbers come from torch's default generator"""


class BatchDraws:
    """A random generator that starts anew at each step and returns to the same state for each part of a batch."""

    generator: torch.Generator
    start: Tensor

    def begin_step(self, device: torch.device, *seed: int | str) -> None:
        """The step's generator, the same on every process."""
        self.generator = torch.Generator(device).manual_seed(derive(*seed))

    def begin_batch(self) -> None:
        """Go on from here with a new batch."""
        self.start = self.generator.get_state()

    @contextmanager
    def part(self, index: int, parts: int) -> Iterator[None]:
        """Within this context, numbers are drawn for micro-batch `index` of this process's `parts`."""
        global current
        rank, processes = rank_and_world_size()
        self.generator.set_state(self.start)
        current = Part(rank * parts + index, processes * parts, self.generator)
        try:
            yield
        finally:
            current = None


def draw(function: Callable[..., Tensor], images: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """(len(images), *shape) from a `function` of a size, such as torch.rand."""
    if current is None:
        return function((len(images), *shape), dtype=dtype, device=images.device)
    size = (current.parts * len(images), *shape)
    numbers = function(size, dtype=dtype, device=images.device, generator=current.generator)
    return numbers.chunk(current.parts)[current.position]


def rand(images: Tensor, *shape: int) -> Tensor:
    """(len(images), *shape) ~ U[0, 1), of the images' dtype."""
    return draw(torch.rand, images, shape, images.dtype)


def randn(images: Tensor, *shape: int) -> Tensor:
    """(len(images), *shape) ~ N(0, 1), of the images' dtype."""
    return draw(torch.randn, images, shape, images.dtype)


def rows(images: Tensor, count: int) -> Tensor:
    """(len(images),) of 0 .. count - 1, from permutations one after the other."""
    parts = 1 if current is None else current.parts
    random, device = None if current is None else current.generator, images.device
    rounds = -(-parts * len(images) // count)
    order = torch.cat([torch.randperm(count, generator=random, device=device) for _ in range(rounds)])
    chosen = order[: parts * len(images)]
    return chosen if current is None else chosen.chunk(parts)[current.position]


def randint(images: Tensor, low: int, high: int, *shape: int) -> Tensor:
    """(len(images), *shape) of low .. high, both possible."""
    return draw(functools.partial(torch.randint, low, high + 1), images, shape, torch.int64)

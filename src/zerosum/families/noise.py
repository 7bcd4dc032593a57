"""Random numbers of a training step: a function of the image's position in the global batch."""

from typing import NamedTuple

import torch
from torch import Tensor

from zerosum.distributed import rank_and_world_size
from zerosum.randomness import generator
from zerosum.training.module import GenerativeModule


class Noise(NamedTuple):
    """Random numbers of one micro-batch: rows `first` to `first + size` of those of the global batch, `total` rows.

    So neither the number of processes nor `training.accumulate` changes what an image is given.
    """

    purpose: tuple[int | str, ...]
    first: int
    size: int
    total: int
    device: torch.device

    def normal(self, name: str, *shape: int) -> Tensor:
        """(B, *shape) of N(0, 1)"""
        return self.rows(torch.randn(self.total, *shape, generator=generator(*self.purpose, name)))

    def uniform(self, name: str, *shape: int) -> Tensor:
        """(B, *shape), uniform in [0, 1)"""
        return self.rows(torch.rand(self.total, *shape, generator=generator(*self.purpose, name)))

    def rows(self, whole: Tensor) -> Tensor:
        """This micro-batch's rows of a tensor with a row for each image of the global batch."""
        return whole[self.first : self.first + self.size].to(self.device, non_blocking=True)


def noise_of(module: GenerativeModule, part: int, parts: int, count: int) -> Noise:
    """Random numbers of micro-batch `part` of this process, `count` images, at the module's present step."""
    rank, processes = rank_and_world_size()
    first, total = (rank * parts + part) * count, processes * parts * count
    return Noise((module.seed, module.global_step, "noise"), first, count, total, module.device)

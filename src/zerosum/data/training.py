"""From a dataset to Lightning: step s takes batches s*k .. s*k + k-1 of the stream, wherever training started."""

import itertools
from collections.abc import Iterator

import torch
from lightning import LightningDataModule

from zerosum.data import Batch, Dataset
from zerosum.distributed import world
from zerosum.errors import UserError


class TrainingData(LightningDataModule):
    """`critic_steps` batches of a dataset a step; `batch_size` is the global one, over all processes."""

    def __init__(self, dataset: Dataset, batch_size: int, critic_steps: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.critic_steps = critic_steps
        self.seed = seed

    def prepare_data(self) -> None:
        """Decode and cache in one process; the others wait, then map what it wrote."""
        self.dataset.prepare()

    def setup(self, stage: str) -> None:
        """In every process."""
        self.dataset.prepare()

    def train_dataloader(self) -> Iterator[list[Batch]]:
        """From the step that training is at: a batch is a function of its index, so nothing is fast-forwarded."""
        assert self.trainer is not None
        rank, processes = world()
        if self.batch_size % processes:
            raise UserError(
                f"game.batch_size={self.batch_size} is the global batch and does not divide by {processes} processes:"
                f" take a multiple of {processes}"
            )
        local, gan = self.batch_size // processes, self.trainer.lightning_module
        parts = gan.accumulate * gan.pack  # type: ignore[operator]
        if local % parts:
            raise UserError(
                f"each of {processes} processes has {local} pictures of game.batch_size={self.batch_size}, which do not"
                f" divide by game.accumulate times game.pack, {parts}: take numbers that do"
            )
        shard = slice(rank * local, (rank + 1) * local)
        return self.batches(self.trainer.global_step, self.trainer.strategy.root_device, shard)

    def batches(self, start: int, device: torch.device, shard: slice) -> Iterator[list[Batch]]:
        """One list of `critic_steps` batches for each step from `start` on."""
        stream, k = self.dataset.stream(self.seed, device), self.critic_steps
        for step in itertools.count(start):
            yield [stream.batch(index, self.batch_size, shard) for index in range(step * k, step * k + k)]

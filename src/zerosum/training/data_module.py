"""Training batches from a dataset: step s takes batches s*k to s*k + k-1 of the stream."""

import itertools
from collections.abc import Iterator

import torch
from lightning import LightningDataModule

from zerosum.data.dataset import Batch, Dataset
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UserError
from zerosum.training.module import GenerativeModule
from zerosum.training.stopwatch import Stopwatch


class TrainingData(LightningDataModule):
    """`batches_per_step` batches of a dataset for each step; `batch_size` is the global one, over all processes."""

    def __init__(self, dataset: Dataset, batch_size: int, batches_per_step: int = 1, seed: int = 0) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.batches_per_step = batches_per_step
        self.seed = seed
        self.stopwatch = Stopwatch()

    def prepare_data(self) -> None:
        # Lightning calls this in one process, while the others wait: it decodes and caches.
        self.dataset.prepare()

    def setup(self, stage: str) -> None:
        # Every process opens the cache.
        self.dataset.prepare()

    def train_dataloader(self) -> Iterator[list[Batch]]:
        """Batches from the current step on; a batch is a function of its index."""
        assert self.trainer is not None
        rank, processes = rank_and_world_size()
        module = self.trainer.lightning_module
        assert isinstance(module, GenerativeModule)
        local = divide_batch(self.batch_size, processes, module)
        shard = slice(rank * local, (rank + 1) * local)
        return self.batches(self.trainer.global_step, self.trainer.strategy.root_device, shard)

    def batches(self, start: int, device: torch.device, shard: slice) -> Iterator[list[Batch]]:
        """Yield a list of `batches_per_step` batches for each step from `start` on."""
        stream, k = self.dataset.stream(self.seed, device), self.batches_per_step
        for step in itertools.count(start):
            with self.stopwatch("data"):
                batches = [stream.batch(index, self.batch_size, shard) for index in range(step * k, step * k + k)]
            yield batches


def divide_batch(batch_size: int, processes: int, module: GenerativeModule) -> int:
    """Images of each process; UserError unless all have as many, which the model can divide into its parts."""
    if batch_size % processes:
        raise UserError(
            f"training.batch_size={batch_size} is the global batch and does not divide by {processes}"
            f" processes: choose a multiple of {processes}"
        )
    local = batch_size // processes
    if local % module.batch_multiple:
        whose = f", {local} for each of {processes} processes," if processes > 1 else ""
        raise UserError(
            f"training.batch_size={batch_size}{whose} is no multiple of {module.batch_multiple}, into which this model"
            " divides it by training.accumulate and game.pack or model.views: choose numbers that divide"
        )
    return local

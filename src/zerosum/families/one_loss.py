"""The training step of families that one optimizer trains on one loss."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zerosum.data.dataset import Batch
from zerosum.families.noise import Noise, noise_of
from zerosum.training.module import GenerativeModule, split
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class OneLoss(GenerativeModule):
    """A family with one network, one optimizer and one loss: a child writes `loss` and `sample`.

    A child with a likelihood also has `likelihood` and `log_prob`, as `zerosum.sampling.ExplicitModel` says.
    """

    def __init__(
        self, network: nn.Module, optimizer: MakeOptimizer, training: TrainingSettings | None = None, seed: int = 0
    ) -> None:
        super().__init__(network, training, seed)
        self.network = network
        self.make_optimizer = optimizer

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of `self.network` over a micro-batch, in nats where it is a likelihood, and values for curves."""
        raise NotImplementedError

    def configure_optimizers(self) -> Optimizer:
        """All weights of the network."""
        return self.make_optimizer(self.network.parameters())

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of the optimizer on the mean loss of the batch."""
        self.begin_step()
        (batch,), optimizer = batches, self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        parts = split(batch, self.training_settings.accumulate)
        optimizer.zero_grad()
        results = []
        for index, part in enumerate(parts):
            loss, metrics = self.loss(part, noise_of(self, index, len(parts), len(part.images)))
            self.backward_into(optimizer, loss / len(parts))
            results.append({"model": loss.detach(), **{name: value.detach() for name, value in metrics.items()}})
        self.take_step(optimizer)
        means = {name: torch.stack([each[name] for each in results]).mean() for name in results[0]}
        self.finish_step(self.network, {"model": means.pop("model")}, means, None, len(batch.images))

    def facts(self) -> dict[str, Any]:
        """What kind of likelihood the values are, where the family has one."""
        kind = getattr(self, "likelihood", None)
        return {} if kind is None else {"likelihood": kind}

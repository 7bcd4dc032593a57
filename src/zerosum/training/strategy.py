"""Data parallelism for several optimizers: the weights are broadcast once, gradients are averaged at each step."""

from datetime import timedelta

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import nn

from zerosum.errors import UserError


class PlayersStrategy(DDPStrategy):
    """DDP without its wrapper, whose reducer cannot follow two backward passes through shared networks.

    All ranks start from the parameters and buffers of rank 0; `average_gradients` keeps them equal. A rank that waits
    `timeout_minutes` for another ends with an error; rank 0 alone prepares data and features, and all wait for it.
    """

    def __init__(self, timeout_minutes: float = 30.0) -> None:
        if not timeout_minutes > 0:
            raise UserError(f"trainer.strategy.timeout_minutes={timeout_minutes}: choose a number greater than 0")
        super().__init__(timeout=timedelta(minutes=timeout_minutes))

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        for tensor in [*model.parameters(), *model.buffers()]:
            torch.distributed.broadcast(tensor.data, src=0)
        return model

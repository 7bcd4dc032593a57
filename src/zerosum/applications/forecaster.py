"""The same futures without an adversary: a generator that descends a scoring rule."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zerosum.data.dataset import Batch, DataShape
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UserError
from zerosum.gan.labels.pasts import PastConditions
from zerosum.randomness import generator as generator_of
from zerosum.sampling import latents
from zerosum.training.module import GenerativeModule
from zerosum.training.settings import TrainingSettings


class ScoredForecaster(GenerativeModule):
    """Minimizes the energy score of two futures of each past (Gneiting and Raftery 2007, equation 22).

    With `exponent` 1 the score is proper: its only minimum is the law of the future. With 2 it is the squared error of
    the mean future, and says nothing of the spread: the mean of the samples is then the forecast.
    """

    label_use = "conditioned on the past"

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        past: int,
        sample_shape: Sequence[int],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        exponent: float = 1.0,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        if not 0 < exponent <= 2:
            raise UserError(f"model.exponent={exponent}: choose a number above 0, up to 2")
        shape = tuple(sample_shape)
        network = generator(sample_shape=shape, condition_size=past)
        super().__init__(network, training, seed)
        self.generator = network
        self.latent_dim: int = network.latent_dim  # type: ignore[assignment]
        self.conditions = PastConditions(DataShape(shape, num_attributes=past))
        self.make_optimizer = optimizer
        self.exponent = exponent

    def configure_optimizers(self) -> Optimizer:
        return self.make_optimizer(self.generator.parameters())

    def on_fit_start(self) -> None:
        """Keep some pasts to draw from."""
        self.conditions.begin(self.trainer.datamodule.dataset)  # type: ignore[attr-defined]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step on the energy score of two futures each."""
        self.begin_step()
        (batch,), optimizer = batches, self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        one, other = (self.generator(z, batch.condition) for z in self.noise(len(batch.images)).chunk(2))
        loss = energy_score(one, other, batch.images, self.exponent)
        optimizer.zero_grad()
        self.backward_into(optimizer, loss)
        self.take_step(optimizer)
        self.finish_step(self.generator, {"model": loss.detach()}, {}, one.detach(), len(batch.images))

    def noise(self, size: int) -> Tensor:
        """This process's two z for each of its pasts, (2 size, latent_dim)."""
        rank, processes = rank_and_world_size()
        random = generator_of(self.seed, self.global_step, "latents")
        return (
            torch.randn(2 * processes * size, self.latent_dim, generator=random).chunk(processes)[rank].to(self.device)
        )

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, future) of latents (B, latent_dim) and pasts (B, past), from the moving average."""
        assert condition is not None, "a future goes on from a past"
        return self.ema.network(z.to(self.device), condition.to(self.device))

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), future); without pasts, of training pasts drawn by the seeds."""
        pasts = self.conditions.draw(seeds) if condition is None else condition
        return self.decode(latents(seeds, self.latent_dim), pasts)


def energy_score(one: Tensor, other: Tensor, truth: Tensor, exponent: float) -> Tensor:
    """E [(d(X, y) + d(X', y)) / 2 - d(X, X') / 2], d the `exponent`-th power of the root mean square over steps.

    X, X' and y are (B, T). With exponent 2 its expectation over independent X, X' is E (mean X - y)^2.
    """

    def distance(left: Tensor, right: Tensor) -> Tensor:
        squared = (left - right).square().mean(1)
        return squared if exponent == 2 else (squared + 1e-12) ** (exponent / 2)  # the root has no slope at 0

    return ((distance(one, truth) + distance(other, truth) - distance(one, other)) / 2).mean()

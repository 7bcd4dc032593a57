"""A game that a subject plays and watches."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from zerosum.data.points import KnownDensity
from zerosum.gan.gan import GAN
from zerosum.training.data_module import TrainingData


class Trial(Protocol):
    """A GAN with its data and a trainer without callbacks, as `experiment.build.build` makes them."""

    @property
    def module(self) -> Any: ...
    @property
    def data(self) -> TrainingData: ...
    @property
    def trainer(self) -> Trainer: ...
    @property
    def run(self) -> Any: ...


T = TypeVar("T")


class Watch(Callback, Generic[T]):
    """Calls `observe` before training, and whenever training has seen one of the numbers of images."""

    def __init__(self, moments: Sequence[int], observe: Callable[[GAN], T]) -> None:
        self.moments = list(moments)
        self.observe = observe
        self.seen: list[T] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.look(pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.look(pl_module)

    def look(self, gan: GAN) -> None:
        """Observe once for all moments that have come."""
        if self.moments and gan.images_seen >= self.moments[0]:
            self.moments = [moment for moment in self.moments if moment > gan.images_seen]
            with torch.no_grad():
                self.seen.append(self.observe(gan))


def play(trial: Trial, moments: int, observe: Callable[[GAN], T]) -> list[T]:
    """Train to the end of the budget; what was observed at the start and `moments` times, evenly in images."""
    images = trial.run.images
    watch = Watch([round(images * index / moments) for index in range(moments + 1)], observe)
    trial.trainer.callbacks.append(watch)  # type: ignore[attr-defined]
    trial.trainer.fit(trial.module, datamodule=trial.data)
    return watch.seen


def density_of(trial: Trial) -> KnownDensity:
    """The data of a trial, whose density is known."""
    assert isinstance(trial.data.dataset, KnownDensity), "the theory lab needs data of a known density"
    return trial.data.dataset


def fakes_of(generator: nn.Module, count: int, seed: int = 0) -> Tensor:
    """(count, *sample_shape) from the generator itself, not from its moving average."""
    with torch.no_grad():
        fakes: Tensor = generator(latents(generator, count, torch.Generator().manual_seed(seed)))
    return fakes


def latents(generator: nn.Module, count: int, random: torch.Generator) -> Tensor:
    """(count, latent_dim) of N(0, I)."""
    return torch.randn(count, generator.latent_dim, generator=random)  # type: ignore[call-overload, no-any-return]

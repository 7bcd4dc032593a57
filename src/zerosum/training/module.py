"""The contract of every model that trains: a clock, a moving average, and the results of each step."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from lightning import LightningModule
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer

from zerosum.data.dataset import Batch, Dataset
from zerosum.distributed import rank_and_world_size
from zerosum.randomness import generator, reseed
from zerosum.training import optimization
from zerosum.training.ema import ExponentialMovingAverage
from zerosum.training.settings import TrainingSettings
from zerosum.training.stopwatch import Stopwatch


class StepResult(NamedTuple):
    """Results of one training step, detached from the graph."""

    losses: dict[str, Tensor]
    """Scalars; training stops where one is NaN or infinite"""
    metrics: dict[str, Tensor]
    """Further values, of any shape"""
    samples: Tensor | None
    """(B, *sample_shape), generated in this step; None from a model whose steps generate none"""
    images: int
    """Real images shown in this step, over all processes"""


class Illustration(NamedTuple):
    """A picture of what a family of models can do besides samples, for the run's report."""

    picture: Image.Image
    caption: str
    sound: bytes | None = None
    """The content of a WAV file that is kept beside the picture"""


class GenerativeModule(LightningModule):
    """A model that is trained on images and then sampled; `GAN` is one.

    A child writes `training_step`, which ends by calling `finish_step`, `configure_optimizers` and `sample`. It passes
    the network that samples are drawn from, which stays at hand as `network` and which the child makes a module under
    a name of its own; the moving average of that network is `self.ema.network`.
    All randomness of training is a function of (`seed`, step, process).
    """

    batches_per_step: int = 1
    """How many batches `training_step` receives: Algorithm 1's k for a GAN"""
    optimizer_names: ClassVar[tuple[str, ...]] = ("model",)
    """In the order of `configure_optimizers`"""
    network: nn.Module
    label_use: str = "none"
    """How labels are used, as `zerosum.gan.labels.use` says"""
    last_step: StepResult
    seconds_trained: float
    """Time of this process in steps and their data, without callbacks"""
    processor_seconds: float
    """The processor's time for the same: other programs do not lengthen it"""
    stopwatch: Stopwatch
    """Adds up the time of the parts of a step"""

    def __init__(self, network: nn.Module, training: TrainingSettings | None = None, seed: int = 0) -> None:
        super().__init__()
        self.automatic_optimization = False
        object.__setattr__(self, "network", network)  # the child registers it: checkpoints have its weights once
        self.training_settings = training or TrainingSettings()
        self.ema = ExponentialMovingAverage(
            network, self.training_settings.ema_half_life, self.training_settings.ema_ramp_up
        )
        self.seed = seed
        self.images_seen = 0
        self.seconds_trained = 0.0
        self.processor_seconds = 0.0
        self.stopwatch = Stopwatch()
        self._resumed_at = (0.0, 0.0)

    @property
    def batch_multiple(self) -> int:
        """The batch of each process must be a multiple of this."""
        return self.training_settings.accumulate

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape), images in [-1, 1]; sample i depends on seed i and row i of `condition` alone."""
        raise NotImplementedError

    def equilibrium(self) -> dict[str, float]:
        """The values of `curves()` at the goal of training, as far as they are known: none, unless a child says so."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Further facts of the run for cards: none, unless a child says so."""
        return {}

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """Pictures by name, drawn with no random number of training: none, unless a child has any."""
        return {}

    def load_raw_weights(self) -> None:
        """Sample from the weights of the last step instead of their moving average."""
        self.ema.network.load_state_dict(self.network.state_dict())

    def noise(self, index: int, size: int, *purpose: int | str) -> Tensor:
        """This process's rows of z ~ N(0, I) for the global batch `index`, a function of (seed, index, position).

        (size, latent_dim), of a model that has a `latent_dim`.
        """
        rank, processes = rank_and_world_size()
        random = generator(self.seed, index, "latents", *purpose)
        z = torch.randn(processes * size, self.latent_dim, generator=random)  # type: ignore[call-overload]
        return z[rank * size : (rank + 1) * size].to(self.device, non_blocking=True)

    def begin_step(self) -> None:
        """Seed the random numbers of the networks and let autocast keep its casts of the weights."""
        self.stopwatch.begin_step(self.device, self.global_step)
        torch.set_autocast_cache_enabled(True)  # Lightning turns it off: every forward would cast the weights again
        reseed(self.device, self.seed, self.global_step, "networks", rank_and_world_size()[0])

    def backward_into(self, optimizer: Optimizer, loss: Tensor, retain_graph: bool = False) -> None:
        """Add the loss's gradients to the parameters of this optimizer, and to no others."""
        optimization.backward(loss, optimizer, self.scaler, retain_graph)

    def take_step(self, optimizer: Optimizer) -> None:
        """Average gradients over processes, clip them if asked for, and step."""
        optimization.step(optimizer, self.training_settings.clip, self.scaler)

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The loss scaler of precision 16-mixed."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def finish_step(
        self,
        network: nn.Module,
        losses: dict[str, Tensor],
        metrics: dict[str, Tensor],
        samples: Tensor | None,
        images: int,
    ) -> None:
        """Count the step, advance the clock by this process's `images` times the processes, move the average."""
        optimization.count_step(self.trainer)
        images *= rank_and_world_size()[1]
        self.images_seen += images
        self.ema.update(network, images, self.images_seen)
        self.last_step = StepResult(losses, metrics, samples, images)
        self.seconds_trained += time.perf_counter() - self._resumed_at[0]
        self.processor_seconds += time.process_time() - self._resumed_at[1]

    def on_train_start(self) -> None:
        """Start the clock of `seconds_trained`."""
        self._resumed_at = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lightning calls this after the callbacks, whose evaluation and drawing are no training."""
        self._resumed_at = time.perf_counter(), time.process_time()

    def curves(self) -> dict[str, float]:
        """Values of the last step to log; reading them waits for the device."""
        losses = {f"loss_{name}": float(loss) for name, loss in self.last_step.losses.items()}
        return {**losses, **{name: float(value.mean()) for name, value in self.last_step.metrics.items()}}

    def headline(self) -> str:
        """The few values of the last step that the progress bar has room for."""
        return "  ".join(f"{name} {float(loss):.2f}" for name, loss in self.last_step.losses.items())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """`TrainingData` makes its batches on the device."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the clock."""
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock."""
        self.images_seen = checkpoint["images_seen"]


def split(batch: Batch, parts: int) -> list[Batch]:
    """Equal micro-batches, in order."""
    if parts == 1:
        return [batch]
    conditions = [None] * parts if batch.condition is None else batch.condition.chunk(parts)
    return [Batch(*part) for part in zip(batch.images.chunk(parts), conditions, strict=True)]

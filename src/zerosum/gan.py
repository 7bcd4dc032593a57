"""Two players trained in turn: Algorithm 1 of Goodfellow et al. 2014, as a LightningModule."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from zerosum.augment import Augmentation
from zerosum.data import Batch
from zerosum.distributed import world
from zerosum.ema import ExponentialMovingAverage
from zerosum.losses import AdversarialLoss
from zerosum.optimization import count_step, update
from zerosum.randomness import generator, reseed
from zerosum.regularizers import Regularizer, Scored
from zerosum.sampling import latents
from zerosum.turn import Critique, Turn, merged, split
from zerosum.unrolled import Weights, unrolled


class Optimizers(NamedTuple):
    """Constructors of the players' optimizers, each called with its player's parameters."""

    discriminator: Callable[[Iterable[nn.Parameter]], Optimizer]
    generator: Callable[[Iterable[nn.Parameter]], Optimizer]


class GAN(LightningModule):
    """A generator and a discriminator, a loss, their optimizers, and the rules of the game.

    A step is `critic_steps` updates of the discriminator, each on a batch of its own, and one of the
    generator, against the fakes of the last of them. `augment` changes all that D sees; `pack` shows it that many
    samples as one (PacGAN, Lin et al. 2018); `unroll` is in steps (see `unrolled`). `ema_half_life` is in images
    (see `ExponentialMovingAverage`); `seed` seeds every draw of training, as a function of the step. A batch is worked
    through in `accumulate` parts, and gradients are shortened to the norm `clip` (see `update`).
    """

    turn: Turn
    fakes: Tensor
    """Of the part of a batch that is at hand."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        optimizers: Optimizers | None = None,
        regularizers: Mapping[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        *,
        critic_steps: int = 1,
        pack: int = 1,
        unroll: int = 0,
        ema_half_life: float = 10_000.0,
        ema_ramp_up: float | None = 0.05,
        accumulate: int = 1,
        clip: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.make_optimizers = optimizers
        self.regularizers: Mapping[str, Regularizer] = nn.ModuleDict(dict(regularizers or {}))  # type: ignore[assignment]
        self.ema = ExponentialMovingAverage(generator, ema_half_life, ema_ramp_up)
        self.latent_dim: int = generator.latent_dim  # type: ignore[assignment]
        self.augment = augment
        self.critic_steps = critic_steps
        self.pack = pack
        self.unroll = unroll
        self.accumulate = accumulate
        self.clip = clip
        self.seed = seed
        self.images_seen = 0
        # Convolutions are faster with channels last in memory, on CPU as on GPU.
        self.to(memory_format=torch.channels_last)

    def sample(self, seeds: Sequence[int], labels: Tensor | None = None) -> Tensor:
        """(len(seeds), *image_shape) from the generator's moving average; pictures lie in [-1, 1]."""
        z = latents(seeds, self.latent_dim).to(self.device)
        average: nn.Module = self.ema.network
        return average(z, labels)

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator first, then generator."""
        assert self.make_optimizers is not None, "a GAN built without optimizers is for sampling"
        return [
            self.make_optimizers.discriminator(self.discriminator.parameters()),
            self.make_optimizers.generator(self.generator.parameters()),
        ]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """`critic_steps` turns of D, one of G. All randomness is a function of (seed, step, process)."""
        discriminator_optimizer, generator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        torch.set_autocast_cache_enabled(True)  # off in Lightning: every forward would cast the weights again
        step, (rank, _) = self.global_step, world()
        reseed(self.device, self.seed, step, "step", rank)
        for index, batch in enumerate(batches):
            z = self.noise(step * self.critic_steps + index, len(batch.images))
            parts, critiques = split(batch, z, self.accumulate), list[Critique]()
            keep = index == len(batches) - 1 and len(parts) == 1  # the last fakes serve G's turn too
            update(self, discriminator_optimizer, self.critic_losses(parts, step, keep, critiques))
            for term in self.regularizers.values():
                term.after_step(self.discriminator)
            critique = merged(critiques)
            if self.augment is not None:
                # A paired loss leaves the logits' level free: it is differences that say real.
                verdicts = critique.real_logits - (critique.fake_logits if self.loss.paired else 0)
                self.augment.observe(verdicts, len(batch.images) * world()[1])
        costs: list[Tensor] = []
        update(self, generator_optimizer, self.generator_losses(parts, discriminator_optimizer, costs))
        count_step(self)
        images = sum(len(batch.images) for batch in batches) * world()[1]
        self.images_seen += images
        self.ema.update(self.generator, images, self.images_seen)
        self.fakes = self.fakes.detach()
        self.turn = Turn(critique.loss, torch.stack(costs).mean(), *critique[1:], self.fakes, images)

    def critic_losses(
        self, parts: list[tuple[Batch, Tensor]], step: int, keep: bool, seen: list[Critique]
    ) -> Iterator[Tensor]:
        """J_D plus the penalties due, part by part; what was seen goes into a list."""
        for batch, z in parts:
            with torch.set_grad_enabled(keep):
                self.fakes = self.generator(z, batch.labels)
            loss, real, fake, penalties = self.critique(batch, self.fakes.detach(), step)
            seen.append(Critique(loss.detach(), real.logits.detach(), fake.logits.detach(), penalties))
            yield loss

    def generator_losses(
        self, parts: list[tuple[Batch, Tensor]], optimizer: Any, seen: list[Tensor]
    ) -> Iterator[Tensor]:
        """J_G part by part; where there is one, of the fakes that D's last turn left."""
        for batch, z in parts:
            if len(parts) > 1:
                self.fakes = self.generator(z, batch.labels)
            cost = self.deceive(batch, self.fakes, optimizer)
            seen.append(cost.detach())
            yield cost

    def noise(self, draw: int, size: int) -> Tensor:
        """This process's rows of the global batch's z ~ N(0, I), a function of (seed, draw, position)."""
        rank, processes = world()
        z = torch.randn(processes * size, self.latent_dim, generator=generator(self.seed, draw, "latents"))
        return z[rank * size : (rank + 1) * size].to(self.device, non_blocking=True)

    def score(self, images: Tensor, labels: Tensor | None, weights: Weights | None = None) -> Tensor:
        """D's logits, with its own weights or others, in float32: losses keep their precision under autocast."""
        shown = images if self.augment is None else self.augment(images)
        shown = shown.unflatten(0, (-1, self.pack)).flatten(1, 2) if self.pack > 1 else shown  # (B / m, m C, ...)
        if weights is None:
            return self.discriminator(shown, labels).float()
        return functional_call(self.discriminator, weights, (shown, labels)).float()

    def critique(self, batch: Batch, fakes: Tensor, step: int) -> tuple[Tensor, Scored, Scored, dict[str, Tensor]]:
        """J_D plus the penalties due at this step."""
        due = {name: term for name, term in self.regularizers.items() if term.due(step)}
        images = batch.images.requires_grad_() if due else batch.images
        fakes = fakes.float().requires_grad_() if due else fakes
        # Second derivatives need float32: a step with a penalty leaves autocast.
        with torch.autocast(self.device.type, enabled=False) if due else nullcontext():
            real = Scored(images, self.score(images, batch.labels))
            fake = Scored(fakes, self.score(fakes, batch.labels))
            penalties = {name: term(lambda x: self.score(x, batch.labels), real, fake) for name, term in due.items()}
        loss = self.loss.discriminator(real.logits, fake.logits)
        return loss + sum(penalties.values()), real, fake, {name: term.detach() for name, term in penalties.items()}

    def deceive(self, batch: Batch, fakes: Tensor, optimizer: Any) -> Tensor:
        """J_G, against D or against what D's `optimizer` would make of it in `unroll` steps."""

        def cost(weights: Weights) -> Tensor:
            real, fake = (self.score(images, batch.labels, weights) for images in (batch.images, fakes))
            return self.loss.discriminator(real, fake)

        weights = unrolled(self.discriminator, optimizer.optimizer, cost, self.unroll) if self.unroll else None
        fooled = self.score(fakes, batch.labels, weights)
        paired = self.score(batch.images, batch.labels, weights) if self.loss.paired else None
        return self.loss.generator(fooled, paired)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Nothing to do: `TrainingData` makes its batches on the device."""
        return batch

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the clock."""
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Sets the clock."""
        self.images_seen = checkpoint["images_seen"]

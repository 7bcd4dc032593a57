"""Two players trained in turn: Algorithm 1 of Goodfellow et al. 2014, as a LightningModule."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from zerosum.data.dataset import Batch
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UserError
from zerosum.gan.augment import Augmentation
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.regularizers import Regularizer, ScoredBatch
from zerosum.gan.unrolled import Weights, unrolled
from zerosum.models.networks import Scores
from zerosum.randomness import generator
from zerosum.sampling import latents
from zerosum.training.module import GenerativeModule, TrainingSettings, split


class Optimizers(NamedTuple):
    """Constructors of the players' optimizers, each called with its player's parameters."""

    discriminator: Callable[[Iterable[nn.Parameter]], Optimizer]
    generator: Callable[[Iterable[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Game:
    """The rules of the two players.

    `critic_steps` is Algorithm 1's k, the steps of D for each step of G. `pack` is how many samples D sees as one
    (PacGAN, Lin et al. 2018). `unroll` is how many steps of D the generator looks ahead (Metz et al. 2017).
    """

    critic_steps: int = 1
    pack: int = 1
    unroll: int = 0

    def __post_init__(self) -> None:
        for name, smallest in (("critic_steps", 1), ("pack", 1), ("unroll", 0)):
            if getattr(self, name) < smallest:
                raise UserError(f"game.{name}={getattr(self, name)}: the smallest value is {smallest}")


class DiscriminatorResult(NamedTuple):
    """D's loss on a micro-batch or batch, and what it was computed from, detached."""

    loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    penalties: dict[str, Tensor]


class GAN(GenerativeModule):
    """A generator and a discriminator, their loss and optimizers, and the rules of the game.

    `regularizers` are added to D's loss, `generator_regularizers` to G's, each under its name. `augment` changes all
    images that D sees. `training` and `seed` are those of every `GenerativeModule`.
    """

    optimizer_names: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: AdversarialLoss,
        optimizers: Optimizers | None = None,
        regularizers: Mapping[str, Regularizer] | None = None,
        augment: Augmentation | None = None,
        generator_regularizers: Mapping[str, Regularizer] | None = None,
        *,
        game: Game | None = None,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(generator, training, seed)
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.make_optimizers = optimizers
        self.regularizers = nn.ModuleDict(dict(regularizers or {}))
        self.generator_regularizers = nn.ModuleDict(dict(generator_regularizers or {}))
        self.augment = augment
        self.game = game or Game()
        self.batches_per_step = self.game.critic_steps
        # Convolutions are faster with channels last in memory, on CPU as on GPU.
        self.to(memory_format=torch.channels_last)

    @property
    def batch_multiple(self) -> int:
        """Each micro-batch is cut into packs."""
        return self.training_settings.accumulate * self.game.pack

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.generator.latent_dim  # type: ignore[return-value]

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape) from the generator's moving average; images lie in [-1, 1]."""
        z = latents(seeds, self.latent_dim).to(self.device)
        average: nn.Module = self.ema.network
        return average(z, condition)

    def load_raw_weights(self) -> None:
        """Sample from the generator of the last step instead of its moving average."""
        self.ema.network.load_state_dict(self.generator.state_dict())

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator before generator."""
        assert self.make_optimizers is not None, "a GAN built without optimizers is for sampling"
        return [
            self.make_optimizers.discriminator(self.discriminator.parameters()),
            self.make_optimizers.generator(self.generator.parameters()),
        ]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of D on each of the `critic_steps` batches, then one of G against the last fakes."""
        self.begin_step()
        discriminator_optimizer, generator_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        micro_batches = self.training_settings.accumulate
        for index, batch in enumerate(batches):
            parts = split(batch, micro_batches)
            noise = self.noise(self.global_step * len(batches) + index, len(batch.images)).chunk(micro_batches)
            # G's step uses the last fakes again, where memory holds their graph: in one part.
            reuse_fakes = index == len(batches) - 1 and micro_batches == 1
            discriminator_optimizer.zero_grad()
            results = []
            for part, z in zip(parts, noise, strict=True):
                with torch.set_grad_enabled(reuse_fakes):
                    fakes = self.generator(z, part.condition)
                loss, result = self.discriminator_loss(part, fakes.detach())
                self.backward_into(discriminator_optimizer, loss / micro_batches)
                results.append(result)
            self.take_step(discriminator_optimizer)
            result = merge(results)
            self.after_discriminator_step(result, len(batch.images))

        generator_optimizer.zero_grad()
        losses = []
        for part, z in zip(parts, noise, strict=True):
            if micro_batches > 1:
                fakes = self.generator(z, part.condition)
            loss = self.generator_loss(part, fakes, discriminator_optimizer)
            self.backward_into(generator_optimizer, loss / micro_batches)
            losses.append(loss.detach())
        self.take_step(generator_optimizer)

        self.finish_step(
            self.generator,
            losses={"discriminator": result.loss, "generator": torch.stack(losses).mean()},
            metrics={
                "real_logits": result.real_logits,
                "fake_logits": result.fake_logits,
                **{f"regularizer/{name}": penalty for name, penalty in result.penalties.items()},
            },
            samples=fakes.detach(),
            images=sum(len(batch.images) for batch in batches),
        )

    def discriminator_loss(self, batch: Batch, fakes: Tensor) -> tuple[Tensor, DiscriminatorResult]:
        """J_D plus the penalties due at this step."""
        due = due_terms(self.regularizers, self.global_step)
        images = batch.images.detach().requires_grad_() if due else batch.images
        fakes = fakes.float().requires_grad_() if due else fakes
        with self.full_precision() if due else nullcontext():
            real = ScoredBatch(images, self.score(images, batch.condition), batch.condition)
            fake = ScoredBatch(fakes, self.score(fakes, batch.condition), batch.condition)
            penalties = {
                name: term(lambda x: self.score(x, batch.condition), real, fake) for name, term in due.items()
            }
        loss = self.loss.discriminator(real.logits, fake.logits) + sum(penalties.values())
        detached = {name: penalty.detach() for name, penalty in penalties.items()}
        return loss, DiscriminatorResult(loss.detach(), real.logits.detach(), fake.logits.detach(), detached)

    def generator_loss(self, batch: Batch, fakes: Tensor, optimizer: Optimizer) -> Tensor:
        """J_G plus the terms due at this step, against D or, unrolled, against what D's `optimizer` would make of it."""
        due = due_terms(self.generator_regularizers, self.global_step)
        weights = self.unrolled_weights(batch, fakes, optimizer) if self.game.unroll else None
        with self.full_precision() if due else nullcontext():
            fake = ScoredBatch(fakes, self.score(fakes, batch.condition, weights), batch.condition)
            if not (self.loss.paired or due):
                return self.loss.generator(fake.logits, None)
            real = ScoredBatch(batch.images, self.score(batch.images, batch.condition, weights), batch.condition)
            penalties = [term(lambda x: self.score(x, batch.condition, weights), real, fake) for term in due.values()]
        return self.loss.generator(fake.logits, real.logits if self.loss.paired else None) + sum(penalties)

    def unrolled_weights(self, batch: Batch, fakes: Tensor, optimizer: Optimizer) -> Weights:
        """D's weights after `unroll` more steps on this batch, differentiable in the fakes."""

        def loss(weights: Weights) -> Tensor:
            real, fake = (self.score(images, batch.condition, weights).logits for images in (batch.images, fakes))
            return self.loss.discriminator(real, fake)

        return unrolled(self.discriminator, optimizer, loss, self.game.unroll)

    def after_discriminator_step(self, result: DiscriminatorResult, images: int) -> None:
        """Rules about D's weights themselves, and the augmentation's control."""
        for term in self.regularizers.values():
            term.after_step(self.discriminator)
        if self.augment is not None:
            # A paired loss constrains only differences of logits, so the augmentation follows those.
            logits = result.real_logits - (result.fake_logits if self.loss.paired else 0)
            self.augment.observe(logits, images * rank_and_world_size()[1])

    def full_precision(self) -> torch.autocast:
        """Outside of autocast: second derivatives need float32."""
        return torch.autocast(self.device.type, enabled=False)

    def score(self, images: Tensor, condition: Tensor | None, weights: Weights | None = None) -> Scores:
        """D's scores, with its own weights or others, in float32: losses keep their precision under autocast."""
        seen = images if self.augment is None else self.augment(images)
        pack = self.game.pack
        seen = seen.unflatten(0, (-1, pack)).flatten(1, 2) if pack > 1 else seen  # (B / pack, pack C, ...)
        if weights is None:
            scores: Scores = self.discriminator(seen, condition)
        else:
            scores = functional_call(self.discriminator, weights, (seen, condition))
        return Scores(*(part if part is None else part.float() for part in scores))

    def noise(self, index: int, size: int) -> Tensor:
        """This process's rows of z ~ N(0, I) for the global batch `index`, a function of (seed, index, position)."""
        rank, processes = rank_and_world_size()
        z = torch.randn(processes * size, self.latent_dim, generator=generator(self.seed, index, "latents"))
        return z[rank * size : (rank + 1) * size].to(self.device, non_blocking=True)

    def curves(self) -> dict[str, float]:
        """Losses, penalties, and D(x) = sigmoid(logit), averaged over real images (d_real) and fakes (d_fake)."""
        metrics = dict(self.last_step.metrics)
        real, fake = metrics.pop("real_logits"), metrics.pop("fake_logits")
        return {
            **{f"loss_{name}": float(loss) for name, loss in self.last_step.losses.items()},
            "d_real": float(real.sigmoid().mean()),
            "d_fake": float(fake.sigmoid().mean()),
            **{name: float(value) for name, value in metrics.items()},
            **({} if self.augment is None else self.augment.curves()),
        }

    def headline(self) -> str:
        """Both losses, D(x) and D(G(z))."""
        shown = self.curves()
        losses = f"J_D {shown['loss_discriminator']:.2f} J_G {shown['loss_generator']:.2f}"
        return f"{losses}  D(x) {shown['d_real']:.2f} D(G(z)) {shown['d_fake']:.2f}"


def due_terms(terms: nn.ModuleDict, step: int) -> dict[str, Regularizer]:
    """The terms that are evaluated at this step."""
    return {name: term for name, term in terms.items() if term.due(step)}  # type: ignore[operator, misc]


def merge(parts: Sequence[DiscriminatorResult]) -> DiscriminatorResult:
    """The batch's result from those of its micro-batches: mean losses, all logits."""
    if len(parts) == 1:
        return parts[0]
    losses, real, fake, penalties = zip(*parts, strict=True)
    means = {name: torch.stack([part[name] for part in penalties]).mean() for name in penalties[0]}
    return DiscriminatorResult(torch.stack(losses).mean(), torch.cat(real), torch.cat(fake), means)

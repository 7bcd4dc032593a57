"""Two players trained in turn: Algorithm 1 of Goodfellow et al. 2014, as a LightningModule."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from zerosum.data.dataset import Batch
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UnmeasurableError, UserError
from zerosum.gan.augment import Augmentation
from zerosum.gan.draws import BatchDraws
from zerosum.gan.equilibrium import equilibrium
from zerosum.gan.game import Game
from zerosum.gan.labels.conditions import Conditions
from zerosum.gan.labels.use import LabelUse
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.micro_batches import Metrics, Round, concatenate, merge
from zerosum.gan.regularizers import Regularizer, ScoredBatch, due_terms, observe_batch
from zerosum.gan.unrolled import Weights, unrolled, weights_with_cloned_buffers
from zerosum.models.networks import Scores
from zerosum.sampling import latents
from zerosum.training.ema import ExponentialMovingAverage
from zerosum.training.module import GenerativeModule, TrainingSettings, split


class Optimizers(NamedTuple):
    """Constructors of the players' optimizers, each called with its player's parameters."""

    discriminator: Callable[[Iterable[nn.Parameter]], Optimizer]
    generator: Callable[[Iterable[nn.Parameter]], Optimizer]


class GAN(GenerativeModule):
    """A generator and a discriminator, their loss and optimizers, and the rules of the game.

    `regularizers` are added to D's loss, `generator_regularizers` to G's, each under its name. `augment` changes all
    images that D sees. `conditions` are what fakes are asked for, and `label_use` says how labels are used. With
    `classifier_half_life`, in images, a moving average of D classifies. `training` and `seed` are those of every
    `GenerativeModule`. Built without optimizers, a GAN can only be sampled.
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
        conditions: Conditions | None = None,
        label_use: LabelUse = "none",
        classifier_half_life: float | None = None,
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
        self.conditions = conditions
        self.label_use = label_use
        self.classifier: ExponentialMovingAverage | None = None
        if classifier_half_life is not None:
            ramp_up = self.training_settings.ema_ramp_up
            self.classifier = ExponentialMovingAverage(discriminator, classifier_half_life, ramp_up)
        self.draws = BatchDraws()
        self.game = game or Game()
        self.batches_per_step = self.game.critic_steps
        # Convolutions are faster with channels last in memory, on CPU as on GPU.
        self.to(memory_format=torch.channels_last)

    @property
    def batch_multiple(self) -> int:
        """Each micro-batch consists of whole packs."""
        return self.training_settings.accumulate * self.game.pack

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.generator.latent_dim  # type: ignore[return-value]

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape) from the generator's moving average; images lie in [-1, 1].

        Without a condition, a conditional model draws one for each seed, as frequent as in its training data.
        """
        if condition is None and self.conditions is not None:
            condition = self.conditions.draw(seeds)
        return self.decode(latents(seeds, self.latent_dim), condition)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, *sample_shape) of latents (B, latent_dim), from the generator's moving average."""
        average: nn.Module = self.ema.network
        return average(z.to(self.device), None if condition is None else condition.to(self.device))

    def classify(self, images: Tensor) -> Tensor:
        """Logits (B, K) of the classes of images in [-1, 1], from D's moving average where there is one."""
        if not getattr(self.discriminator, "classifies", False):
            raise UnmeasurableError("this D gives no classes: train it with labels=semi_supervised or labels=acgan")
        if self.classifier is not None:
            return self.classifier.network(images.to(self.device)).class_logits
        was_training = self.discriminator.training
        scores: Scores = self.discriminator.eval()(images.to(self.device))
        self.discriminator.train(was_training)
        assert scores.class_logits is not None
        return scores.class_logits

    def facts(self) -> dict[str, Any]:
        """Those of the terms of both players."""
        terms = [*self.regularizers.values(), *self.generator_regularizers.values()]
        return {name: value for term in terms for name, value in term.facts().items()}  # type: ignore[operator]

    def equilibrium(self) -> dict[str, float]:
        """Both losses, without penalties, where fakes equal real images and D is optimal."""
        return equilibrium(copy.deepcopy(self.loss))  # a loss may count or average what it is given

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator before generator."""
        assert self.make_optimizers is not None, "training needs optimizers"
        return [
            self.make_optimizers.discriminator(self.discriminator.parameters()),
            self.make_optimizers.generator(self.generator.parameters()),
        ]

    def on_fit_start(self) -> None:
        """Let conditions and terms read what they need of the training data, before the untrained model is measured."""
        if self.game.unroll and rank_and_world_size()[1] > 1:
            raise UserError(
                "game.unroll looks ahead by the gradients of one process alone: train in one, or set game.unroll=0"
            )
        dataset = self.trainer.datamodule.dataset  # type: ignore[attr-defined]
        for part in (self.conditions, *self.regularizers.values(), *self.generator_regularizers.values()):
            if part is not None:
                part.begin(dataset)  # type: ignore[operator]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of D on each of the `critic_steps` batches, then one of G against the last fakes."""
        self.begin_step()
        self.draws.begin_step(self.device, self.seed, self.global_step, "step", 0)
        discriminator_optimizer, generator_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        with self.stopwatch("discriminator"):
            for index, batch in enumerate(batches):
                # G's step uses the last fakes again, where memory holds their graph: in one part.
                is_reused = index == len(batches) - 1 and self.training_settings.accumulate == 1
                round_ = self.begin_round(batch, self.global_step * len(batches) + index, is_reused)
                discriminator_result = self.discriminator_step(round_, discriminator_optimizer)
        with self.stopwatch("generator"):
            generator_result = self.generator_step(round_, generator_optimizer, discriminator_optimizer)
            for further in range(1, self.game.generator_steps):
                round_ = self.renew_fakes(round_, further)
                generator_result = self.generator_step(round_, generator_optimizer, discriminator_optimizer)
        self.finish_step(
            self.generator,
            losses={"discriminator": discriminator_result.pop("loss"), "generator": generator_result.pop("loss")},
            metrics={**discriminator_result, **generator_result},
            samples=torch.cat(list(round_.fakes)).detach(),
            images=sum(len(batch.images) for batch in batches),
        )
        if self.classifier is not None:
            self.classifier.update(self.discriminator, self.last_step.images, self.images_seen)

    def begin_round(self, batch: Batch, index: int, is_reused: bool) -> Round:
        """Divide the global batch `index` into micro-batches, and make fakes of their conditions for each."""
        self.draws.begin_batch()
        micro_batches = self.training_settings.accumulate
        conditions = None if self.conditions is None else self.conditions.of_batch(batch, self.seed, index)
        batch = batch._replace(condition=conditions)  # labels that nothing asks for reach neither network
        parts = split(batch, micro_batches)
        noise = self.noise(index, len(batch.images)).chunk(micro_batches)
        return self.with_fakes(parts, noise, is_reused)

    def renew_fakes(self, round_: Round, further: int) -> Round:
        """The same real images and conditions, with new noise and fakes for G's next update against the same D."""
        sizes = [len(part.images) for part in round_.parts]
        noise = self.noise(self.global_step, sum(sizes), "further", further).split(sizes)
        return self.with_fakes(round_.parts, noise, is_reused=len(sizes) == 1)

    def with_fakes(self, parts: Sequence[Batch], noise: Sequence[Tensor], is_reused: bool) -> Round:
        """A round with fakes of the noise and of each part's conditions; their graph is kept for G's step to reuse."""
        with torch.set_grad_enabled(is_reused), self.stopwatch("generator"):
            fakes = [self.generator(z, part.condition) for part, z in zip(parts, noise, strict=True)]
        return Round(parts, noise, fakes)

    def discriminator_step(self, round_: Round, optimizer: Optimizer) -> Metrics:
        """One step of D; returns its loss and metrics."""
        micro_batches = len(round_.parts)
        if micro_batches > 1:
            self.observe_in_parts(self.regularizers, round_.parts, round_.fakes)
        optimizer.zero_grad()
        results = []
        for index, (part, fakes) in enumerate(zip(round_.parts, round_.fakes, strict=True)):
            with self.draws.part(index, micro_batches):
                loss, metrics = self.discriminator_loss(part, fakes.detach(), micro_batches == 1)
            self.backward_into(optimizer, loss / micro_batches)
            results.append({"loss": loss.detach(), **metrics})
        self.take_step(optimizer)
        result = merge(results)
        self.after_discriminator_step(result, sum(len(part.images) for part in round_.parts))
        return result

    def generator_step(self, round_: Round, optimizer: Optimizer, discriminator_optimizer: Optimizer) -> Metrics:
        """One step of G; returns its loss and metrics."""
        self.draws.begin_batch()
        micro_batches = len(round_.parts)
        if micro_batches > 1:
            self.observe_in_parts(self.generator_regularizers, round_.parts, round_.fakes, fakes_first=True)
        optimizer.zero_grad()
        results = []
        for index, (part, z, fakes) in enumerate(zip(*round_, strict=True)):
            fakes = fakes if fakes.requires_grad else self.generator(z, part.condition)
            with self.draws.part(index, micro_batches):
                loss, metrics = self.generator_loss(part, fakes, discriminator_optimizer, micro_batches == 1)
            self.backward_into(optimizer, loss / micro_batches)
            results.append({"loss": loss.detach(), **metrics})
        self.take_step(optimizer)
        return merge(results)

    def discriminator_loss(
        self, batch: Batch, fakes: Tensor, observe: bool = False, weights: Weights | None = None
    ) -> tuple[Tensor, Metrics]:
        """J_D plus the penalties due at this step, for D's own weights or others.

        With `observe`, penalties that depend on the whole batch observe this one first.
        """
        due = due_terms(self.regularizers, self.global_step)
        images = batch.images.detach().requires_grad_() if due else batch.images
        fakes = fakes.float().requires_grad_() if due else fakes
        with self.full_precision() if due else nullcontext():
            real = self.score_batch(images, batch.condition, weights)
            fake = self.score_batch(fakes, batch.condition, weights)
            if observe:
                observe_batch(due, real, fake)
            with self.stopwatch("penalties"):
                penalties = self.penalties_of(due, real, fake, weights)
        metrics = {"real_logits": real.logits.detach(), "fake_logits": fake.logits.detach()}
        metrics |= {f"regularizer/{name}": penalty.detach() for name, penalty in penalties.items()}
        metrics |= {name: value for term in due.values() for name, value in term.curves().items()}
        return self.loss.discriminator(real.logits, fake.logits) + sum(penalties.values()), metrics

    def generator_loss(
        self, batch: Batch, fakes: Tensor, optimizer: Optimizer, observe: bool = False
    ) -> tuple[Tensor, Metrics]:
        """J_G plus the terms due at this step, against D or against D unrolled by the steps of its `optimizer`.

        With `observe`, terms that depend on the whole batch observe this one first.
        """
        due = due_terms(self.generator_regularizers, self.global_step)
        weights = self.unrolled_weights(batch, fakes, optimizer) if self.game.unroll else None
        with self.full_precision() if due else nullcontext():
            fake = self.score_batch(fakes.float() if due else fakes, batch.condition, weights)
            needs_real = self.loss.paired or any(term.needs_real for term in due.values())
            # Terms that need no real images get the fakes in their place, which saves a forward of D.
            real = self.score_batch(batch.images, batch.condition, weights) if needs_real else fake
            if observe:
                observe_batch(due, real, fake)
            penalties = self.penalties_of(due, real, fake, weights)
        loss = self.loss.generator(fake.logits, real.logits if self.loss.paired else None)
        metrics = {f"generator_regularizer/{name}": penalty.detach() for name, penalty in penalties.items()}
        return loss + sum(penalties.values()), metrics

    def penalties_of(
        self, terms: Mapping[str, Regularizer], real: ScoredBatch, fake: ScoredBatch, weights: Weights | None
    ) -> dict[str, Tensor]:
        """Each term's weighted penalty."""

        def critic(images: Tensor) -> Scores:
            return self.score(images, real.condition, weights)

        return {name: term(critic, real, fake) for name, term in terms.items()}

    def unrolled_weights(self, batch: Batch, fakes: Tensor, optimizer: Optimizer) -> Weights:
        """D's weights after `unroll` more steps on this batch, differentiable in the fakes."""

        def loss(weights: Weights) -> Tensor:
            return self.discriminator_loss(batch, fakes, weights=weights)[0]

        return unrolled(self.discriminator, optimizer, loss, self.game.unroll)

    @torch.no_grad()
    def observe_in_parts(
        self, terms: nn.ModuleDict, parts: Sequence[Batch], fakes: Sequence[Tensor], fakes_first: bool = False
    ) -> None:
        """Let terms that depend on the whole batch observe it before its parts are used; D does not change.

        Augmentations draw in order, so with `fakes_first`, as in G's loss, fakes are scored before real images.
        """
        due = due_terms(terms, self.global_step)
        if not any(term.observes_batch for term in due.values()):
            return
        weights, scored = weights_with_cloned_buffers(self.discriminator), []
        for index, (part, fake) in enumerate(zip(parts, fakes, strict=True)):
            with self.draws.part(index, len(parts)), self.full_precision():
                sides = [part.images, fake.float()]
                both = [self.score_batch(side, part.condition, weights) for side in sides[:: -1 if fakes_first else 1]]
                scored.append(both[:: -1 if fakes_first else 1])
        observe_batch(due, *(concatenate(side) for side in zip(*scored, strict=True)))

    def after_discriminator_step(self, result: Metrics, images: int) -> None:
        """Apply rules about D's weights, and let the augmentation observe the logits."""
        for term in self.regularizers.values():
            term.after_step(self.discriminator)  # type: ignore[operator]
        if self.augment is not None:
            # A paired loss constrains only differences of logits, so the augmentation follows those.
            logits = result["real_logits"] - (result["fake_logits"] if self.loss.paired else 0)
            self.augment.observe(logits, images * rank_and_world_size()[1])

    def score_batch(self, images: Tensor, condition: Tensor | None, weights: Weights | None = None) -> ScoredBatch:
        """The images with their scores."""
        return ScoredBatch(images, self.score(images, condition, weights), condition)

    def full_precision(self) -> torch.autocast:
        """Outside of autocast: second derivatives need float32."""
        return torch.autocast(self.device.type, enabled=False)

    def score(self, images: Tensor, condition: Tensor | None, weights: Weights | None = None) -> Scores:
        """D's scores, with its own weights or others, in float32: losses keep their precision under autocast."""
        seen = images if self.augment is None else self.augment(images)
        pack = self.game.pack
        if pack > 1:
            seen = seen.unflatten(0, (-1, pack)).flatten(1, 2)  # (B / pack, pack C, ...)
            condition = None if condition is None else condition.unflatten(0, (-1, pack))
        if weights is None:
            scores: Scores = self.discriminator(seen, condition)
        else:
            scores = functional_call(self.discriminator, weights, (seen, condition))
        if not isinstance(scores, Scores):
            raise UserError(
                f"model.discriminator: {type(self.discriminator).__name__} returns {type(scores).__name__}: let it"
                " return Scores(logits), as docs/extending.md shows"
            )
        return Scores(*(None if part is None else part.float() for part in scores))  # type: ignore[arg-type]

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

"""The learning triangle: adversaries in parallel on noisy views of the same data, each learning and each judging."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zerosum.data.dataset import Batch
from zerosum.errors import UserError
from zerosum.gan import draws
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.regularizers import ScoredBatch, squared_gradient_norm
from zerosum.models.networks import Scores
from zerosum.sampling import latents
from zerosum.training.module import GenerativeModule, split
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

View = Callable[[Tensor], Tensor]
"""What a sensor makes of clean images (B, *sample_shape), with noise drawn by `zerosum.gan.draws`"""


class NoiseInHalf:
    """x + deviation * n, n ~ N(0, 1), in one half of the last axis: x or y of points, left or right of images."""

    def __init__(self, half: int, deviation: float) -> None:
        if half not in (0, 1):
            raise UserError(f"half={half}: choose 0, the left half or x, or 1, the right half or y")
        if not deviation > 0:
            raise UserError(f"deviation={deviation}: choose a number above 0")
        self.half = half
        self.deviation = deviation

    def __call__(self, images: Tensor) -> Tensor:
        middle = images.shape[-1] // 2
        mask = torch.arange(images.shape[-1], device=images.device) >= middle
        noise = draws.randn(images, *images.shape[1:])
        return images + self.deviation * noise * (mask == bool(self.half))


class Generators(nn.Module):
    """Several generators of one length of z; each row is made by the one that is asked for."""

    def __init__(self, generators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(generators)

    def forward(self, z: Tensor, which: Tensor) -> Tensor:
        """(B, latent_dim) and (B,) int64 to (B, *sample_shape)."""
        made = torch.stack([network(z) for network in self.each])
        return made[which, torch.arange(len(z), device=z.device)]


class LearningTriangle(GenerativeModule):
    """`adversaries` GANs at once; each D_i learns from its own noisy views, and judges every generator.

    With w = `judge_weight` and averages over j other than i, D_i minimizes
    (1 - w) J_D(D_i; G_i) + w J_D(D_i; G_j) + gamma / 2 E |grad D_i|^2 on its real images, and G_i minimizes
    (1 - w) J_G(D_i; G_i) + w J_G(D_j; G_i). w = 0 is an ensemble of GANs that know nothing of each other, and one
    adversary sees all views. Image p of a batch is seen through view p mod V, by adversary p mod V mod `adversaries`.
    Sample i is of generator i mod `adversaries`.
    """

    optimizer_names = ("discriminator", "generator")

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        views: Mapping[str, View],
        sample_shape: Sequence[int],
        optimizer: Mapping[str, MakeOptimizer],
        adversaries: int = 2,
        judge_weight: float = 0.5,
        gamma: float = 0.1,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        check_options(len(views), adversaries, judge_weight, gamma, loss)
        generators = Generators([generator(sample_shape=tuple(sample_shape)) for _ in range(adversaries)])
        super().__init__(generators, training, seed)
        self.generators = generators
        self.discriminators = nn.ModuleList(discriminator(sample_shape=tuple(sample_shape)) for _ in range(adversaries))
        self.latent_dim: int = generators.each[0].latent_dim  # type: ignore[assignment]
        self.loss = loss
        self.views = list(views.values())
        self.judge_weight = judge_weight if adversaries > 1 else 0.0
        self.gamma = gamma
        self.make_optimizers = optimizer
        self.draws = draws.BatchDraws()

    @property
    def batch_multiple(self) -> int:
        """Each micro-batch has as many images for every view."""
        return self.training_settings.accumulate * len(self.views)

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminators before generators."""
        return [
            self.make_optimizers["discriminator"](self.discriminators.parameters()),
            self.make_optimizers["generator"](self.generators.parameters()),
        ]

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape) from the moving average of generator seed mod `adversaries`."""
        which = torch.tensor([seed % len(self.discriminators) for seed in seeds], device=self.device)
        return self.ema.network(latents(seeds, self.latent_dim).to(self.device), which)

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of all discriminators, then one of all generators against the same fakes."""
        self.begin_step()
        self.draws.begin_step(self.device, self.seed, self.global_step, "views")
        (batch,) = batches
        parts = split(batch, self.training_settings.accumulate)
        fakes = [self.make_fakes(z) for z in self.noise(self.global_step, len(batch.images)).chunk(len(parts))]
        discriminator_optimizer, generator_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        self.draws.begin_batch()
        discriminator_losses = [
            self.backward_discriminators(part, made, index, len(parts), discriminator_optimizer)
            for index, (part, made) in enumerate(zip(parts, fakes, strict=True))
        ]
        self.take_step(discriminator_optimizer)
        discriminator_optimizer.zero_grad()
        generator_losses = [self.backward_generators(made, len(parts), generator_optimizer) for made in fakes]
        self.take_step(generator_optimizer)
        generator_optimizer.zero_grad()
        losses = {"discriminator": torch.stack(discriminator_losses), "generator": torch.stack(generator_losses)}
        self.finish_step(
            self.generators,
            losses={name: each.mean() for name, each in losses.items()},
            metrics={},
            samples=torch.cat(list(chain(*fakes))).detach(),
            images=len(batch.images),
        )

    def make_fakes(self, z: Tensor) -> list[Tensor]:
        """Those of each generator, with their graph."""
        count = len(self.discriminators)
        return [network(z[index::count]) for index, network in enumerate(self.generators.each)]

    def see(self, images: Tensor, adversary: int) -> Tensor:
        """The images of a micro-batch that are an adversary's, through its views."""
        count = len(self.views)
        own = range(adversary, count, len(self.discriminators))
        return torch.cat([self.views[view](images[view::count]) for view in own])

    def backward_discriminators(
        self, batch: Batch, fakes: Sequence[Tensor], index: int, parts: int, optimizer: Optimizer
    ) -> Tensor:
        """Add the gradients of micro-batch `index`; returns the mean loss of the discriminators."""
        with self.draws.part(index, parts):
            reals = [self.see(batch.images, adversary) for adversary in range(len(self.discriminators))]
        # Second derivatives need float32.
        with torch.autocast(self.device.type, enabled=torch.is_autocast_enabled(self.device.type) and not self.gamma):
            losses = [self.discriminator_loss(judge, real, fakes) for judge, real in enumerate(reals)]
        loss = torch.stack(losses).mean()
        self.backward_into(optimizer, loss * len(losses) / parts)
        return loss.detach()

    def discriminator_loss(self, judge: int, real: Tensor, fakes: Sequence[Tensor]) -> Tensor:
        """(1 - w) J_D against its own generator, w J_D against the others, and R1."""
        real = real.detach().requires_grad_(self.gamma > 0)
        scores = self.score(judge, real)
        penalty = self.gamma / 2 * squared_gradient_norm(ScoredBatch(real, scores)) if self.gamma else 0.0
        return penalty + self.weigh(
            lambda maker: self.loss.discriminator(scores.logits, self.score(judge, fakes[maker].detach()).logits), judge
        )

    def backward_generators(self, fakes: Sequence[Tensor], parts: int, optimizer: Optimizer) -> Tensor:
        """Add the gradients of a micro-batch; returns the mean loss of the generators."""
        losses = [self.generator_loss(maker, fake) for maker, fake in enumerate(fakes)]
        loss = torch.stack(losses).mean()
        self.backward_into(optimizer, loss * len(losses) / parts)
        return loss.detach()

    def generator_loss(self, maker: int, fake: Tensor) -> Tensor:
        """(1 - w) J_G before its own discriminator and w J_G before the others."""
        return self.weigh(lambda judge: self.loss.generator(self.score(judge, fake).logits), maker)

    def weigh(self, cost: Callable[[int], Tensor], own: int) -> Tensor:
        """(1 - w) times the cost with its own opponent and w times the mean of those with the others."""
        if not self.judge_weight:
            return cost(own)
        others = [cost(other) for other in range(len(self.discriminators)) if other != own]
        return (1 - self.judge_weight) * cost(own) + self.judge_weight * torch.stack(others).mean()

    def score(self, judge: int, images: Tensor) -> Scores:
        """Scores in float32."""
        scores: Scores = self.discriminators[judge](images, None)
        return Scores(scores.logits.float())


def check_options(views: int, adversaries: int, judge_weight: float, gamma: float, loss: AdversarialLoss) -> None:
    """UserError if the game cannot be played so."""
    if adversaries < 1 or views % adversaries:
        raise UserError(f"model.adversaries={adversaries} must divide the number of model.views, which is {views}")
    if not 0 <= judge_weight <= 1:
        raise UserError(f"model.judge_weight={judge_weight}: choose 0, an ensemble, to 1, judged by the others alone")
    if not gamma >= 0:
        raise UserError(f"model.gamma={gamma}: the weight of R1 is 0 or more")
    if loss.paired:
        raise UserError(f"model.loss: {type(loss).__name__} compares pairs: take a loss of single images")

"""An autoencoder whose decoder also plays a game: the adversarial loss of tokenizers and latent diffusion."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Optimizer

from zerosum.data.dataset import Batch
from zerosum.distributed import mean_over_processes
from zerosum.errors import UserError
from zerosum.families.autoencoder import Autoencoder
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.regularizers import Regularizer, ScoredBatch, due_terms
from zerosum.models.autoencoder import Discriminator
from zerosum.training.module import split
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

DELTA = 1e-6
LARGEST = 1e4
"""Bound of the adaptive weight, as in the code of VQGAN"""


class AutoencoderGAN(Autoencoder):
    """Mean squared error plus, from `start` images on, the adversarial loss of D against the reconstructions.

    The adversarial loss has the weight `weight` * lambda, where lambda makes its gradient at the decoder's last layer
    as long as that of the error (Esser et al. 2021, VQGAN, eq. 7). D is trained from `start` on, `regularizers` are
    added to its loss.
    """

    optimizer_names: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: Mapping[str, MakeOptimizer],
        adversarial: AdversarialLoss,
        training: TrainingSettings | None = None,
        seed: int = 0,
        latent_dim: int = 32,
        base_channels: int = 32,
        regularizers: Mapping[str, Regularizer] | None = None,
        weight: float = 0.5,
        start: int = 20_000,
    ) -> None:
        for name, value in {"weight": weight, "start": start}.items():
            if not value >= 0:
                raise UserError(f"model.{name}={value}: choose 0 or more")
        super().__init__(sample_shape, optimizer["generator"], training, seed, latent_dim, base_channels)
        self.make_discriminator_optimizer = optimizer["discriminator"]
        self.discriminator = Discriminator(sample_shape, base_channels)
        self.adversarial = adversarial
        self.regularizers = nn.ModuleDict(dict(regularizers or {}))
        self.weight, self.start = weight, start

    def configure_optimizers(self) -> list[Optimizer]:  # type: ignore[override]
        """Discriminator before the autoencoder, in the place of the generator."""
        return [
            self.make_discriminator_optimizer(self.discriminator.parameters()),
            self.make_optimizer(self.network.parameters()),
        ]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of the autoencoder, then, from the start on, one of D against the same reconstructions."""
        self.begin_step()
        (batch,), (of_discriminator, of_autoencoder) = batches, self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        parts = split(batch, self.training_settings.accumulate)
        plays = self.images_seen >= self.start
        of_autoencoder.zero_grad()
        fakes, results = [], []
        for part in parts:
            fake, losses = self.autoencoder_losses(part.images, plays)
            self.backward_into(of_autoencoder, losses["model"] / len(parts))
            fakes.append(fake.detach())
            results.append(losses)
        self.take_step(of_autoencoder)
        if plays:
            of_discriminator.zero_grad()
            for part, fake, losses in zip(parts, fakes, results, strict=True):
                losses["discriminator"] = self.discriminator_loss(part.images, fake)
                self.backward_into(of_discriminator, losses["discriminator"] / len(parts))
            self.take_step(of_discriminator)
        means = {name: torch.stack([each[name].detach() for each in results]).mean() for name in results[0]}
        losses = {name: means.pop(name) for name in ("model", "discriminator") if name in means}
        self.finish_step(self.network, losses, means, torch.cat(fakes), len(batch.images))

    def autoencoder_losses(self, images: Tensor, plays: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstructions, and the loss "model" with its parts."""
        fake = self.network(images).float()
        error = mse_loss(fake, images)
        if not plays:
            return fake, {"model": error, "error": error}
        real = self.discriminator(images).logits.float() if self.adversarial.paired else None
        adversarial = self.adversarial.generator(self.discriminator(fake).logits.float(), real)
        last: Any = self.network.decoder
        balance = adaptive_weight(error, adversarial, last.output.weight)
        loss = error + self.weight * balance * adversarial
        return fake, {"model": loss, "error": error, "adversarial": adversarial, "adaptive_weight": balance}

    def discriminator_loss(self, images: Tensor, fake: Tensor) -> Tensor:
        """J_D plus the penalties that are due, in float32, which second derivatives need."""
        due = due_terms(self.regularizers, self.global_step)
        with torch.autocast(self.device.type, enabled=not due and torch.is_autocast_enabled(self.device.type)):
            sides = [side.detach().requires_grad_(bool(due)) for side in (images, fake)]
            real, fakes = (ScoredBatch(side, self.discriminator(side)) for side in sides)
            penalties = [term(self.discriminator, real, fakes) for term in due.values()]
        return self.adversarial.discriminator(real.logits.float(), fakes.logits.float()) + sum(penalties)


def adaptive_weight(error: Tensor, adversarial: Tensor, last: nn.Parameter) -> Tensor:
    """lambda = |grad error| / (|grad adversarial| + 1e-6), at most 1e4, gradients of the decoder's last layer."""
    of_error, of_adversarial = (
        mean_over_processes(torch.autograd.grad(loss, last, retain_graph=True)[0]).norm()
        for loss in (error, adversarial)
    )
    return (of_error / (of_adversarial + DELTA)).clamp(max=LARGEST)

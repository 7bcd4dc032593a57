"""CycleGAN (Zhu et al. 2017): translation between two sets of images of which no pairs are known."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from zerosum.data.dataset import Batch, DataShape
from zerosum.errors import UserError
from zerosum.gan.labels.image_conditions import ImageConditions
from zerosum.gan.losses import AdversarialLoss, LeastSquares
from zerosum.training.module import GenerativeModule, TrainingSettings, split


class CycleGAN(GenerativeModule):
    """Two generators, from the conditions to the images and back, and a discriminator of each set.

    The two sets have one shape. `generator` builds a network from a sample shape and a condition shape, `discriminator`
    one from a sample shape. What G pays is `adversarial` times the least-squares loss of both discriminators, plus
    `cycle` |F(G(a)) - a| + |G(F(b)) - b| (equation 2), plus `identity` |G(b) - b| + |F(a) - a| (section 5.2). The
    paper's pool of earlier fakes is left out.
    """

    optimizer_names: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    label_use = "conditioned on images"

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        training: TrainingSettings | None = None,
        seed: int = 0,
        loss: AdversarialLoss | None = None,
        adversarial: float = 1.0,
        cycle: float = 10.0,
        identity: float = 5.0,
    ) -> None:
        shape = tuple(sample_shape)
        forth = generator(sample_shape=shape, condition_shape=shape)
        super().__init__(forth, training, seed)
        for name, weight in (("adversarial", adversarial), ("cycle", cycle), ("identity", identity)):
            if not weight >= 0:
                raise UserError(f"model.{name}={weight}: a weight is 0 or more")
        self.generators = nn.ModuleDict({"forth": forth, "back": generator(sample_shape=shape, condition_shape=shape)})
        self.discriminators = nn.ModuleDict({name: discriminator(sample_shape=shape) for name in ("forth", "back")})
        self.conditions = ImageConditions(DataShape(shape, condition_shape=shape))
        self.make_optimizer = optimizer
        self.loss = loss or LeastSquares()
        self.adversarial, self.cycle, self.identity = adversarial, cycle, identity
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminators before generators."""
        return [self.make_optimizer(players.parameters()) for players in (self.discriminators, self.generators)]

    def on_fit_start(self) -> None:
        """Keep conditions for pictures; UserError at conditions of another shape than the images."""
        dataset = self.trainer.datamodule.dataset  # type: ignore[attr-defined]
        if getattr(dataset, "condition_shape", None) != tuple(dataset.sample_shape):
            raise UserError("model=cycle_gan translates between images of one shape: take dataset=unpaired")
        self.conditions.begin(dataset)

    def translate(self, direction: str, images: Tensor) -> Tensor:
        """(B, C, H, W) from the conditions to the images ("forth") or "back"; without z each has one answer."""
        return self.generators[direction](images.new_zeros(len(images), 0), images)

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step of both discriminators, then one of both generators."""
        self.begin_step()
        (batch,) = batches
        parts = split(batch, self.training_settings.accumulate)
        discriminator_optimizer, generator_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        results: dict[str, list[Tensor]] = {}
        discriminator_optimizer.zero_grad()
        for part in parts:
            loss = self.discriminator_loss(part)
            self.backward_into(discriminator_optimizer, loss / len(parts))
            results.setdefault("discriminator", []).append(loss.detach())
        self.take_step(discriminator_optimizer)
        generator_optimizer.zero_grad()
        for part in parts:
            terms, samples = self.generator_terms(part)
            self.backward_into(generator_optimizer, sum(terms.values(), start=samples.new_zeros(())) / len(parts))
            for name, term in terms.items():
                results.setdefault(name, []).append(term.detach())
        self.take_step(generator_optimizer)
        means = {name: torch.stack(values).mean() for name, values in results.items()}
        losses = {"discriminator": means.pop("discriminator"), "generator": torch.stack(list(means.values())).sum()}
        self.finish_step(self.generators["forth"], losses, means, samples.detach(), len(batch.images))

    def discriminator_loss(self, part: Batch) -> Tensor:
        """The sum of J_D of both sets."""
        images, conditions = sides(part)
        with torch.no_grad():
            fakes = {"forth": self.translate("forth", conditions), "back": self.translate("back", images)}
        real = {"forth": images, "back": conditions}
        return sum(
            (self.loss.discriminator(self.score(name, real[name]), self.score(name, fakes[name])) for name in fakes),
            start=images.new_zeros(()),
        )

    def generator_terms(self, part: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted terms of the generators' loss, and the images made of the conditions."""
        images, conditions = sides(part)
        fakes = {"forth": self.translate("forth", conditions), "back": self.translate("back", images)}
        judged = self.loss.generator(self.score("forth", fakes["forth"])) + self.loss.generator(
            self.score("back", fakes["back"])
        )
        returned = l1_loss(self.translate("back", fakes["forth"]), conditions) + l1_loss(
            self.translate("forth", fakes["back"]), images
        )
        terms = {"adversarial": self.adversarial * judged, "cycle": self.cycle * returned}
        if self.identity:  # else batch norms would count images that no generator is asked to translate
            kept = l1_loss(self.translate("forth", images), images) + l1_loss(
                self.translate("back", conditions), conditions
            )
            terms["identity"] = self.identity * kept
        return terms, fakes["forth"]

    def score(self, name: str, images: Tensor) -> Tensor:
        """Logits (B, P) of one discriminator, in float32."""
        return self.discriminators[name](images).logits.float()

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape): the moving average's translations of the conditions."""
        condition = self.conditions.draw(seeds) if condition is None else condition
        average: nn.Module = self.ema.network
        return average(torch.zeros(len(seeds), 0, device=self.device), condition.to(self.device))


def sides(batch: Batch) -> tuple[Tensor, Tensor]:
    """The images and the conditions of a batch, which are no pairs."""
    if batch.condition is None or batch.condition.shape != batch.images.shape:
        raise UserError("model=cycle_gan translates between images of one shape: take dataset=unpaired")
    return batch.images, batch.condition

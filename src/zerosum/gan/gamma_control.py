"""Experimental: moves gamma, the weight of R1 and R2, until D is as steep at fakes as at real images."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from lightning import Callback, Trainer
from torch.func import functional_call

from zerosum.data.dataset import Batch
from zerosum.distributed import mean_over_processes, rank_and_world_size
from zerosum.errors import UserError
from zerosum.gan.gan import GAN
from zerosum.gan.logits import squared_gradients
from zerosum.gan.regularizers import R1, R2
from zerosum.gan.unrolled import weights_with_cloned_buffers
from zerosum.randomness import reseed
from zerosum.training.callbacks.anneal import Anneal
from zerosum.training.callbacks.schedule import check_interval
from zerosum.training.logs import in_section, log_values
from zerosum.training.module import split


class GammaControl(Callback):
    """Experimental: holds E|grad D(G(z))|^2 / E|grad D(x)|^2 near 1, R3GAN's sign of health, by moving gamma.

    Every `every` images both are measured on the batch of the next step. The logarithm of their ratio is averaged over
    about `images` images, a, and gamma <- gamma exp(-clip(a, -1, 1) every / images), between `lowest` and `highest`:
    where D is steeper at fakes, gamma falls. r1 and r2 keep the ratio of their weights.
    """

    def __init__(self, every: int = 256, images: int = 2_000, lowest: float = 0.01, highest: float = 100.0) -> None:
        check_interval("gamma_control", every)
        if images < every:
            raise UserError(f"callbacks.gamma_control.images={images}: choose at least {every}, which is its `every`")
        if not 0 < lowest < highest < math.inf:
            raise UserError(
                f"callbacks.gamma_control.lowest={lowest} highest={highest}: choose the bounds of gamma, 0 < lowest <"
                " highest"
            )
        self.every = every
        self.images = images
        self.lowest, self.highest = lowest, highest
        self.measured_at = 0
        self.average: float | None = None
        """Of the logarithm of the ratio"""
        self.weights: dict[str, float] = {}
        """Of r1 and r2, by the names of their terms"""

    def check(self, module: Any, callbacks: Iterable[Callback] = ()) -> None:
        """UserError if there is no r1 and no r2 with a weight in the bounds, or if something else moves that weight."""
        terms = terms_of(module)
        if not terms:
            raise UserError(
                "callbacks.gamma_control moves the weight of r1 and r2, and this run has neither: set"
                " regularizer=r1_r2, or leave the callback out"
            )
        for name, term in terms.items():
            if not self.lowest <= term.weight <= self.highest:
                raise UserError(
                    f"regularizer.{name}.weight={term.weight:g}: callbacks.gamma_control starts from a gamma between"
                    f" its bounds {self.lowest:g} and {self.highest:g}"
                )
        moved = {f"regularizers.{name}.weight" for name in terms}
        for callback in callbacks:
            if isinstance(callback, Anneal) and callback.attribute in moved:
                raise UserError(
                    f"callbacks.gamma_control and an anneal both move {callback.attribute}: leave out one of the two"
                )

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Begin with the weights of the config, or continue with those of the checkpoint."""
        terms = terms_of(pl_module)
        if self.weights.keys() != terms.keys():
            self.weights = {name: term.weight for name, term in terms.items()}
        self.set(pl_module)

    def on_train_batch_start(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, batch: list[Batch], batch_idx: int
    ) -> None:
        """Act before a step, so that every checkpoint of the step before continues here."""
        seen = pl_module.images_seen
        if seen // self.every > self.measured_at // self.every:
            ratio = self.measure(pl_module, batch)
            self.move(ratio, seen - self.measured_at)
            self.measured_at = seen
            self.set(pl_module)
            gamma = next(iter(self.weights.values()))
            values = {"gamma": gamma, "squared_gradient_ratio": ratio}
            log_values(trainer, pl_module, in_section("game", values))

    def measure(self, gan: GAN, batches: list[Batch]) -> float:
        """E|grad D(G(z))|^2 / E|grad D(x)|^2 on one micro-batch of the next step; nothing of the game changes."""
        reseed(gan.device, gan.seed, gan.global_step, "gamma_control", rank_and_world_size()[0])
        index, batch = gan.global_step * len(batches), batches[0]
        condition = None if gan.conditions is None else gan.conditions.of_batch(batch, gan.seed, index)
        parts = gan.training_settings.accumulate
        real = split(batch._replace(condition=condition), parts)[0]
        z = gan.noise(index, len(batch.images)).chunk(parts)[0]
        with torch.no_grad():
            fakes = functional_call(gan.generator, weights_with_cloned_buffers(gan.generator), (z, real.condition))
        sides = {"real": real, "fake": Batch(fakes, real.condition)}
        found = squared_gradients(gan, sides, len(real.images))
        values = torch.tensor([found[f"squared_gradient/{side}"] for side in sides], device=gan.device)
        of_real, of_fake = mean_over_processes(values).tolist()
        return of_fake / of_real if of_real else math.nan

    def move(self, ratio: float, images: int) -> None:
        """One step of the controller, `images` images after the last; a ratio that is not finite moves nothing."""
        if not 0 < ratio < math.inf:
            return
        share = min(1.0, images / self.images)
        logarithm = math.log(ratio)
        self.average = logarithm if self.average is None else self.average + share * (logarithm - self.average)
        factor = math.exp(-max(-1.0, min(1.0, self.average)) * share)
        least, most = self.lowest / min(self.weights.values()), self.highest / max(self.weights.values())
        factor = max(least, min(most, factor))
        self.weights = {name: weight * factor for name, weight in self.weights.items()}

    def set(self, gan: GAN) -> None:
        """Give the terms their weights."""
        for name, term in terms_of(gan).items():
            term.weight = self.weights[name]

    def state_dict(self) -> dict[str, Any]:
        return {"measured_at": self.measured_at, "average": self.average, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """ValueError if it is no state of this callback."""
        measured_at, average, weights = (state_dict[name] for name in ("measured_at", "average", "weights"))
        numbers = [*weights.values(), *([] if average is None else [average])]
        if type(measured_at) is not int or not all(type(each) is float and math.isfinite(each) for each in numbers):
            raise ValueError("its gamma is not a number")
        self.measured_at, self.average, self.weights = measured_at, average, dict(weights)


def terms_of(module: Any) -> dict[str, R1 | R2]:
    """The terms r1 and r2 of a GAN by their names; of another model none."""
    terms = getattr(module, "regularizers", {})
    return {name: term for name, term in terms.items() if isinstance(term, R1 | R2)}

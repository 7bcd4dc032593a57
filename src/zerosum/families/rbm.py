"""Restricted Boltzmann machine by contrastive divergence (Hinton 2002), persistent (Tieleman 2008) or not."""

import copy
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zerosum.data.dataset import Batch, Dataset
from zerosum.data.images import ImageDataset
from zerosum.drawing.grid import add_heading
from zerosum.errors import UserError, check_positive
from zerosum.families.boltzmann import BoltzmannMachine, Draw, Estimate, estimate_log_z
from zerosum.families.levels import check_binary
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.pixels import from_uint8
from zerosum.randomness import generator
from zerosum.training.module import Illustration
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

log = logging.getLogger("zerosum")

SHOWN_CHAINS, SHOWN_STEPS = 10, (0, 1, 3, 10, 30, 100, 300, 1000)
"""Of the picture of chains"""
DRAWN_AT_ONCE = 2**14
"""Uniform numbers that each chain of its own seed draws ahead"""


class RBM(OneLoss):
    """`hidden` units, trained by k = `gibbs_steps` block Gibbs steps of `chains` that persist, or from each batch.

    Samples are chains of `sampling_steps` steps, annealed from independent pixels in the first half of them.
    The likelihood is exact if one side has at most 20 units, else log Z is estimated by `ais_chains` chains over
    `ais_temperatures` temperatures.
    """

    network: BoltzmannMachine
    chains: Tensor | None

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = None,
        hidden: int = 128,
        gibbs_steps: int = 5,
        chains: int | None = None,
        sampling_steps: int = 200,
        ais_chains: int = 100,
        ais_temperatures: int = 1000,
    ) -> None:
        check_binary("RBM", levels)
        check_positive("model", hidden=hidden, gibbs_steps=gibbs_steps, sampling_steps=sampling_steps)
        check_positive("model", chains=1 if chains is None else chains)
        check_positive("model", ais_temperatures=ais_temperatures)
        if ais_chains < 2:
            raise UserError(f"model.ais_chains={ais_chains}: choose 2 or more, which a standard error needs")
        self.sample_shape = tuple(sample_shape)
        machine = BoltzmannMachine(torch.Size(sample_shape).numel(), hidden)
        super().__init__(machine, optimizer, training, seed)
        self.gibbs_steps = gibbs_steps
        self.sampling_steps = sampling_steps
        self.ais_chains, self.ais_temperatures = ais_chains, ais_temperatures
        self.register_buffer("chains", None if chains is None else torch.zeros(chains, len(machine.base)))
        self._log_z: tuple[tuple[float, ...], float, Estimate | None] | None = None

    @property
    def likelihood(self) -> str:
        """How Z is known."""
        if self.network.can_be_summed:
            return "exact"
        return f"estimate, log Z by AIS of {self.ais_chains} chains over {self.ais_temperatures} temperatures"

    def on_fit_start(self) -> None:
        """Begin with the frequencies of the pixels as biases (Hinton 2010, section 8.1), and chains drawn by them."""
        if self.images_seen:
            return
        dataset: Dataset = self.trainer.datamodule.dataset  # type: ignore[attr-defined]
        batch = dataset.stream(self.seed, self.device).batch(0, 1000, slice(0, 1000))
        frequency = (batch.images.flatten(1).mean(0) + 1) / 2
        log_odds = frequency.clamp(0.01, 0.99).logit()
        for machine in (self.network, self.average):
            machine.base.copy_(log_odds)
            machine.visible_bias.data.copy_(log_odds)
        if self.chains is not None:
            self.chains = self.network.start(draw_from(generator(self.seed, "chains"), self.chains))

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """Move the persistent chains, all of them in every process, and take a step."""
        if self.chains is not None:
            random = generator(self.seed, self.global_step, "chains")
            self.chains = self.walk(self.chains, draw_from(random, self.chains))
        super().training_step(batches, batch_idx)

    def walk(self, visible: Tensor, draw: Draw) -> Tensor:
        """Visible units (B, visible) k Gibbs steps later."""
        for _ in range(self.gibbs_steps):
            visible = self.network.step(visible, draw)
        return visible

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean free energy of the data less that of the chains, whose gradient is that of contrastive divergence."""
        data = to_units(batch.images)
        if self.chains is None:
            names = iter(range(2 * self.gibbs_steps))
            chains = self.walk(data, lambda count: noise.uniform(f"gibbs {next(names)}", count))
        else:
            chains = self.chains
        return self.network.log_weight(chains).mean() - self.network.log_weight(data).mean(), {}

    @property
    def average(self) -> BoltzmannMachine:
        """The moving average of the machine."""
        return self.ema.network  # type: ignore[return-value]

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats, by the moving average."""
        machine = copy.deepcopy(self.average).cpu().double()
        log_z, _ = self.log_z()
        return (machine.log_weight(to_units(images).cpu().double()) - log_z).float().to(self.device)

    def log_z(self) -> tuple[float, Estimate | None]:
        """log Z of the moving average, by summation or by AIS, and AIS both ways; logged once for each average."""
        machine = copy.deepcopy(self.average).cpu().double()
        fingerprint = tuple(float(weight.sum()) for weight in machine.parameters())
        if self._log_z is None or self._log_z[0] != fingerprint:
            draw = draw_from(generator(0, "ais"), torch.empty(self.ais_chains, 1, dtype=torch.float64))
            estimate = estimate_log_z(machine, self.ais_chains, self.ais_temperatures, draw)
            exact = float(machine.log_z()) if machine.can_be_summed else None
            self._log_z = fingerprint, estimate.forward if exact is None else exact, estimate
            log.info(
                "log Z: %.2f by AIS forward (standard error %.2f), %.2f in reverse%s",
                *(estimate.forward, estimate.deviation, estimate.reverse),
                "" if exact is None else f", {exact:.2f} exactly",
            )
        return self._log_z[1:]

    def facts(self) -> dict[str, Any]:
        """How log Z was found, and both of its estimates."""
        log_z, estimate = self.log_z()
        assert estimate is not None
        return {
            **super().facts(),
            "log_z": log_z,
            "log_z_ais_forward": estimate.forward,
            "log_z_ais_reverse": estimate.reverse,
        }

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape) of -1 and 1; chain i is drawn from seed i alone, in float64."""
        if not len(seeds):
            return torch.zeros(0, *self.sample_shape, device=self.device)
        machine = copy.deepcopy(self.average).cpu().double()
        draw = draw_from_seeds(seeds)
        visible = machine.start(draw)
        for step in range(self.sampling_steps):
            beta = min(1.0, 2 * (step + 1) / self.sampling_steps)
            visible = machine.step(visible, draw, beta)
        return self.to_images(visible)

    def to_images(self, units: Tensor) -> Tensor:
        """(B, *sample_shape) of -1 and 1, of units (B, visible) of 0 and 1."""
        return (2 * units - 1).view(-1, *self.sample_shape).to(self.device, torch.float32)

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """Gibbs chains that begin at held-out images."""
        assert isinstance(dataset, ImageDataset)
        machine, seeds = copy.deepcopy(self.average).cpu().double(), range(SHOWN_CHAINS)
        draw = draw_from_seeds(seeds)
        visible = to_units(from_uint8(next(dataset.batches("test", SHOWN_CHAINS)))).double()
        shown = []
        for step in range(SHOWN_STEPS[-1] + 1):
            shown += [self.to_images(visible)] if step in SHOWN_STEPS else []
            visible = machine.step(visible, draw)
        picture = dataset.draw(torch.stack(shown, 1).flatten(0, 1), len(SHOWN_STEPS))
        labels = [f"{step:,}" for step in SHOWN_STEPS]
        heading = add_heading(picture, labels, "block Gibbs steps from a held-out image")
        caption = "Chains of block Gibbs steps, a row each: they mix as far as a row goes on to other digits."
        return {"chains": Illustration(heading, caption)}


def to_units(images: Tensor) -> Tensor:
    """(B, visible) of 0 and 1, of images in [-1, 1]."""
    return (images.flatten(1) + 1) / 2


def draw_from(random: torch.Generator, chains: Tensor) -> Draw:
    """Uniform numbers for all chains (B, ...) from one generator."""
    return lambda count: torch.rand(len(chains), count, generator=random, dtype=chains.dtype).to(chains.device)


def draw_from_seeds(seeds: Sequence[int]) -> Draw:
    """Uniform numbers for chains of which each has a generator of its own, in float64."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    ahead = torch.empty(len(seeds), 0)

    def draw(count: int) -> Tensor:
        nonlocal ahead
        if ahead.shape[1] < count:
            rows = [torch.rand(max(DRAWN_AT_ONCE, count), generator=random) for random in generators]
            ahead = torch.cat([ahead, torch.stack(rows)], 1)
        drawn, ahead = ahead[:, :count], ahead[:, count:]
        return drawn.double()

    return draw

"""A mixture of Gaussians by expectation maximization (Dempster et al. 1977), with no optimizer."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from zerosum.data.dataset import Batch
from zerosum.distributed import all_reduce_sum, rank_and_world_size
from zerosum.errors import UserError, check_positive
from zerosum.families.levels import dequantize, from_levels, log_cell_volume
from zerosum.families.noise import noise_of
from zerosum.randomness import generator
from zerosum.sampling import latents
from zerosum.training.module import GenerativeModule, split
from zerosum.training.settings import TrainingSettings

CovarianceKind = Literal["full", "diagonal"]
WIDEST = 1024
"""Numbers of a point, at most, with full covariances"""


class Statistics(NamedTuple):
    """Means over points of what the M-step needs, float64: r is the responsibility of a component for a point."""

    weight: Tensor
    """(K,) E r"""
    first: Tensor
    """(K, d) E r x"""
    second: Tensor
    """(K, d, d) E r x x^T, or its diagonal (K, d)"""
    log_likelihood: Tensor
    """() E log p(x)"""


class Mixture(nn.Module):
    """Weights (K,), means (K, d) and covariances (K, d, d), or variances (K, d), as buffers in float64."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(self, components: int, size: int, kind: CovarianceKind) -> None:
        super().__init__()
        one = torch.ones(size, dtype=torch.float64)
        self.register_buffer("weights", torch.full((components,), 1 / components, dtype=torch.float64))
        self.register_buffer("means", torch.zeros(components, size, dtype=torch.float64))
        each = one.diag() if kind == "full" else one
        self.register_buffer("covariances", each.repeat(components, *[1] * each.dim()))

    @property
    def is_full(self) -> bool:
        """Whether the covariances are matrices."""
        return self.covariances.dim() == 3

    def log_joint(self, x: Tensor) -> Tensor:
        """log pi_k N(x; mu_k, C_k), (B, K) nats, of points (B, d)."""
        centred = x.double()[:, None] - self.means  # (B, K, d)
        if self.is_full:
            factor = torch.linalg.cholesky(self.covariances)
            scaled = torch.linalg.solve_triangular(factor, centred.permute(1, 2, 0), upper=False)  # (K, d, B)
            squared = scaled.square().sum(1).T
            log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
        else:
            squared = (centred.square() / self.covariances).sum(2)
            log_det = self.covariances.log().sum(1)
        size = x.shape[1]
        return self.weights.log() - 0.5 * (squared + log_det + size * math.log(2 * math.pi))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (B,) nats, of points (B, d)."""
        return self.log_joint(x).logsumexp(1)

    def expect(self, x: Tensor) -> Statistics:
        """The E-step: sums over points (B, d), not yet divided by their number."""
        x = x.double()
        joint = self.log_joint(x)
        total = joint.logsumexp(1)
        shares = (joint - total[:, None]).exp()  # (B, K)
        second = torch.einsum("bk,bi,bj->kij", shares, x, x) if self.is_full else shares.T @ x.square()
        return Statistics(shares.sum(0), shares.T @ x, second, total.sum())

    def maximize(self, found: Statistics, floor: float) -> None:
        """The M-step, in place; `floor` is added to the variances, as scikit-learn's reg_covar.

        Components without any point keep what they were.
        """
        weight = found.weight.clamp(min=torch.finfo(torch.float64).tiny)
        alive = found.weight > 1e-12
        means = found.first / weight[:, None]
        if self.is_full:
            second = found.second / weight[:, None, None] - means[:, :, None] * means[:, None]
            covariances = second + floor * torch.eye(means.shape[1], dtype=torch.float64, device=means.device)
        else:
            covariances = (found.second / weight[:, None] - means.square()).clamp(min=0) + floor
        self.weights.copy_(found.weight / found.weight.sum())
        self.means.copy_(torch.where(alive[:, None], means, self.means))
        kept = alive.view(-1, *[1] * (covariances.dim() - 1))
        self.covariances.copy_(torch.where(kept, covariances, self.covariances))

    def draw(self, uniform: Tensor, z: Tensor) -> Tensor:
        """Points (B, d) of uniform numbers (B,), which choose components, and z ~ N(0, I) (B, d)."""
        edges = self.weights.cumsum(0)
        chosen = torch.searchsorted(edges, uniform.double() * edges[-1]).clamp(max=len(edges) - 1)
        z = z.double()
        if self.is_full:
            return self.means[chosen] + (torch.linalg.cholesky(self.covariances)[chosen] @ z[:, :, None])[:, :, 0]
        return self.means[chosen] + self.covariances[chosen].sqrt() * z


class Memory(nn.Module):
    """Running means of the statistics, as buffers."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        shapes = mixture.weights.shape, mixture.means.shape, mixture.covariances.shape, ()
        for name, shape in zip(Statistics._fields, shapes, strict=True):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def zeros(self) -> Statistics:
        """Statistics of nothing."""
        return Statistics(*(torch.zeros_like(getattr(self, name)) for name in Statistics._fields))

    def move(self, found: Statistics, rate: float) -> Statistics:
        """Move the means towards `found` and return them."""
        means = Statistics(*(getattr(self, name) for name in Statistics._fields))
        for mean, value in zip(means, found, strict=True):
            mean.lerp_(value, rate)
        return means


def add(one: Statistics, other: Statistics) -> Statistics:
    """Sums of both."""
    return Statistics(*(first + second for first, second in zip(one, other, strict=True)))


def points_apart(x: Tensor, count: int, random: torch.Generator) -> Tensor:
    """`count` points of x (N, d): each with a probability as its squared distance from those before (k-means++)."""
    chosen = [int(torch.randint(len(x), (), generator=random))]
    distances = torch.full((len(x),), math.inf, dtype=x.dtype, device=x.device)
    while len(chosen) < count:
        distances = torch.minimum(distances, (x - x[chosen[-1]]).square().sum(1))
        edges = distances.cumsum(0)
        place = torch.rand((), generator=random, dtype=x.dtype).to(x.device) * edges[-1]
        chosen.append(int(torch.searchsorted(edges, place).clamp(max=len(x) - 1)))
    return x[chosen]


class GaussianMixture(GenerativeModule):
    """Each step is one step of EM: of all images where training.batch_size is their number.

    On smaller batches, statistics are averaged over steps with the weight (step + 1)^-`forgetting` for the newest
    (Cappe and Moulines 2009, eq. 12); with 0 each step forgets those before, so that on all points the likelihood never
    falls. Images have uniform noise in their cells, new at each step, so that theirs may fall a little. Means start at
    points of the first batch far from each other (Arthur and Vassilvitskii 2007, k-means++), covariances at that of the
    batch. `floor` is added to variances.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: Any = None,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = 256,
        components: int = 20,
        covariance: CovarianceKind = "full",
        forgetting: float = 0.6,
        floor: float = 1e-6,
    ) -> None:
        check_positive("model", components=components)
        if optimizer is not None:
            raise UserError("optimizer: GaussianMixture has none, each of its steps is one of EM: leave the option out")
        size = math.prod(sample_shape)
        if covariance == "full" and size > WIDEST:
            raise UserError(
                f"model: full covariances of {size} numbers have {size**2:,} entries: take model.covariance=diagonal"
            )
        if not floor > 0 or not 0 <= forgetting <= 1:
            raise UserError(f"model.floor={floor} model.forgetting={forgetting}: choose above 0, and from 0 to 1")
        mixture = Mixture(components, size, covariance)
        super().__init__(mixture, training, seed)
        self.network: Mixture = mixture
        self.memory = Memory(mixture)
        self.sample_shape, self.levels = tuple(sample_shape), levels
        self.forgetting, self.floor = forgetting, floor

    @property
    def likelihood(self) -> str:
        """Exact for points; of images the density is, and their probability is bounded."""
        return "exact" if self.levels is None else "bound, by uniform dequantization"

    def configure_optimizers(self) -> list[Any]:
        """None."""
        return []

    def on_fit_start(self) -> None:
        """Start at the data, before the untrained model is measured."""
        if self.images_seen:
            return
        size = self.training_settings.batch_size
        stream = self.trainer.datamodule.dataset.stream(self.seed, torch.device("cpu"))  # type: ignore[attr-defined]
        images = stream.batch(0, size, slice(0, size)).images  # of all processes
        noise = torch.rand(images.shape, generator=generator(self.seed, "start", "cells"))
        self.start_at(self.as_points(images, noise).double())

    @torch.no_grad()
    def start_at(self, x: Tensor) -> None:
        """Means at points of x (N, d) far from each other, covariances at that of x."""
        x = x.to(self.device)
        deviation = x - x.mean(0)
        variance = deviation.square().mean(0) + self.floor
        if self.network.is_full:
            variance = deviation.T @ deviation / len(x) + self.floor * torch.eye(x.shape[1]).to(x)
        self.network.means.copy_(points_apart(x, len(self.network.weights), generator(self.seed, "start", "means")))
        self.network.covariances.copy_(variance.expand_as(self.network.covariances))
        self.ema.network.load_state_dict(self.network.state_dict())

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One E-step on the batch, over all processes, and one M-step."""
        self.begin_step()
        (batch,) = batches
        parts = split(batch, self.training_settings.accumulate)
        found = self.memory.zeros()
        with torch.no_grad():
            for index, part in enumerate(parts):
                noise = noise_of(self, index, len(parts), len(part.images))
                uniform = noise.uniform("cells", *self.sample_shape) if self.levels else part.images
                found = add(found, self.network.expect(self.as_points(part.images, uniform)))
            count = len(batch.images) * rank_and_world_size()[1]
            found = Statistics(*(all_reduce_sum(part) / count for part in found))
            self.network.maximize(self.memory.move(found, (self.global_step + 1) ** -self.forgetting), self.floor)
        loss = -found.log_likelihood - self.log_volume
        self.finish_step(self.network, {"model": loss}, {}, None, len(batch.images))

    @property
    def log_volume(self) -> float:
        """Of an image's cell; 0 for points."""
        return 0.0 if self.levels is None else log_cell_volume(self.sample_shape, self.levels)

    def as_points(self, images: Tensor, uniform: Tensor) -> Tensor:
        """(B, d): points as they are, images in [0, 1) with this noise in their cells."""
        return (images if self.levels is None else dequantize(images, uniform, self.levels)).flatten(1)

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats; of images with one draw of noise each."""
        uniform = torch.rand(images.shape, device=images.device)
        return self.ema.network.log_prob(self.as_points(images, uniform)) + self.log_volume  # type: ignore[operator]

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape), images cut to their levels."""
        noise = latents(seeds, 1 + math.prod(self.sample_shape)).to(self.device)
        chosen, z = torch.special.ndtr(noise[:, 0]), noise[:, 1:]
        x = self.ema.network.draw(chosen, z).float().view(-1, *self.sample_shape)  # type: ignore[operator]
        if self.levels is None:
            return x
        return from_levels((x * self.levels).floor().clamp(0, self.levels - 1), self.levels)

    def facts(self) -> dict[str, Any]:
        """What kind of likelihood the values are."""
        return {"likelihood": self.likelihood}

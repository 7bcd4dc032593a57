"""The likelihood of held-out images, of models that have one."""

import math
from typing import Any, ClassVar

import torch

from zerosum.data.images import ImageDataset
from zerosum.data.points import KnownDensity
from zerosum.distributed import on_rank_zero
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.protocol import Direction, ImageSampling
from zerosum.pixels import from_uint8
from zerosum.randomness import generator, reseed
from zerosum.sampling import ExplicitModel, Model


class Likelihood:
    """Mean negative log-likelihood of the held-out images: nats an image, and bits a dimension.

    It is the probability of an image's levels, so that densities and distributions of pixels compare; the run's card
    says whether it is exact, a bound or an estimate. Only the first `count` images are measured, if there are more.
    """

    better: ClassVar[dict[str, Direction]] = {"nll": "lower", "bits_per_dim": "lower"}
    has_floor: ClassVar[bool] = False

    def __init__(self, count: int | None = None, seed: int = 0) -> None:
        if count is not None and count < 1:
            raise UserError(f"metrics.likelihood.count={count}: choose 1 or more images, or null for all")
        self.count = count
        self.seed = seed

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"nll": nats an image, "bits_per_dim": bits}; a bound and an estimate are those of a likelihood."""
        check_explicit(model)
        if not isinstance(protocol.dataset, ImageDataset):
            raise UnmeasurableError("likelihood is that of images: for points take metrics=points_likelihood")
        if protocol.split != "test":
            raise UnmeasurableError("likelihood is that of held-out images: set protocol.split=test")
        nats = on_rank_zero(lambda explicit: self.mean_nats(protocol, explicit), model)
        return {"nll": nats, "bits_per_dim": nats / math.log(2) / math.prod(protocol.dataset.sample_shape)}

    @torch.inference_mode()
    def mean_nats(self, protocol: ImageSampling, model: Any) -> float:
        """-log P(x), averaged over the images; a model that draws does so from generators seeded for each batch."""
        device = getattr(model, "device", protocol.device)
        total, seen, count = 0.0, 0, self.count or math.inf
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for index, images in enumerate(protocol.dataset.batches("test", protocol.batch_size)):
                images = images[: int(min(len(images), count - seen))]
                if not len(images):
                    break
                reseed(device, self.seed, index, "likelihood")
                total -= float(model.log_prob(from_uint8(images).to(device)).double().sum())
                seen += len(images)
        return total / seen

    def describe(self) -> dict[str, Any]:
        return {"likelihood_images": "all" if self.count is None else self.count, "likelihood_seed": self.seed}


class PointLikelihood:
    """Mean negative log-density of as many fresh points of the data as there are samples, and KL(data, model), in nats.

    KL = E log p_data - log p_model over the same points, where the density of the data is known.
    """

    better: ClassVar[dict[str, Direction]] = {"nll": "lower", "kl": "lower"}
    has_floor: ClassVar[bool] = False

    def measure_model(self, protocol: Any, model: Model) -> dict[str, float]:
        """{"nll": nats a point, "kl": nats}"""
        check_explicit(model)
        if not isinstance(protocol.dataset, KnownDensity):
            raise UnmeasurableError("points_likelihood is that of points: for images take metrics=likelihood")
        return on_rank_zero(lambda explicit: self.measure_density(protocol, explicit), model)

    @torch.inference_mode()
    def measure_density(self, protocol: Any, model: Any) -> dict[str, float]:
        """Both values."""
        points, _ = protocol.dataset.sample(protocol.n_fake, generator(protocol.seed, "likelihood"))
        found = model.log_prob(points.to(getattr(model, "device", "cpu"))).double().cpu()
        nll = {"nll": -float(found.mean())}
        try:
            return nll | {"kl": float((protocol.dataset.log_prob(points).double() - found).mean())}
        except UnmeasurableError:  # the density of tones is not known
            return nll

    def describe(self) -> dict[str, Any]:
        return {}


def check_explicit(model: Model) -> None:
    """UnmeasurableError unless the model tells how likely data are."""
    if not isinstance(model, ExplicitModel):
        raise UnmeasurableError(
            f"{type(model).__name__} has no likelihood: choose a model that has one, such as model=vae"
        )

"""Variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114)."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, softplus

from zerosum.data.dataset import Batch, Dataset
from zerosum.errors import UserError, check_positive
from zerosum.families.levels import check_images, from_levels, to_levels
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.families.pictures import draw_codes
from zerosum.sampling import latents
from zerosum.training.module import Illustration
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

LOG_2_PI = math.log(2 * math.pi)
CHUNK = 4096
"""Codes that pass through the decoder at once when a likelihood is estimated"""


class Code(NamedTuple):
    """The encoder's q(z | x) = N(mean, exp(log_variance))."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """z = mean + deviation * noise"""
        return self.mean + (self.log_variance / 2).exp() * noise

    def kl(self) -> Tensor:
        """KL(q(z | x), N(0, I)), (B,) nats (appendix B)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(-1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z | x), (...,) nats, of codes (..., latent_dim)."""
        squared = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squared + self.log_variance + LOG_2_PI).sum(-1)


def log_prior(z: Tensor) -> Tensor:
    """log N(z; 0, I), (...,) nats."""
    return -0.5 * (z.square() + LOG_2_PI).sum(-1)


class BernoulliPixels(nn.Module):
    """Black and white pixels, independent given the code; one number a pixel, the logit of white."""

    numbers = 1

    def log_prob(self, values: Tensor, parameters: Tensor) -> Tensor:
        """(..., pixels) nats of levels 0 and 1; parameters (..., pixels)."""
        return -binary_cross_entropy_with_logits(parameters, values.float().expand_as(parameters), reduction="none")

    def mean(self, parameters: Tensor) -> Tensor:
        """The mean level, (..., pixels)."""
        return parameters.sigmoid()

    def draw(self, parameters: Tensor, uniform: Tensor) -> Tensor:
        """Levels (..., pixels), of uniform numbers in [0, 1)."""
        return (uniform < parameters.sigmoid()).long()


class LogisticPixels(nn.Module):
    """A logistic distribution cut into `levels` cells, the outer two open (Salimans et al. 2017, PixelCNN++, eq. 2).

    Two numbers a pixel: the mean, 0.5 at the middle level and 1 across all, and the logarithm of the scale.
    """

    numbers = 2
    smallest_log_scale = -7.0

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale, (..., pixels) each, where all levels lie in [0, 1]."""
        mean, log_scale = parameters.chunk(2, -1)
        return mean + 0.5, (log_scale - 2).clamp(min=self.smallest_log_scale)

    def log_prob(self, values: Tensor, parameters: Tensor) -> Tensor:
        """log(F(x + 1) - F(x)) of levels x from 0 to levels - 1, where F(0) = 0 and F(levels) = 1.

        With u above v, log(sigmoid(u) - sigmoid(v)) = logsigmoid(u) + logsigmoid(-v) + log(1 - exp(v - u)): nothing
        cancels far from the mean.
        """
        mean, log_scale = self.split(parameters)
        width = (-log_scale).exp() / self.levels  # not upper - lower, which would be 0 at large scales
        upper = (values + 1 - mean * self.levels) * width
        lower = (values - mean * self.levels) * width
        inner = logsigmoid(upper) + logsigmoid(-lower) + torch.log(-torch.expm1(-width))
        return torch.where(
            values == 0, logsigmoid(upper), torch.where(values == self.levels - 1, -softplus(lower), inner)
        )

    def mean(self, parameters: Tensor) -> Tensor:
        """The level of the mean of the distribution before it is cut, (..., pixels)."""
        return (self.split(parameters)[0] * self.levels - 0.5).clamp(0, self.levels - 1)

    def draw(self, parameters: Tensor, uniform: Tensor) -> Tensor:
        """Levels (..., pixels): the cell of mean + scale * logit(u)."""
        mean, log_scale = self.split(parameters)
        drawn = mean + log_scale.exp() * uniform.clamp(1e-6, 1 - 1e-6).logit()
        return (drawn * self.levels).floor().long().clamp(0, self.levels - 1)


def dense(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with SiLU between them."""
    layers: list[nn.Module] = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class VariationalAutoencoder(nn.Module):
    """An encoder from pixels to q(z | x), and a decoder from z to a distribution of pixels."""

    def __init__(
        self, pixels: int, levels: int, likelihood: BernoulliPixels | LogisticPixels, latent_dim: int, hidden: list[int]
    ) -> None:
        super().__init__()
        self.levels, self.latent_dim = levels, latent_dim
        self.encoder = dense([pixels, *hidden, 2 * latent_dim])
        self.decoder = dense([latent_dim, *reversed(hidden), likelihood.numbers * pixels])
        self.likelihood = likelihood

    def encode(self, images: Tensor) -> Code:
        """q(z | x) of images (B, C, H, W)."""
        return Code(*self.encoder(images.flatten(1)).chunk(2, 1))

    def log_likelihood(self, images: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), (..., B) nats, of images (B, C, H, W) and codes (..., B, latent_dim)."""
        values = to_levels(images, self.levels).flatten(1)
        return self.likelihood.log_prob(values, self.decoder(z).float()).sum(-1)

    def mean(self, z: Tensor) -> Tensor:
        """Pixels (B, pixels) in [-1, 1], the mean of p(x | z)."""
        return from_levels(self.likelihood.mean(self.decoder(z).float()), self.levels)

    def draw(self, z: Tensor, uniform: Tensor) -> Tensor:
        """Pixels (B, pixels) in [-1, 1], drawn from p(x | z)."""
        return from_levels(self.likelihood.draw(self.decoder(z).float(), uniform), self.levels)


class VAE(OneLoss):
    """Maximizes the evidence lower bound (eq. 3), one code an image:

        log p(x) >= E_q(z|x) log p(x | z) - KL(q(z | x), N(0, I))

    `log_prob` averages over `importance_samples` codes (Burda et al. 2016, IWAE, eq. 8); with more of them it rises to
    log p(x). Samples are drawn from p(x | z), pixel by pixel, of z ~ N(0, I).
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        levels: int | None = 256,
        latent_dim: int = 32,
        width: int = 256,
        depth: int = 2,
        decoder: Literal["bernoulli", "logistic"] | None = None,
        importance_samples: int = 100,
    ) -> None:
        check_images("VAE", sample_shape)
        check_positive("model", latent_dim=latent_dim, width=width, depth=depth, importance_samples=importance_samples)
        assert levels is not None, "images have levels"
        if decoder == "bernoulli" and levels != 2:
            raise UserError(
                f"model.decoder=bernoulli is for black and white pixels, these have {levels} levels: take logistic, or"
                " dataset=binarized_mnist"
            )
        chosen = decoder or ("bernoulli" if levels == 2 else "logistic")
        likelihood = BernoulliPixels() if chosen == "bernoulli" else LogisticPixels(levels)
        network = VariationalAutoencoder(math.prod(sample_shape), levels, likelihood, latent_dim, depth * [width])
        super().__init__(network, optimizer, training, seed)
        self.sample_shape, self.latent_dim = tuple(sample_shape), latent_dim
        self.importance_samples = importance_samples

    @property
    def likelihood(self) -> str:
        """The estimate is a lower bound of log p(x) on average."""
        return f"estimate, by {self.importance_samples} importance samples"

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """-ELBO and its two terms."""
        reconstruction, kl = self.elbo_terms(self.network, batch.images, noise.normal("codes", self.latent_dim))
        return (kl - reconstruction).mean(), {"reconstruction": -reconstruction.mean(), "kl": kl.mean()}

    def elbo_terms(self, network: nn.Module, images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x | z) and KL(q(z | x), p(z)), (B,) nats each."""
        code = network.encode(images)  # type: ignore[operator]
        return network.log_likelihood(images, code.draw(noise)), code.kl()  # type: ignore[operator]

    def bound(self, images: Tensor) -> Tensor:
        """The evidence lower bound with one code an image, (B,) nats."""
        noise = torch.randn(len(images), self.latent_dim, device=images.device)
        reconstruction, kl = self.elbo_terms(self.ema.network, images, noise)
        return reconstruction - kl

    def log_prob(self, images: Tensor) -> Tensor:
        """log 1/k sum_i p(x | z_i) p(z_i) / q(z_i | x), (B,) nats."""
        network = self.ema.network
        code = network.encode(images)  # type: ignore[operator]
        weights, left = [], self.importance_samples
        while left:
            count = min(left, max(1, CHUNK // len(images)))
            z = code.draw(torch.randn(count, len(images), self.latent_dim, device=images.device))
            weights.append(network.log_likelihood(images, z) + log_prior(z) - code.log_prob(z))  # type: ignore[operator]
            left -= count
        return torch.cat(weights).logsumexp(0) - math.log(self.importance_samples)

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), C, H, W): one code and one draw of the pixels from each seed."""
        noise = latents(seeds, self.latent_dim + math.prod(self.sample_shape)).to(self.device)
        codes, uniform = noise[:, : self.latent_dim], torch.special.ndtr(noise[:, self.latent_dim :])
        return self.ema.network.draw(codes, uniform).view(-1, *self.sample_shape)  # type: ignore[operator]

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, C, H, W) of codes (B, latent_dim): the mean of p(x | z)."""
        return self.ema.network.mean(z.to(self.device)).view(-1, *self.sample_shape)  # type: ignore[operator]

    def reconstruct(self, images: Tensor) -> Tensor:
        """(B, C, H, W): the mean of p(x | z) at the mean of q(z | x)."""
        return self.decode(self.ema.network.encode(images.to(self.device)).mean)  # type: ignore[operator]

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """Reconstructions beside decoded random codes, and the plane of codes of two numbers."""
        return draw_codes(self, dataset)

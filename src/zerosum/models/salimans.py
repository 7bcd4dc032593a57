"""The fully connected networks of Salimans et al. 2016, section 5, for MNIST with few labels."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zerosum.distributed import mean_over_processes
from zerosum.errors import check_positive
from zerosum.models.blocks import ConditionedLayers, score
from zerosum.models.networks import Scores


class NormalizedLinear(nn.Module):
    """scale v / |v| x + bias, one direction v for each output (Salimans and Kingma 2016).

    The directions are N(0, 0.1^2) at first, so that a step of Adam turns them as far as in the authors' code.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(0.1 * torch.randn(after, before))
        self.scale = nn.Parameter(torch.ones(after))
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, features: Tensor) -> Tensor:
        """(B, before) to (B, after)."""
        return self.project(features) * self.scale + self.bias

    def project(self, features: Tensor) -> Tensor:
        """v / |v| x"""
        return linear(features, self.direction) / torch.linalg.vector_norm(self.direction, dim=1)


class StandardizedLinear(NormalizedLinear):
    """The same with a fixed scale, that and the first bias from the first batch seen in training.

    On this batch each output has mean 0 and variance 1 (Salimans and Kingma 2016, section 3).
    """

    started: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after)
        del self.scale
        self.register_buffer("scale", torch.ones(after))
        self.register_buffer("started", torch.tensor(False))

    def forward(self, features: Tensor) -> Tensor:
        """(B, before) to (B, after)."""
        if self.training and not self.started:
            self.start(features)
        return super().forward(features)

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """scale = 1 / deviation and bias = -mean / deviation, over all processes."""
        projected = self.project(features)
        mean = mean_over_processes(projected.mean(0))
        deviation = mean_over_processes((projected - mean).square().mean(0)).sqrt() + 1e-6
        self.scale.copy_(1 / deviation)
        self.bias.copy_(-mean / deviation)
        self.started.fill_(True)


class GaussianNoise(nn.Module):
    """x + sigma N(0, I) in training, x in evaluation."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, F)."""
        return features + self.sigma * torch.randn_like(features) if self.training else features


class Generator(nn.Module):
    """Uniform noise to an image by two hidden layers with batch norm and softplus.

    z ~ N(0, I) becomes uniform by the normal distribution function.
    """

    def __init__(self, sample_shape: tuple[int, ...], latent_dim: int = 100, width: int = 500) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, width=width)
        self.latent_dim = latent_dim
        widths = [latent_dim, width, width]
        hidden: list[nn.Module] = []
        for before, after in pairwise(widths):
            hidden += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.Softplus()]
        output = NormalizedLinear(width, math.prod(sample_shape))
        self.layers = ConditionedLayers(*hidden, output, nn.Sigmoid(), nn.Unflatten(1, tuple(sample_shape)))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *sample_shape)."""
        return 2 * self.layers(torch.special.ndtr(z), condition) - 1


class Discriminator(nn.Module):
    """An image to a logit by five hidden layers with weight norm and ReLU, and Gaussian noise before every layer.

    Pixels are in [0, 1] where their noise joins them.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        widths: tuple[int, ...] = (1000, 500, 250, 250, 250),
        pixel_noise: float = 0.3,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten(), GaussianNoise(pixel_noise)]
        for before, after in pairwise((math.prod(sample_shape), *widths)):
            layers += [StandardizedLinear(before, after), nn.ReLU(), GaussianNoise(noise)]
        self.num_features = widths[-1]
        self.layers = nn.Sequential(*layers, nn.Linear(self.num_features, 1))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to (B,)."""
        return score(self.layers, 0.5 * (images + 1))

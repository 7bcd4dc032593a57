"""The fully connected networks of Salimans et al. 2016, section 5, for MNIST with few labels."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zerosum.errors import check_positive
from zerosum.models.blocks import ConditionedLayers, score
from zerosum.models.networks import Scores


class NormalizedLinear(nn.Module):
    """scale v / |v| x + bias, one direction v for each output (Salimans and Kingma 2016); `scale` is fixed or trained.

    The directions are N(0, 0.1^2) at first, so that a step of Adam turns them as far as in the authors' code.
    """

    scale: Tensor

    def __init__(self, inputs: int, outputs: int, scale: float = 1.0, trained: bool = False) -> None:
        super().__init__()
        self.direction = nn.Parameter(0.1 * torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        start = torch.full((outputs, 1), scale)
        if trained:
            self.scale = nn.Parameter(start)
        else:
            self.register_buffer("scale", start)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs)."""
        length = torch.linalg.vector_norm(self.direction, dim=1, keepdim=True)
        return linear(features, self.direction * (self.scale / length), self.bias)


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
        for inputs, outputs in pairwise(widths):
            hidden += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.Softplus()]
        output = NormalizedLinear(width, math.prod(sample_shape), trained=True)
        self.layers = ConditionedLayers(*hidden, output, nn.Sigmoid(), nn.Unflatten(1, tuple(sample_shape)))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *sample_shape)."""
        return 2 * self.layers(torch.special.ndtr(z), condition) - 1


class Discriminator(nn.Module):
    """An image to a logit by five hidden layers with weight norm and ReLU, and Gaussian noise before every layer.

    Pixels are in [0, 1] where their noise joins them. The scale of each hidden layer keeps the variance (He et al.
    2015) in place of the authors' first pass over data.
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
        for inputs, outputs in pairwise((math.prod(sample_shape), *widths)):
            layers += [NormalizedLinear(inputs, outputs, math.sqrt(2)), nn.ReLU(), GaussianNoise(noise)]
        self.num_features = widths[-1]
        self.layers = nn.Sequential(*layers, nn.Linear(self.num_features, 1))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to (B,)."""
        return score(self.layers, 0.5 * (images + 1))

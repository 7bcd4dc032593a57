"""Fully connected networks for points in the plane and small images."""

import math
from itertools import pairwise

from torch import Tensor, nn

from zerosum.errors import check_positive
from zerosum.models.blocks import logit_head, normalize_spectrally, score
from zerosum.models.networks import Scores


class Generator(nn.Module):
    """Noise to an image or a point by `depth` hidden layers with ReLU.

    The output passes through tanh for images; points have no range.
    """

    def __init__(self, sample_shape: tuple[int, ...], latent_dim: int = 16, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, width=width, depth=depth)
        self.latent_dim = latent_dim
        self.sample_shape = tuple(sample_shape)
        widths = [latent_dim] + depth * [width]
        hidden = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
        output: list[nn.Module] = [nn.Linear(widths[-1], math.prod(sample_shape)), nn.Unflatten(1, self.sample_shape)]
        self.layers = nn.Sequential(*hidden, *output, *([nn.Tanh()] if len(sample_shape) == 3 else []))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *sample_shape)."""
        return self.layers(z)


class Discriminator(nn.Module):
    """An image or a point to a logit by `depth` hidden layers with leaky ReLU (slope 0.2).

    `spectral_norm`, `minibatch_stddev` and `minibatch_discrimination` as in `zerosum.models.dcgan`.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        width: int = 128,
        depth: int = 3,
        spectral_norm: bool = False,
        minibatch_stddev: bool = False,
        minibatch_discrimination: bool = False,
    ) -> None:
        super().__init__()
        check_positive("model", width=width, depth=depth)
        widths = [math.prod(sample_shape)] + depth * [width]
        hidden = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
        head = logit_head((widths[-1],), minibatch_stddev, minibatch_discrimination)
        self.layers = nn.Sequential(nn.Flatten(), *hidden, *head)
        self.num_features = head[-1].in_features
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to (B,)."""
        return score(self.layers, images)

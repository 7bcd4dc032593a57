"""An autoencoder: codes from which images return, and no distribution of the codes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from zerosum.data.dataset import Batch, Dataset
from zerosum.distributed import mean_over_processes
from zerosum.errors import check_positive
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.families.pictures import draw_codes
from zerosum.models.autoencoder import Decoder, Encoder
from zerosum.sampling import latents
from zerosum.training.module import Illustration
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

MOMENTUM = 0.99
"""Of the moments of the codes, for each micro-batch"""


class EncoderDecoder(nn.Module):
    """Both networks, and mean and second moment of each number of the codes, averaged over training."""

    mean: Tensor
    square: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("square", torch.ones(latent_dim))

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions; in training the codes are observed."""
        codes = self.encoder(images)
        if self.training:
            self.observe(codes.detach().float())
        return self.decoder(codes)

    @torch.no_grad()
    def observe(self, codes: Tensor) -> None:
        """Move the moments towards those of these codes, over all processes."""
        self.mean.lerp_(mean_over_processes(codes.mean(0)), 1 - MOMENTUM)
        self.square.lerp_(mean_over_processes(codes.square().mean(0)), 1 - MOMENTUM)

    def decode(self, z: Tensor) -> Tensor:
        """Images of codes mean + deviation * z: z ~ N(0, I) has the mean and variance of the codes of real images."""
        deviation = (self.square - self.mean.square()).clamp(min=0).sqrt()
        return self.decoder(self.mean + deviation * z)


class Autoencoder(OneLoss):
    """Minimizes the mean squared error of reconstructions, E |x - decoder(encoder(x))|^2 / pixels, images in [-1, 1].

    It is no generative model: its samples are decoded random codes, each number of which has the mean and variance
    that it has among codes of real images.
    """

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        latent_dim: int = 32,
        base_channels: int = 32,
    ) -> None:
        check_positive("model", latent_dim=latent_dim)
        encoder, decoder = (part(sample_shape, latent_dim, base_channels) for part in (Encoder, Decoder))
        super().__init__(EncoderDecoder(encoder, decoder, latent_dim), optimizer, training, seed)
        self.latent_dim = latent_dim

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean squared error."""
        return mse_loss(self.network(batch.images).float(), batch.images), {}

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] through encoder and decoder of the moving average."""
        average: Any = self.ema.network
        return average(images.to(self.device))

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, C, H, W) of z ~ N(0, I), (B, latent_dim)."""
        average: Any = self.ema.network
        return average.decode(z.to(self.device))

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), C, H, W): decoded random codes."""
        return self.decode(latents(seeds, self.latent_dim))

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """Reconstructions beside decoded random codes, and the plane of codes of two numbers."""
        return draw_codes(self, dataset)

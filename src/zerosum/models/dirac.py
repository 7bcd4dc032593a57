"""The Dirac-GAN (Mescheder et al. 2018, section 2): two players of one number each, on a line."""

import torch
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.models.networks import Scores


class Generator(nn.Module):
    """G(z) = theta, whatever z."""

    latent_dim = 1

    def __init__(self, sample_shape: tuple[int, ...], start: float = 1.0) -> None:
        super().__init__()
        if tuple(sample_shape) != (1,):
            raise UserError(f"dirac plays on a line, this dataset has shape {tuple(sample_shape)}: use gaussian_1d")
        self.theta = nn.Parameter(torch.tensor(start))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, 1) to (B, 1)."""
        return self.theta.expand(len(z), 1)


class Discriminator(nn.Module):
    """D's logit is psi x, without an offset; of a pack it is that of the sum."""

    def __init__(self, sample_shape: tuple[int, ...], start: float = 1.0) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(start))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, 1) to (B,)."""
        return Scores(self.psi * images.sum(1))

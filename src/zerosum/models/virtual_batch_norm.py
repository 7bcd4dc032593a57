"""Batch norm whose statistics do not depend on the other samples of the batch (Salimans et al. 2016, section 3.5)."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from zerosum.errors import UserError, did_you_mean
from zerosum.randomness import generator

REFERENCES = 64
"""Latents of the reference batch, drawn once and kept"""


class ReferenceNorm2d(nn.Module):
    """Normalizes each channel by the statistics of a reference batch, which stands before the samples in the batch.

    With `own_share` each sample is added to the reference batch for itself, with the weight 1 / (R + 1): virtual batch
    norm. The references themselves are normalized by their own statistics.
    """

    def __init__(self, channels: int, own_share: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.share = 1 / (REFERENCES + 1) if own_share else 0.0
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """(R + B, C, H, W) to the same shape and dtype; computed in float32 at least, as the norms of torch are."""
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        reference, samples = wide[:REFERENCES], wide[REFERENCES:]
        fixed = torch.var_mean(reference, (0, 2, 3), correction=0)  # (C,) each
        own = torch.var_mean(samples, (2, 3), correction=0)  # (B, C) each
        mixed = combine_moments(fixed, own, self.share)
        return torch.cat([self.normalize(reference, *fixed), self.normalize(samples, *mixed)]).to(features)

    def normalize(self, features: Tensor, variance: Tensor, mean: Tensor) -> Tensor:
        """weight (x - mean) / sqrt(variance + eps) + bias, of moments (C,) or (B, C)."""
        scale = self.weight / (variance + self.eps).sqrt()
        return (features - mean[..., None, None]) * scale[..., None, None] + self.bias[..., None, None]


Moments = tuple[Tensor, Tensor]
"""Variance and mean"""


def combine_moments(first: Moments, second: Moments, share: float) -> Moments:
    """Variance and mean of two groups together, the second with that share of the weight.

    The difference of E x^2 and mean^2 would cancel where the mean is far greater than the deviation.
    """
    apart = second[1] - first[1]
    within = torch.lerp(first[0].expand_as(second[0]), second[0], share)
    return within + share * (1 - share) * apart.square(), first[1] + share * apart


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "reference": ReferenceNorm2d,
    "virtual": partial(ReferenceNorm2d, own_share=True),
}


def norm_of(name: str) -> Callable[[int], nn.Module]:
    """The layer of that name, as a function of the number of channels."""
    if name not in NORMS:
        raise UserError(f"model.norm={name}: expected one of {', '.join(NORMS)}.{did_you_mean(name, NORMS)}")
    return NORMS[name]


def reference_latents(layers: Iterable[nn.Module], latent_dim: int) -> Tensor | None:
    """(R, latent_dim), the same in every run, if one of the layers needs references."""
    if not any(isinstance(layer, ReferenceNorm2d) for layer in layers):
        return None
    return torch.randn(REFERENCES, latent_dim, generator=generator("reference batch"))

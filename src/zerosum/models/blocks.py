"""Layers for any discriminator."""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from zerosum.models.networks import Scores

KERNELS = 16
"""How many measures of nearness minibatch discrimination learns"""


def normalize_spectrally(network: nn.Module) -> nn.Module:
    """Divide every weight by its largest singular value (Miyato et al. 2018), by torch's parametrization."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            spectral_norm(layer)
    return network


class MinibatchStandardDeviation(nn.Module):
    """Appends the mean standard deviation over the batch as one more feature (Karras et al. 2018, PGGAN, section 3).

    Over groups of `group` neighbours, so that it depends neither on the size of the batch nor on the number of
    processes.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, ...) to (B, C + 1, ...)."""
        size = math.gcd(self.group, len(features))
        groups = features.float().unflatten(0, (-1, size))  # (B / G, G, C, ...)
        deviation = (groups.var(1, correction=0) + 1e-8).sqrt().flatten(1).mean(1)  # (B / G,)
        shape = (len(features), 1, *features.shape[2:])
        map_ = deviation.repeat_interleave(size).view(-1, *[1] * (features.dim() - 1)).expand(shape)
        return torch.cat([features, map_.to(features.dtype)], 1)


class MinibatchDiscrimination(nn.Module):
    """Appends the nearness to the rest of the batch by `kernels` learned measures (Salimans et al. 2016, section 3.2).

    M_i = f(x_i) T of shape (kernels, dimensions); c_b(x_i, x_j) = exp(-|M_ib - M_jb|_1); o_b(x_i) = sum over j of
    c_b(x_i, x_j) without the sample itself.
    """

    def __init__(self, features: int, kernels: int = KERNELS, dimensions: int = 8) -> None:
        super().__init__()
        self.kernels = kernels
        self.project = nn.Linear(features, kernels * dimensions, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) to (B, F + kernels)."""
        measures = self.project(features).float().unflatten(1, (self.kernels, -1))  # (B, kernels, dimensions)
        distances = (measures[:, None] - measures[None]).abs().sum(3)  # (B, B, kernels)
        nearness = (-distances).exp().sum(1) - 1
        return torch.cat([features, nearness.to(features.dtype)], 1)


class ConditionedLayers(nn.Sequential):
    """Layers in order, where those that need the condition may stand in place of others."""

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pass the condition to layers that take it."""
        for layer in self:
            features = layer(features, condition) if getattr(layer, "takes_condition", False) else layer(features)
        return features


def logit_head(shape: tuple[int, ...], minibatch_stddev: bool, minibatch_discrimination: bool) -> nn.Sequential:
    """The end of a discriminator: features (B, *shape) to (B, 1), through the minibatch layers if chosen."""
    channels, *places = shape
    layers: list[nn.Module] = [MinibatchStandardDeviation()] if minibatch_stddev else []
    features = math.prod([channels + minibatch_stddev, *places])
    layers += [nn.Flatten()]
    if minibatch_discrimination:
        layers += [MinibatchDiscrimination(features, KERNELS)]
        features += KERNELS
    return nn.Sequential(*layers, nn.Linear(features, 1))


def score(head: nn.Sequential, features: Tensor) -> Scores:
    """Scores of features (B, *shape) by a head, with what its last layer is given."""
    *before, last = head
    for layer in before:
        features = layer(features)
    return Scores(last(features).squeeze(1), features=features)

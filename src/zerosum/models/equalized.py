"""Layers with an equalized learning rate (Karras et al. 2018, PGGAN, section 4.1)."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, linear


def activate(features: Tensor) -> Tensor:
    """sqrt(2) times leaky ReLU of slope 0.2, which keeps the variance of zero-mean features near 1."""
    return math.sqrt(2) * leaky_relu(features, 0.2)


def normalize(vectors: Tensor) -> Tensor:
    """(B, F) with a mean square of 1 in each row."""
    return vectors * (vectors.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualizedLinear(nn.Module):
    """A x + b of weights N(0, 1) that are divided by sqrt(fan_in) as the layer runs, so that Adam moves all alike.

    With `rate`, weights start as N(0, 1 / rate^2) and are multiplied by it too: this layer learns that much slower.
    """

    def __init__(self, before: int, after: int, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias / rate))
        self.gain = rate / math.sqrt(before)
        self.rate = rate

    def forward(self, features: Tensor) -> Tensor:
        """(B, before) to (B, after)."""
        return linear(features, self.gain * self.weight, self.rate * self.bias)


class EqualizedConv2d(nn.Module):
    """A convolution with bias of weights N(0, 1) that are divided by sqrt(fan_in) as the layer runs."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after))
        self.gain = 1 / math.sqrt(before * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, ...)."""
        return conv2d(features, self.gain * self.weight, self.bias, self.stride, self.padding)

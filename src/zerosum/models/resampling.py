"""Doubling and halving of maps with a low-pass filter, as convolutions that can be differentiated twice."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

FILTER = (1.0, 3.0, 3.0, 1.0)
"""Of StyleGAN2 and R3GAN, along each axis"""


class Resampling(nn.Module):
    """Filters with the outer product of (1, 3, 3, 1), normalized to the sum `gain` (Karras et al. 2020, StyleGAN2)."""

    kernel: Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor(FILTER)
        kernel = taps[:, None] * taps
        self.register_buffer("kernel", gain * kernel / kernel.sum(), persistent=False)

    def weight(self, features: Tensor) -> Tensor:
        """(C, 1, 4, 4): the kernel for each channel."""
        return self.kernel.to(features.dtype).expand(features.shape[1], 1, *self.kernel.shape)


class Blur(Resampling):
    """Only filters; `padding` zeros on each side."""

    def __init__(self, padding: int, gain: float = 1.0) -> None:
        super().__init__(gain)
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H + 2 padding - 3, W + 2 padding - 3)."""
        return conv2d(features, self.weight(features), padding=self.padding, groups=features.shape[1])


class Upsample(Resampling):
    """Zeros between the places, then the filter, four times as large."""

    def __init__(self) -> None:
        super().__init__(gain=4.0)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, 2 H, 2 W)."""
        # The kernel is symmetric, so a transposed convolution is zeros between the places and the filter.
        return conv_transpose2d(features, self.weight(features), stride=2, padding=1, groups=features.shape[1])


class Downsample(Resampling):
    """The filter, then every other place."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H / 2, W / 2)."""
        return conv2d(features, self.weight(features), stride=2, padding=1, groups=features.shape[1])

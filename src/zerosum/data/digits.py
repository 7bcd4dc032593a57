"""scikit-learn's handwritten digits: 1,797 real 8x8 scans that come with the library, no network needed."""

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from zerosum.data.images import ImageDataset, Split

HELD_OUT_EVERY = 5


class Digits(ImageDataset):
    """UCI optical digits (Alpaydin and Kaynak 1998), the part scikit-learn ships, with a border of one pixel,
    upsampled bicubically.

    The set has no official split: every fifth picture, 359 of them, is held out as `test`.
    """

    channels = 1
    classes = tuple("0123456789")

    def __init__(self, resolution: int = 32, root: str = "data", flip: bool = False) -> None:
        super().__init__(resolution, root, flip)

    def read(self, split: str) -> Split:
        """1,438 training or 359 held-out pictures."""
        from sklearn.datasets import load_digits  # a second of imports that other datasets do without

        digits = load_digits()
        held_out = np.arange(len(digits.target)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
        chosen = held_out if split == "test" else ~held_out
        scans = torch.from_numpy(digits.images[chosen]).float()[:, None] * (255 / 16)  # 0 .. 16 gray levels
        scans = pad(scans, (1, 1, 1, 1))  # the digits touch the border, and would touch each other in a grid
        size = (self.resolution, self.resolution)
        pixels = interpolate(scans, size, mode="bicubic", align_corners=False).round_().clamp_(0, 255)
        return Split(pixels.byte().permute(0, 2, 3, 1).contiguous().numpy(), digits.target[chosen].astype(np.int64))

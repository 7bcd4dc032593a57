"""scikit-learn's handwritten digits: 1,797 real 8x8 scans that come with the library, no network needed."""

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from zerosum.data.images import ImageDataset, Split, rows_of_split

HOLD_OUT_EVERY = 5
"""One image in this many is held out."""


class Digits(ImageDataset):
    """The UCI optical digits (Alpaydin and Kaynak 1998) that scikit-learn ships, upsampled bicubically.

    There is no official split: every fifth image, 359 in all, is held out as `test`.
    """

    channels = 1
    classes = tuple("0123456789")
    licence = "CC BY 4.0 (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository)"

    def __init__(self, resolution: int = 32, root: str = "data", flip: bool = False) -> None:
        super().__init__(resolution, root, flip)

    def read(self, split: str) -> Split:
        """1,438 training or 359 held-out images."""
        from sklearn.datasets import load_digits  # its import takes a second

        digits = load_digits()
        chosen = rows_of_split(len(digits.target), split, HOLD_OUT_EVERY)
        scans = torch.from_numpy(digits.images[chosen]).float()[:, None] * (255 / 16)  # 0 .. 16 gray levels
        scans = pad(scans, (1, 1, 1, 1))  # the digits touch the border, and would touch each other in a grid
        size = (self.resolution, self.resolution)
        pixels = interpolate(scans, size, mode="bicubic", align_corners=False).round_().clamp_(0, 255)
        return Split(pixels.byte().permute(0, 2, 3, 1).contiguous().numpy(), digits.target[chosen].astype(np.int64))

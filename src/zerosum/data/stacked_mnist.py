"""StackedMNIST: images with 1,000 modes that can be counted."""

import numpy as np
import torch

from zerosum.data.images import ImageDataset, Split
from zerosum.data.torchvision_datasets import MNIST
from zerosum.errors import UserError
from zerosum.randomness import generator

HELD_OUT = 26_000
"""Held-out images: as many as the samples of protocol=modes26k."""


class StackedMNIST(ImageDataset):
    """Three random MNIST digits, chosen by `seed`, as the channels of one image; its class is their number, 0 to 999.

    Metz et al. 2017, unrolled GANs, section 3.3.1. `count` training images are stacked from MNIST's training split,
    26,000 held-out ones from its test split.
    """

    channels = 3
    classes = tuple(f"{number:03d}" for number in range(1000))
    licence = MNIST.licence

    def __init__(
        self, resolution: int = 32, root: str = "data", count: int = 60_000, seed: int = 0, download: bool = True
    ) -> None:
        super().__init__(resolution, root)
        if count < 1:
            raise UserError(f"dataset.count={count} is no number of images: take 1 or more")
        self.count = count
        self.seed = seed
        self.digits = MNIST(resolution, root, download=download)

    def read(self, split: str) -> Split:
        """Triples of digits chosen with replacement."""
        digits, labels, *_ = self.digits.split(split)
        assert labels is not None
        count = self.count if split == "train" else HELD_OUT
        chosen = torch.randint(len(digits), (count, 3), generator=generator(self.seed, split, "stacked")).numpy()
        stacked = np.concatenate([digits[chosen[:, channel]] for channel in range(3)], axis=3)
        return Split(stacked, labels[chosen] @ np.array([100, 10, 1]))

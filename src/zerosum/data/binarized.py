"""Digits whose pixels are black or white, for models of binary images."""

from typing import ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from zerosum.data.dataset import Batch
from zerosum.data.images import ImageDataset, ShuffledImages, Split
from zerosum.data.torchvision_datasets import MNIST
from zerosum.drawing.grid import grid
from zerosum.randomness import generator

TRAINED = 1500
"""Of scikit-learn's 1,797 digits; the other 297 are held out"""
INK = 7
"""Of 16 gray levels; pixels above are white"""

Binarization = Literal["threshold", "static", "dynamic"]


class BinarizedDigits(ImageDataset):
    """scikit-learn's digits at their own 8x8 pixels, white where a pixel is above 7 of 16.

    The split is fixed: of numpy.random.RandomState(0).permutation(1797) the first 1,500 are for training, the last 297
    are held out. A model of independent pixels, with one pseudo-count for each value, has 0.568 bits a pixel there.
    """

    channels = 1
    classes = tuple("0123456789")
    levels: ClassVar[int] = 2

    def __init__(self, root: str = "data") -> None:
        super().__init__(8, root)

    def read(self, split: str) -> Split:
        """1,500 training or 297 held-out images."""
        from sklearn.datasets import load_digits  # its import takes a second

        digits = load_digits()
        order = np.random.RandomState(0).permutation(len(digits.target))
        chosen = order[:TRAINED] if split == "train" else order[TRAINED:]
        return Split(black_or_white(digits.images[chosen, :, :, None] > INK), digits.target[chosen].astype(np.int64))

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """A grid of the samples with a black border: the digits touch theirs, and would touch each other."""
        return grid(pad(samples, (1, 1, 1, 1), value=-1), columns)


class BinarizedMNIST(ImageDataset):
    """MNIST in black and white; figures compare only where `binarization` is the same.

    `threshold`: white where a pixel is at least half bright. `static`: each pixel is white with the probability of its
    brightness, drawn once by `seed`; this is another draw than the files of Larochelle and Murray (2011). `dynamic`:
    training images are drawn anew whenever they are shown; the held-out ones are those of static.
    """

    channels = 1
    classes = MNIST.classes
    levels: ClassVar[int] = 2

    def __init__(
        self,
        resolution: int = 28,
        root: str = "data",
        binarization: Binarization = "dynamic",
        seed: int = 0,
        download: bool = True,
    ) -> None:
        super().__init__(resolution, root)
        self.binarization = binarization
        self.seed = seed
        self.digits = MNIST(resolution, root, download=download)

    @property
    def name(self) -> str:
        """Cards tell the binarizations apart, and draws of other seeds."""
        drawn = "" if self.binarization == "threshold" or self.seed == 0 else f" seed {self.seed}"
        return f"BinarizedMNIST {self.binarization}{drawn}"

    def read(self, split: str) -> Split:
        """The official split, by the threshold or drawn once."""
        gray, labels, *_ = self.digits.split(split)
        if self.binarization == "threshold":
            return Split(black_or_white(gray >= 128), labels)
        random = generator(self.seed, split, "binarization")
        white = [torch.rand(part.shape, generator=random).numpy() * 255 < part for part in chunks(gray)]
        return Split(black_or_white(np.concatenate(white)), labels)

    def stream(self, seed: int, device: torch.device) -> ShuffledImages:
        """Training images in an order given by `seed`, drawn anew for each batch where that is dynamic."""
        if self.binarization == "dynamic":
            return DrawnImages(self.digits.split("train"), seed, device, flip=False)
        return super().stream(seed, device)


class DrawnImages(ShuffledImages):
    """Batches of gray images whose pixels are drawn white with the probability of their brightness."""

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """(B, C, H, W) of -1 and 1; the draw is a function of (seed, index, position)."""
        gray, condition = super().batch(index, size, shard)
        uniform = torch.rand(size, *gray.shape[1:], generator=generator(self.seed, index, "binarization"))
        white = uniform[shard].to(gray.device) < (gray + 1) / 2
        return Batch(torch.where(white, 1.0, -1.0), condition)


def black_or_white(white: np.ndarray) -> np.ndarray:
    """Booleans to 0 and 255."""
    return white.astype(np.uint8) * np.uint8(255)


def chunks(images: np.ndarray) -> list[np.ndarray]:
    """Parts of at most 4,096 images, whose random numbers need little memory."""
    return [images[start : start + 4096] for start in range(0, len(images), 4096)]

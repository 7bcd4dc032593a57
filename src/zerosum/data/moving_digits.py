"""Moving MNIST (Srivastava et al. 2015): digits that fly straight on and bounce off the walls."""

import numpy as np

from zerosum.data.images import ImageDataset, Split
from zerosum.data.torchvision_datasets import MNIST
from zerosum.errors import check_positive
from zerosum.randomness import derive

SIDE = 28
"""Of a digit"""
SPEED = 3.6
"""Pixels a frame"""


class MovingDigits(ImageDataset):
    """The frame that follows `past` frames, in which `digits` digits of MNIST move over 64 x 64 pixels.

    Places and directions are uniform; where digits overlap the brighter pixel is seen. `count` training sequences and a
    tenth as many held-out ones, are drawn by `seed` from the digits of their split.
    """

    channels = 1

    def __init__(
        self,
        past: int = 10,
        digits: int = 2,
        count: int = 5_000,
        root: str = "data",
        download: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(64, root)
        check_positive("dataset", past=past, digits=digits, count=count)
        self.past, self.per_frame, self.count, self.seed = past, digits, count, seed
        self.digits = MNIST(32, root, download=download)
        self.condition_shape = (past, self.resolution, self.resolution)

    def read(self, split: str) -> Split:
        random = np.random.default_rng(derive(self.seed, split, "moving"))
        count = self.count if split == "train" else max(1, self.count // 10)
        frames = np.zeros((count, self.past + 1, self.resolution, self.resolution), np.uint8)
        for _ in range(self.per_frame):
            self.add_digits(frames, split, random)
        moved = np.moveaxis(frames, 1, 3)
        return Split(moved[..., -1:].copy(), None, condition_images=moved[..., :-1].copy())

    def add_digits(self, frames: np.ndarray, split: str, random: np.random.Generator) -> None:
        """Draw one more digit into each of the sequences (N, T, H, W)."""
        images = self.digits.split(split).images[:, 2:30, 2:30, 0]  # without the padding to 32
        room = self.resolution - SIDE
        for sequence, row in zip(frames, random.integers(len(images), size=len(frames)), strict=True):
            start, angle = random.uniform(0, room, 2), random.uniform(0, 2 * np.pi)
            steps = SPEED * np.array([np.sin(angle), np.cos(angle)])
            for time, frame in enumerate(sequence):
                top, left = np.rint(bounce(start + time * steps, room)).astype(int)
                place = frame[top : top + SIDE, left : left + SIDE]
                np.maximum(place, images[row], out=place)


def bounce(place: np.ndarray, room: float) -> np.ndarray:
    """Places on an endless line, folded into [0, room]: room - |room - (x mod 2 room)|."""
    return room - np.abs(room - place % (2 * room))

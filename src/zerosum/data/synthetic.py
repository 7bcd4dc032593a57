"""Computed images, for tests and smoke runs."""

import numpy as np

from zerosum.data.images import ImageDataset, Split


class Synthetic(ImageDataset):
    """Bright squares on dark noise, with the quadrant as class; a function of the split and the arguments alone."""

    classes = ("top left", "top right", "bottom left", "bottom right")
    licence = "none needed: computed by zerosum"

    def __init__(
        self, resolution: int = 16, channels: int = 1, count: int = 256, root: str = "data", flip: bool = False
    ) -> None:
        super().__init__(resolution, root, flip)
        self.channels = channels
        self.count = count

    def read(self, split: str) -> Split:
        """`count` images of each split."""
        random = np.random.default_rng([self.splits.index(split), self.resolution, self.channels])
        images = random.integers(0, 64, (self.count, self.resolution, self.resolution, self.channels), dtype=np.uint8)
        labels = random.integers(0, 4, self.count)
        half = self.resolution // 2
        side = random.integers(half // 2, half, self.count)
        for image, label, length in zip(images, labels, side, strict=True):
            top, left = half * (label // 2), half * (label % 2)
            image[top : top + length, left : left + length] += 160
        return Split(images, labels.astype(np.int64))

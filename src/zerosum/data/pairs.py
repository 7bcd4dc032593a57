"""Images with the images that they are to be made from: what is known of the answer is computed from the answer."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from zerosum.data.images import ImageDataset, Split
from zerosum.data.torchvision_datasets import resample
from zerosum.errors import UserError, check_at_least

Condition = Callable[[np.ndarray], np.ndarray]
"""(N, H, W, C) uint8 to the images (N, h, w, c) uint8 that they are to be made from; its `str` names it on cards"""
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the brightness (ITU-R BT.601)"""
SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8
CHUNK = 4096


class Pairs(ImageDataset):
    """The images of a dataset, each to be made from what `condition` leaves of it; with `flip`, its own or that of the
    dataset, an image is mirrored together with its condition.
    """

    def __init__(self, of: ImageDataset, condition: Condition, root: str = "data", flip: bool = False) -> None:
        flip = flip or of.flip
        if flip and isinstance(condition, QuarterTurn):
            raise UserError(
                "dataset.flip=true: the quarter turn of a mirrored image is not the mirrored quarter turn: set"
                " dataset.flip and dataset.of.flip to false"
            )
        super().__init__(of.resolution, root, flip)
        self.of = of
        self.condition = condition
        self.channels = of.channels
        self.classes, self.splits = of.classes, of.splits
        empty = np.zeros((1, of.resolution, of.resolution, of.channels), np.uint8)
        height, width, channels = condition(empty).shape[1:]
        self.condition_shape = (channels, height, width)

    @property
    def name(self) -> str:
        """Such as `MNIST from 8x8 pixels`."""
        return f"{self.of.name} from {self.condition}"

    def read(self, split: str) -> Split:
        images, labels, *_ = self.of.split(split)
        return Split(images, labels, condition_images=self.condition(images))


class Unpaired(Pairs):
    """As `Pairs`, but no training image has its own condition: the first half is shown beside conditions of the second.

    The test split is paired, so that the answers can be compared with the truth.
    """

    @property
    def name(self) -> str:
        """Such as `MNIST from negatives, unpaired`."""
        return f"{super().name}, unpaired"

    def read(self, split: str) -> Split:
        whole = super().read(split)
        if split != "train":
            return whole
        images, labels, _, conditions = whole
        assert conditions is not None
        half = len(images) // 2
        return Split(
            images[:half], None if labels is None else labels[:half], condition_images=conditions[half:][:half]
        )


class Smaller:
    """The image at a lower resolution: bilinear, with antialiasing."""

    def __init__(self, resolution: int = 8) -> None:
        self.resolution = resolution

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if not 1 <= self.resolution <= images.shape[1]:
            raise UserError(f"dataset.condition.resolution={self.resolution}: choose 1 to {images.shape[1]}")
        chunks = torch.from_numpy(np.array(images)).split(CHUNK)
        return torch.cat([resample(chunk, self.resolution) for chunk in chunks]).contiguous().numpy()

    def __str__(self) -> str:
        return f"{self.resolution}x{self.resolution} pixels"


class Edges:
    """White where the gradient of the brightness by Sobel's masks is longer than `threshold` gray levels a pixel."""

    def __init__(self, threshold: float = 24.0) -> None:
        check_at_least("dataset.condition", 0, threshold=threshold)
        self.threshold = threshold

    def __call__(self, images: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(brightness(images)).float()[:, None]
        kernels = torch.stack([SOBEL, SOBEL.T])[:, None]
        slopes = [conv2d(pad(part, (1, 1, 1, 1), "replicate"), kernels).norm(dim=1) for part in planes.split(CHUNK)]
        return ((torch.cat(slopes) > self.threshold) * 255).byte()[..., None].numpy()

    def __str__(self) -> str:
        return f"edges above {self.threshold:g}"


class Gray:
    """The brightness."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return brightness(images)[..., None]

    def __str__(self) -> str:
        return "gray"


class Negative:
    """Black for white: its own inverse."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return 255 - images

    def __str__(self) -> str:
        return "negatives"


class QuarterTurn:
    """Turned by 90 degrees against the clock."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(images, axes=(1, 2)))

    def __str__(self) -> str:
        return "a quarter turn"


def brightness(images: np.ndarray) -> np.ndarray:
    """(N, H, W) uint8 of gray or RGB images (N, H, W, C)."""
    if images.shape[3] == 1:
        return images[..., 0]
    parts = [images[start : start + CHUNK] @ LUMA for start in range(0, len(images), CHUNK)]
    return np.concatenate(parts).round().astype(np.uint8)

"""Datasets of images, decoded once to uint8 arrays and read a batch at a time."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.drawing.grid import grid
from zerosum.errors import UserError
from zerosum.pixels import from_uint8
from zerosum.randomness import generator

SHARE_OF_DEVICE = 0.25
"""Images that need no more than this share of a GPU's free memory are kept on it."""


class Split(NamedTuple):
    """The decoded images of one split."""

    images: np.ndarray
    """(N, H, W, C) uint8, in memory or memory-mapped"""
    labels: np.ndarray | None
    """(N,) int64"""
    attributes: np.ndarray | None = None
    """(N, A) float32"""
    condition_images: np.ndarray | None = None
    """(N, H, W, C) uint8, of any size: the image that each is to be made from"""

    @property
    def condition(self) -> np.ndarray | None:
        """What a conditional model is told of each image: its condition image, else its attributes, else its label."""
        given = (self.condition_images, self.attributes, self.labels)
        return next((each for each in given if each is not None), None)


class ImageDataset(ABC):
    """Images in splits; a subclass reads one split at a time.

    `resolution` is the height and width after reading; `root` is the folder of the files and the caches;
    `flip` mirrors each training image left to right with probability 1/2 every time it is shown.
    """

    channels: int
    classes: tuple[str, ...] | None = None
    attribute_names: tuple[str, ...] | None = None
    condition_shape: tuple[int, ...] | None = None
    licence: str | None = None
    """Of the images, for model cards; None where it is not known"""
    splits: tuple[str, ...] = ("train", "test")
    samples_to_draw = 64

    def __init__(self, resolution: int, root: str = "data", flip: bool = False) -> None:
        self.resolution = resolution
        self.root = Path(root)
        self.flip = flip
        self._splits: dict[str, Split] = {}

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(C, H, W)"""
        return (self.channels, self.resolution, self.resolution)

    @property
    def num_classes(self) -> int | None:
        """None for data without labels."""
        return None if self.classes is None else len(self.classes)

    @property
    def num_attributes(self) -> int | None:
        """None for data without attributes."""
        return None if self.attribute_names is None else len(self.attribute_names)

    @property
    def name(self) -> str:
        """The name that metric cards carry."""
        return type(self).__name__

    @property
    def cache(self) -> Path:
        """The folder of everything computed from this dataset."""
        return self.root / "cache"

    @abstractmethod
    def read(self, split: str) -> Split:
        """Decode one split; the UserError for missing files names the folder and how to get them."""

    def prepare(self) -> None:
        """Decode the training split; UserError if files are missing."""
        self.split("train")

    def split(self, name: str) -> Split:
        """The decoded split, read on first use."""
        if name not in self.splits:
            raise UserError(f"{self.name} has no split {name!r}: choose one of {', '.join(self.splits)}")
        if name not in self._splits:
            self._splits[name] = self.check_split(name, self.read(name))
        return self._splits[name]

    def check_split(self, name: str, split: Split) -> Split:
        """The split; UserError if its images, labels or attributes are not what the dataset says."""
        images, labels, attributes, condition_images = split
        shape = (self.resolution, self.resolution, self.channels)
        if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
            raise UserError(f"{self.name} read {images.dtype} {images.shape} as {name}: return uint8 (N, *{shape})")
        if attributes is not None:
            size = (len(images), self.num_attributes or 0)
            if attributes.dtype != np.float32 or attributes.shape != size or not np.isfinite(attributes).all():
                raise UserError(
                    f"{self.name} read attributes {attributes.dtype} {attributes.shape} as {name}: return finite"
                    f" float32 {size}, and set `attribute_names` to their names"
                )
        self.check_condition_images(name, condition_images, len(images))
        if labels is None:
            return split
        if self.classes is None:
            raise UserError(f"{self.name} has labels, but no classes: set its `classes` to their names, or return None")
        if len(labels) != len(images):
            raise UserError(f"{self.name} read {len(labels):,} labels for {len(images):,} images as {name}")
        if not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise UserError(
                f"{self.name} read labels from {labels.min()} to {labels.max()} as {name}: return indices into"
                f" `classes`, from 0 to {len(self.classes) - 1}"
            )
        return split

    def check_condition_images(self, name: str, found: np.ndarray | None, count: int) -> None:
        """UserError if a split's condition images are not what the dataset says."""
        if found is None and self.condition_shape is None:
            return
        channels, *places = self.condition_shape or (0,)
        size = (count, *places, channels)
        if found is None or found.dtype != np.uint8 or found.shape != size:
            raise UserError(
                f"{self.name} read as condition images of {name} {None if found is None else found.shape}: return uint8"
                f" (N, h, w, c) as its condition_shape (c, h, w) says, {self.condition_shape}"
            )

    def batches(self, split: str, size: int) -> Iterator[Tensor]:
        """The split in order, (B, C, H, W) uint8."""
        images = self.split(split).images
        for start in range(0, len(images), size):
            yield torch.from_numpy(np.array(images[start : start + size])).permute(0, 3, 1, 2)

    def fingerprint(self, split: str) -> str:
        """A hash of the split's pixels, labels and attributes, part of the names of caches.

        Of condition images nothing is cached, so that features of the same images are computed once for all of them.
        """
        images, labels, attributes, _ = self.split(split)
        digest = hashlib.blake2b(repr(images.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(images).data)
        for part in (labels, attributes):
            digest.update(b"" if part is None else part.tobytes())
        return digest.hexdigest()

    def stream(self, seed: int, device: torch.device) -> "ShuffledImages":
        """Training images in an order given by `seed`."""
        return ShuffledImages(self.split("train"), seed, device, self.flip)

    def count_labels(self) -> np.ndarray:
        """(num_classes,), of the training split."""
        labels = self.split("train").labels
        assert labels is not None and self.num_classes is not None, "the dataset has no labels"
        return np.bincount(labels, minlength=self.num_classes)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """A grid of the samples."""
        return grid(samples, columns)


def rows_of_split(count: int, split: str, every: int) -> np.ndarray:
    """Indices of a split of `count` images without splits of their own: every `every`-th one is held out as test."""
    held_out = np.arange(count) % every == every - 1
    return np.flatnonzero(held_out if split == "test" else ~held_out)


class ShuffledImages:
    """Batches without replacement: position p of the stream is entry p % N of the permutation of epoch p // N."""

    def __init__(self, split: Split, seed: int, device: torch.device, flip: bool) -> None:
        self.seed = seed
        self.device = device
        self.flip = flip
        self.images = to_device(split.images, device)
        self.condition = None if split.condition is None else torch.from_numpy(split.condition).to(device)
        self._orders: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.images)

    def order(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The permutation of an epoch, and which of its entries are mirrored."""
        if epoch not in self._orders:
            random = generator(self.seed, epoch, "order")
            permutation = torch.randperm(len(self), generator=random)
            mirrored = torch.rand(len(self), generator=random) < 0.5
            self._orders = {old: order for old, order in self._orders.items() if old == epoch - 1}
            self._orders[epoch] = (permutation, mirrored)
        return self._orders[epoch]

    def indices(self, index: int, size: int, shard: slice) -> tuple[Tensor, Tensor]:
        """Indices into the split, and which are mirrored, for the rows `shard` of a batch."""
        first = index * size
        start, stop = first + shard.start, first + shard.stop
        parts = []
        while start < stop:
            epoch, entry = divmod(start, len(self))
            taken = min(stop - start, len(self) - entry)
            parts.append([part[entry : entry + taken] for part in self.order(epoch)])
            start += taken
        permutation, mirrored = (torch.cat(part) for part in zip(*parts, strict=True))
        return permutation, mirrored

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """(B, C, H, W) in [-1, 1], channels last in memory."""
        chosen, mirrored = self.indices(index, size, shard)
        if isinstance(self.images, Tensor):
            chosen = chosen.to(self.device)
            pixels = self.images[chosen]
        else:
            pixels = torch.from_numpy(self.images[chosen.numpy()]).to(self.device)
        images = from_uint8(pixels.permute(0, 3, 1, 2))
        condition = None if self.condition is None else to_condition(self.condition[chosen.to(self.device)])
        if self.flip:
            images = flip_some(images, mirrored)
            condition = flip_some(condition, mirrored) if condition is not None and condition.dim() == 4 else condition
        return Batch(images, condition)


def flip_some(images: Tensor, mirrored: Tensor) -> Tensor:
    """The images, those where `mirrored` (B,) is true from left to right."""
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def to_condition(stored: Tensor) -> Tensor:
    """Conditions as networks take them: images (B, H, W, C) uint8 become (B, C, H, W) in [-1, 1], others stay."""
    return from_uint8(stored.permute(0, 3, 1, 2)) if stored.dtype == torch.uint8 else stored


def to_device(images: np.ndarray, device: torch.device) -> Tensor | np.ndarray:
    """The images as a tensor on `device` if they fit there, else the array, which may be memory-mapped."""
    if device.type == "cuda" and images.nbytes > SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
        return images
    if isinstance(images, np.memmap) and device.type != "cuda":
        return images
    return torch.from_numpy(np.array(images) if isinstance(images, np.memmap) else images).to(device)

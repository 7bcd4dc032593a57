"""Any torch Dataset of images as a dataset of zerosum."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zerosum.data.images import ImageDataset, Split, rows_of_split
from zerosum.errors import UserError

HELD_OUT_EVERY = 10


class TorchDataset(ImageDataset):
    """Map-style torch Datasets whose items are an image, or an image and a label.

    An image is a PIL image, a uint8 array (H, W) or (H, W, C), a uint8 tensor (C, H, W), or a float tensor (C, H, W) in
    [0, 1] as torchvision's ToTensor makes it. It must be `resolution` square: resizing is the Dataset's own transform.
    Without `test`, every tenth image of `train` is held out. Everything is read once, into memory.
    """

    splits = ("train", "test")

    def __init__(
        self,
        train: Any,
        resolution: int,
        channels: int,
        test: Any = None,
        classes: Sequence[str] | None = None,
        root: str = "data",
        flip: bool = False,
    ) -> None:
        super().__init__(resolution, root, flip)
        for dataset in (train, test):
            if dataset is not None and not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
                raise UserError(
                    f"dataset: {type(dataset).__name__} has no length or no items; give a map-style Dataset"
                )
        self.train, self.test = train, test
        self.channels = channels
        self.classes = None if classes is None else tuple(classes)

    @property
    def name(self) -> str:
        """The name of the wrapped class."""
        return type(self.train).__name__

    def read(self, split: str) -> Split:
        """Every item of a split, in order."""
        items = self.items(split)
        labelled = bool(items) and isinstance(items[0], tuple | list)
        images = [self.to_array(item[0] if labelled else item) for item in items]
        if not images:
            raise UserError(f"dataset: the {split} split of {self.name} is empty; give it at least one image")
        labels = np.array([int(item[1]) for item in items], dtype=np.int64) if labelled and self.classes else None
        if labels is not None and not 0 <= labels.min() <= labels.max() < len(self.classes or ()):
            raise UserError(
                f"dataset.classes names {len(self.classes or ())} classes, but {self.name} has labels from"
                f" {labels.min()} to {labels.max()}: name as many classes as there are labels"
            )
        return Split(np.stack(images), labels)

    def items(self, split: str) -> list[Any]:
        """The items of a split, as the Datasets give them."""
        if self.test is not None:
            dataset = self.train if split == "train" else self.test
            return [dataset[place] for place in range(len(dataset))]
        return [self.train[place] for place in rows_of_split(len(self.train), split, HELD_OUT_EVERY).tolist()]

    def to_array(self, image: Any) -> np.ndarray:
        """(resolution, resolution, channels) uint8."""
        if isinstance(image, Image.Image):
            image = np.asarray(image.convert("L" if self.channels == 1 else "RGB"))
        if isinstance(image, Tensor):
            image = image.movedim(0, -1) if image.dim() == 3 else image
            image = from_unit_interval(image, self.name) if image.is_floating_point() else image
            image = image.numpy()
        array = image[:, :, None] if np.ndim(image) == 2 else image
        if np.shape(array) != (self.resolution, self.resolution, self.channels) or array.dtype != np.uint8:
            raise UserError(
                f"dataset: {self.name} has an image of shape {np.shape(array)} and type {getattr(array, 'dtype', '?')},"
                f" not ({self.resolution}, {self.resolution}, {self.channels}) uint8: resize it in the Dataset's"
                " transform, or set dataset.resolution and dataset.channels"
            )
        return array


def from_unit_interval(image: Tensor, name: str) -> Tensor:
    """[0, 1] to 0 .. 255."""
    if not 0 <= float(image.min()) <= float(image.max()) <= 1:
        raise UserError(
            f"dataset: {name} has float images from {float(image.min()):.3g} to {float(image.max()):.3g}; give them in"
            " [0, 1], without a Normalize transform"
        )
    return (image * 255).round().to(torch.uint8)

"""Images that another program saved together: a .npz file, or a folder of Hugging Face's datasets."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from zerosum.data.image_decoding import ResizeOptions, to_array
from zerosum.data.images import ImageDataset, Split, rows_of_split
from zerosum.errors import UserError, one_line

HELD_OUT_EVERY = 10
WHITE = (255, 255, 255)
MOST_CLASSES = 100_000


class StoredImages(ImageDataset):
    """Images of any size and mode from `path`, brought to `resolution` when they are read; every tenth is held out.

    `fit` is crop (center square) or resize (aspect ignored).
    """

    def __init__(
        self,
        path: str,
        resolution: int = 32,
        channels: int = 3,
        fit: Literal["crop", "resize"] = "crop",
        root: str = "data",
        flip: bool = False,
    ) -> None:
        super().__init__(resolution, root, flip)
        if resolution < 1 or channels not in (1, 3):
            raise UserError(
                f"dataset.resolution={resolution} dataset.channels={channels}: choose a resolution of 1 or more, and 1"
                " channel for gray or 3 for color"
            )
        self.path = Path(path).expanduser()
        self.channels = channels
        self.resize_options = ResizeOptions(resolution, channels, fit, WHITE)

    @property
    def name(self) -> str:
        """The name of the file or folder."""
        return self.path.stem

    @property
    @abstractmethod
    def labels(self) -> np.ndarray | None:
        """(N,) int64 of all images; None if there are none."""

    @abstractmethod
    def images(self, rows: np.ndarray) -> list[Image.Image]:
        """The images at these rows."""

    def read(self, split: str) -> Split:
        """Every image of a split, in order."""
        rows = rows_of_split(self.count, split, HELD_OUT_EVERY)
        if len(rows) == 0:
            raise UserError(f"{self.path} has {self.count} images, and the first held out is the tenth: add more")
        images = np.stack([to_array(image, self.resize_options) for image in self.images(rows)])
        return Split(images, None if self.labels is None else self.labels[rows])

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of all images."""


def check_labels(labels: np.ndarray, count: int, path: Path) -> None:
    """UserError unless these are `count` whole numbers that number the classes from 0."""
    are_whole = labels.shape == (count,) and labels.dtype.kind in "iu"
    if not are_whole or not 0 <= labels.min() <= labels.max() < MOST_CLASSES:
        raise UserError(
            f"dataset.path={path}: labels are not {count:,} whole numbers from 0 to at most {MOST_CLASSES - 1:,}"
        )


class Npz(StoredImages):
    """The arrays `images`, uint8 (N, H, W) or (N, H, W, C), and, if there is one, `labels` (N,) of a .npz file."""

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """What the file holds, checked; nothing in it is unpickled."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                found = {name: file[name] for name in ("images", "labels") if name in file.files}
                names = file.files
        except Exception as error:  # numpy and zipfile raise whatever the damage makes them
            raise UserError(f"dataset.path={self.path} is no .npz file that can be read: {one_line(error)}") from error
        images, labels = found.get("images"), found.get("labels")
        if images is None or images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
            raise UserError(
                f"dataset.path={self.path} needs an array `images`, uint8 (N, H, W) or (N, H, W, C); it has"
                f" {', '.join(names) or 'nothing'}"
            )
        if images.ndim == 4 and images.shape[3] not in (1, 3, 4):
            raise UserError(
                f"dataset.path={self.path}: images {images.shape} are not (N, H, W, C): move the channels last"
            )
        if labels is not None:
            check_labels(labels, len(images), self.path)
        return found

    @property
    def count(self) -> int:
        """Number of all images."""
        return len(self.arrays["images"])

    @property
    def labels(self) -> np.ndarray | None:
        """(N,) int64; None without the array."""
        found = self.arrays.get("labels")
        return None if found is None else found.astype(np.int64)

    @cached_property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The labels as words; None without labels."""
        return None if self.labels is None else tuple(map(str, range(int(self.labels.max()) + 1)))

    def images(self, rows: np.ndarray) -> list[Image.Image]:
        """The images at these rows."""
        chosen = self.arrays["images"][rows]
        return [Image.fromarray(image[:, :, 0] if image.shape[2:] == (1,) else image) for image in chosen]


class HuggingFace(StoredImages):
    """A dataset that Hugging Face's `datasets` saved by save_to_disk: column `image`, and `label` if there is one.

    Of several splits `train` is read.
    """

    @cached_property
    def table(self) -> Any:
        """The dataset; UserError if the library or the folder is missing."""
        try:
            from datasets import DatasetDict, load_from_disk
        except ImportError as error:
            raise UserError("dataset=hugging_face needs the package datasets: pip install datasets") from error
        try:
            found = load_from_disk(str(self.path))
            found = found["train"] if isinstance(found, DatasetDict) else found
        except Exception as error:  # the library raises whatever the damage makes it
            raise UserError(
                f"dataset.path={self.path} is no folder of datasets' save_to_disk with a split train: {one_line(error)}"
            ) from error
        if "image" not in found.column_names:
            raise UserError(f"dataset.path={self.path} has no column `image`, only {', '.join(found.column_names)}")
        return found

    @property
    def count(self) -> int:
        """Number of all images."""
        return len(self.table)

    @cached_property
    def labels(self) -> np.ndarray | None:  # type: ignore[override]
        """(N,) int64; None without the column."""
        if "label" not in self.table.column_names:
            return None
        labels = np.array(self.table["label"])
        check_labels(labels, self.count, self.path)
        return labels.astype(np.int64)

    @cached_property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The names that the column has; else its numbers as words; None without labels."""
        if self.labels is None:
            return None
        names = getattr(self.table.features["label"], "names", None)
        return tuple(names or map(str, range(int(self.labels.max()) + 1)))

    def images(self, rows: np.ndarray) -> list[Image.Image]:
        """The images at these rows; UserError at the first that cannot be decoded."""
        return [self.image(int(row)) for row in rows]

    def image(self, row: int) -> Image.Image:
        """One image."""
        try:
            found = self.table[row]["image"]
        except Exception as error:  # a damaged image can make the decoder raise anything
            raise UserError(f"dataset.path={self.path}: image {row} cannot be read: {one_line(error)}") from error
        if not isinstance(found, Image.Image):
            raise UserError(
                f"dataset.path={self.path}: row {row} of `image` holds {type(found).__name__}, not an image"
            )
        return found

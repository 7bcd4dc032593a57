"""MNIST, Fashion-MNIST and CIFAR-10 as torchvision stores and downloads them."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate, pad
from torchvision import datasets

from zerosum.data.idx_files import check_idx_files
from zerosum.data.images import ImageDataset, Split
from zerosum.errors import UserError, one_line


class TorchvisionImages(ImageDataset):
    """A torchvision dataset with `data` and `targets` and the splits train and test.

    `download` fetches files that are missing in `root`. Images up to 4 pixels smaller than `resolution` are padded
    with black (28 to 32, as is usual for MNIST), others are resampled.
    """

    source: ClassVar[type[Any]]
    folder: ClassVar[str]

    def __init__(self, resolution: int = 32, root: str = "data", flip: bool = False, download: bool = True) -> None:
        super().__init__(resolution, root, flip)
        self.download = download

    def read(self, split: str) -> Split:
        """The official split, resized."""
        official = self.open(train=split == "train")
        pixels = torch.as_tensor(official.data).reshape(len(official.data), *official.data.shape[1:3], self.channels)
        labels = np.asarray(official.targets, dtype=np.int64)
        return Split(np.ascontiguousarray(resize(pixels, self.resolution).numpy()), labels)

    def open(self, train: bool) -> Any:
        """torchvision's object, downloaded if it is missing; the UserError names the folder."""
        try:
            self.check_files(train)
            return self.source(self.root, train=train)
        except RuntimeError:
            return self.fetch(train)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read ({error.strerror}): make it readable") from error

    def check_files(self, train: bool) -> None:
        """UserError if files are there, but damaged in a way that torchvision does not notice."""

    def fetch(self, train: bool) -> Any:
        """Download the dataset; UserError says how to get the files by hand."""
        place = Path(self.root).absolute() / self.folder
        if not self.download:
            raise UserError(f"{self.name} is not in {place}: put its files there, or set dataset.download=true")
        try:
            return self.source(self.root, train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{self.name} is not in {place} and could not be downloaded ({one_line(error)}): put torchvision's"
                " files there, or set dataset.root to the folder that has them"
            ) from error


def resize(pixels: torch.Tensor, resolution: int) -> torch.Tensor:
    """(N, H, W, C) uint8 to (N, resolution, resolution, C): padded with 0 by up to 4 pixels, else resampled."""
    missing = resolution - pixels.shape[1]
    if missing == 0:
        return pixels
    if 0 < missing <= 4:
        left = missing // 2
        return pad(pixels, (0, 0, left, missing - left, left, missing - left))
    chunks = [resample(chunk, resolution) for chunk in pixels.split(4096)]
    return torch.cat(chunks)


def resample(pixels: torch.Tensor, resolution: int) -> torch.Tensor:
    """(N, H, W, C) uint8 to (N, resolution, resolution, C), bilinear with antialiasing."""
    planes = pixels.permute(0, 3, 1, 2).float()
    planes = interpolate(planes, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False)
    return planes.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1)


class IdxImages(TorchvisionImages):
    """28x28 gray images in MNIST's four IDX files."""

    channels = 1

    def check_files(self, train: bool) -> None:
        """UserError naming the IDX file whose content does not fit."""
        images, labels = (
            Path(self.root) / self.folder / f"{'train' if train else 't10k'}-{content}-ubyte"
            for content in ("images-idx3", "labels-idx1")
        )
        assert self.classes is not None
        if images.is_file() and labels.is_file():
            check_idx_files(images, labels, len(self.classes))


class MNIST(IdxImages):
    """60,000 + 10,000 handwritten digits, 28x28 gray (LeCun et al. 1998)."""

    classes = tuple("0123456789")
    licence = "CC BY-SA 3.0 (Y. LeCun and C. Cortes)"
    source = datasets.MNIST
    folder = "MNIST/raw"


class FashionMNIST(IdxImages):
    """60,000 + 10,000 pieces of clothing, 28x28 gray (Xiao et al. 2017)."""

    classes = tuple(datasets.FashionMNIST.classes)
    licence = "MIT (Zalando SE)"
    source = datasets.FashionMNIST
    folder = "FashionMNIST/raw"


class CIFAR10(TorchvisionImages):
    """50,000 + 10,000 photographs of ten classes, 32x32 RGB (Krizhevsky 2009)."""

    channels = 3
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    licence = "none stated by its authors, who ask to cite Krizhevsky 2009; photographs from the web"
    source = datasets.CIFAR10
    folder = "cifar-10-batches-py"

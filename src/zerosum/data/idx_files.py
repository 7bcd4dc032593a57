"""Checks the IDX files of MNIST and its like, which torchvision reads without a look at their lengths."""

import math
from pathlib import Path
from typing import NoReturn

import numpy as np

from zerosum.errors import UserError

UNSIGNED_BYTES = 8
"""IDX's code of the type uint8"""


def check_idx_files(images: Path, labels: Path, num_classes: int) -> None:
    """UserError, which names the file, unless they hold equally many square images and labels below `num_classes`."""
    count, height, width = read_idx_shape(images, 3)
    if count == 0 or height != width or height == 0:
        raise_damaged(images, f"it holds {count:,} images of {height}x{width} pixels")
    (label_count,) = read_idx_shape(labels, 1)
    if label_count != count:
        raise_damaged(labels, f"it holds {label_count:,} labels for {count:,} images")
    largest = int(np.fromfile(labels, dtype=np.uint8, offset=8).max())
    if largest >= num_classes:
        raise_damaged(labels, f"it holds the label {largest}, but classes are 0 to {num_classes - 1}")


def read_idx_shape(path: Path, dimensions: int) -> tuple[int, ...]:
    """The shape in an IDX header: 0, 0, the type, the number of dimensions, then each of them as big-endian int32."""
    length = 4 * (1 + dimensions)
    with path.open("rb") as file:
        header = file.read(length)
    if len(header) < length or header[:4] != bytes((0, 0, UNSIGNED_BYTES, dimensions)):
        raise_damaged(path, f"it does not start like an IDX file of {dimensions} dimensions")
    shape = tuple(np.frombuffer(header, dtype=">i4", offset=4).tolist())
    size, promised = path.stat().st_size, length + math.prod(shape)
    if min(shape) < 0 or size != promised:
        raise_damaged(path, f"it has {size:,} bytes, its header promises {promised:,}")
    return shape


def raise_damaged(path: Path, reason: str) -> NoReturn:
    """UserError for an IDX file that cannot be used."""
    raise UserError(f"{path} is damaged ({reason}): delete it, and dataset.download=true fetches it again")

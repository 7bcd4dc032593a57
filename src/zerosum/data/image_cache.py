"""Decoded images on disk: an .npy that later runs only read, and a .json with its checksum and the broken files."""

import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from zerosum.data.image_decoding import ResizeOptions, decode_with_progress
from zerosum.errors import one_line
from zerosum.files import clear_partial, save_whole

log = logging.getLogger("zerosum")

IN_MEMORY = 2**30
"""Bytes up to which a cache is loaded into memory; a larger one is memory-mapped"""
HASH_BLOCK = 2**24
"""Bytes of one block of the checksum; several threads hash a block each."""
ABANDONED_AFTER = 3600
"""Seconds without a write after which a temporary file is taken for that of a killed process."""


class Decoded(NamedTuple):
    """The content of a cache."""

    images: np.ndarray
    """(N, H, W, C) uint8 in the order of the file names, without the broken ones"""
    broken: dict[str, str]
    """why each file that was left out could not be read"""


class AllBrokenError(Exception):
    """No file could be read, so there is nothing to cache."""


def read_cache(place: Path, count: int, options: ResizeOptions) -> Decoded | None:
    """The decoded images of `count` files; None if there is no cache at `place` or it is damaged, which is logged."""
    try:
        return read_checked(place, count, options) if place.exists() else None
    except Exception as error:  # readers raise anything on damaged files
        log.warning("%s is damaged (%s) and is made anew.", place, one_line(error))
        return None


def read_checked(place: Path, count: int, options: ResizeOptions) -> Decoded:
    """The cache at `place`; raises ValueError, or what the readers raise, if it is damaged."""
    record = place.with_suffix(".json")
    if not (place.is_file() and record.is_file()):
        raise ValueError("no regular file, or without its .json")  # opening a pipe would wait for ever
    content = json.loads(record.read_text(encoding="utf-8"))
    broken: dict[str, str] = content["broken"]
    if not all(isinstance(reason, str) for reason in broken.values()):
        raise ValueError("reasons in its .json are no text")
    images: np.ndarray = np.load(place, mmap_mode="r" if place.stat().st_size >= IN_MEMORY else None)
    shape = (count - len(broken), options.resolution, options.resolution, options.channels)
    if images.dtype != np.uint8 or images.shape != shape or not images.flags.c_contiguous:
        raise ValueError(f"{images.dtype} {images.shape} instead of uint8 {shape}")
    if checksum(images, broken) != content["checksum"]:
        raise ValueError("its checksum differs")
    return Decoded(images, broken)


def checksum(images: np.ndarray, broken: dict[str, str]) -> str:
    """BLAKE2b over the broken files and the BLAKE2b digests of the blocks of C-contiguous images."""
    pixels = images.reshape(-1)
    blocks = [pixels[start : start + HASH_BLOCK] for start in range(0, len(pixels), HASH_BLOCK)]
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda block: hashlib.blake2b(block.data, digest_size=16).digest(), blocks)
        return hashlib.blake2b(b"".join(digests) + json.dumps(broken).encode(), digest_size=16).hexdigest()


def write_cache(place: Path, folder: Path, names: Sequence[str], options: ResizeOptions) -> dict[str, str]:
    """Decode the files `names` of `folder` to `place` and return why the broken ones could not be read.

    Nothing is kept if all are broken; UserError if `place` cannot be written.
    """
    broken: dict[str, str] = {}

    def write(partial: Path) -> None:
        with partial.open("xb") as file:
            broken.update(write_array(file, folder, names, options))
        if len(broken) == len(names):
            raise AllBrokenError
        record = json.dumps({"checksum": checksum(np.load(partial, mmap_mode="r"), broken), "broken": broken})
        save_whole(place.with_suffix(".json"), lambda text: text.write_text(record, encoding="utf-8"))

    clear_partial(place.parent, ABANDONED_AFTER)
    with suppress(AllBrokenError):
        save_whole(place, write, size=len(names) * options.resolution**2 * options.channels)
    return broken


def write_array(file: BinaryIO, folder: Path, names: Sequence[str], options: ResizeOptions) -> dict[str, str]:
    """Write an .npy of the images that can be read, and return why the others cannot.

    It is written, not memory-mapped: a full disk raises OSError here, but kills a process that writes to a mapped page.
    """
    broken = {}
    write_header(file, len(names), options)
    with closing(decode_with_progress(folder, names, options)) as results:
        for name, pixels in zip(names, results, strict=True):
            if isinstance(pixels, str):
                broken[name] = pixels
            else:
                file.write(pixels.tobytes())
    file.seek(0)
    write_header(file, len(names) - len(broken), options)
    return broken


def write_header(file: BinaryIO, count: int, options: ResizeOptions) -> None:
    """The .npy header of `count` images; numpy pads it to a length that does not depend on `count`."""
    shape = (count, options.resolution, options.resolution, options.channels)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})

"""Decodes image files of any size and mode to uint8 arrays of one shape, on several threads."""

import os
import stat
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from zerosum.console import track
from zerosum.data.image_files import printable_path
from zerosum.errors import one_line, printable

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Pillow's other readers are never tried, whatever a file contains."""
MOST_THREADS = 16


class ResizeOptions(NamedTuple):
    """How an image of any size and mode becomes (resolution, resolution, channels) uint8."""

    resolution: int
    channels: int
    fit: str
    """crop (scale the short side, keep the center) or resize (both sides, whatever the aspect)"""
    background: tuple[int, int, int]
    """RGB under transparent pixels"""


def decode_with_progress(
    folder: Path, names: Sequence[str], options: ResizeOptions
) -> Generator[np.ndarray | str, None, None]:
    """`decode_all` under a progress bar; decompression bombs are errors, Pillow's other warnings hidden."""
    results = decode_all([folder / name for name in names], options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield from track(results, f"Decoding {printable_path(folder)}", len(names))


def decode_all(paths: Sequence[Path], options: ResizeOptions) -> Iterator[np.ndarray | str]:
    """`try_decode` of each path in order, by threads that run a few files ahead, so that memory stays bounded."""
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    ahead: deque[Future[np.ndarray | str]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for path in paths:
            ahead.append(pool.submit(try_decode, path, options))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def try_decode(path: Path, options: ResizeOptions) -> np.ndarray | str:
    """The pixels, or in a few words why the file cannot be read."""
    try:
        return decode(path, options)
    except UnidentifiedImageError:
        return "not an image"
    except Exception as error:  # a damaged file can make a decoder raise anything
        return getattr(error, "strerror", None) or printable(one_line(error))


def decode(path: Path, options: ResizeOptions) -> np.ndarray:
    """(resolution, resolution, channels) uint8 of the first frame; raises what Pillow raises on a broken file."""
    side, status = options.resolution, path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a pipe or a device, not a file")  # reading it may never end
    if status.st_size == 0:
        raise ValueError("an empty file")
    with Image.open(path, formats=FORMATS) as image:
        image.draft(None, (2 * side, 2 * side))  # JPEG alone can decode smaller: here no smaller than twice `side`
        ImageOps.exif_transpose(image, in_place=True)
        return to_array(image, options)


def to_array(image: Image.Image, options: ResizeOptions) -> np.ndarray:
    """(resolution, resolution, channels) uint8 of an opened image of any size and mode."""
    side, opaque = options.resolution, remove_transparency(image, options)
    box = kept_box(opaque.size, options.fit)
    resized = opaque.resize((side, side), Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    return np.asarray(resized).reshape(side, side, options.channels)


def remove_transparency(image: Image.Image, options: ResizeOptions) -> Image.Image:
    """Mode L or RGB, with transparent pixels blended with the background."""
    if image.mode.startswith(("I", "F")):
        image = to_8_bit(image)
    if image.has_transparency_data:
        colors = image.convert("RGBA")
        image = Image.new("RGB", colors.size, options.background)
        image.paste(colors, mask=colors)
    return image.convert("L" if options.channels == 1 else "RGB")


def to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit gray, 0 .. 65535, to the nearest of 0 .. 255: Pillow's own conversion clips at 255."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels have no known range")
    return Image.fromarray(((values.astype(np.int32) + 128) // 257).astype(np.uint8))


def kept_box(size: tuple[int, int], fit: str) -> tuple[int, int, int, int]:
    """The part of an image that is kept, on whole pixels: half a pixel's shift would blur an image that fits."""
    width, height = size
    if fit == "resize":
        return (0, 0, width, height)
    side = min(size)
    left, top = (width - side) // 2, (height - side) // 2
    return (left, top, left + side, top + side)

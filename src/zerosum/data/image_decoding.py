"""Picture files decoded once, to one .npy that later runs only map."""

import json
import os
import stat
import uuid
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from zerosum.data.image_files import shown
from zerosum.errors import UserError, one_line, printable

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Pillow's other readers are kept away from files that only claim to be one of these."""
IN_MEMORY = 2**30
"""Bytes: a smaller array is loaded, a larger one memory-mapped."""
MOST_THREADS = 16


class ResizeOptions(NamedTuple):
    """How a picture of any size and mode becomes (resolution, resolution, channels) uint8."""

    resolution: int
    channels: int
    fit: str
    """crop (scale the short side, keep the center) or resize (both sides, whatever the aspect)"""
    background: tuple[int, int, int]
    """RGB under transparent pixels"""


class Decoded(NamedTuple):
    """What a cache holds."""

    images: np.ndarray
    """(N, H, W, C) uint8, in the order of the file names, without the broken"""
    broken: dict[str, str]
    """Why each file that was left out could not be read."""


def stored(place: Path, count: int) -> Decoded | None:
    """The cache of `count` files at `place`, None where there is none or it is damaged and must be made anew."""
    try:
        broken = json.loads(place.with_suffix(".json").read_text())
        images: np.ndarray = np.load(place, mmap_mode="r" if place.stat().st_size >= IN_MEMORY else None)
        whole = images.dtype == np.uint8 and images.ndim == 4 and len(images) + len(broken) == count
        said = all(isinstance(reason, str) for reason in broken.values())
    except Exception:  # readers raise whatever the damage makes them
        return None
    return Decoded(images, broken) if whole and said else None


def store(place: Path, folder: Path, names: Sequence[str], view: ResizeOptions) -> dict[str, str]:
    """Decode `names` of `folder` to `place`, whole or not at all; nothing is kept where all are broken.

    Returns the broken ones with the reason; raises a UserError where `place` cannot be written.
    """
    partial = place.with_name(f"{place.stem}.{uuid.uuid4().hex}.partial")  # a name of its own for each process
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            broken = fill(file, folder, names, view)
        if len(broken) < len(names):
            place.with_suffix(".json").write_text(json.dumps(broken))
            partial.replace(place)
        return broken
    except OSError as error:
        needed = len(names) * view.resolution**2 * view.channels
        raise UserError(
            f"The decoded pictures ({needed:,} bytes) could not be written to {shown(place.parent.absolute())}"
            f" ({error.strerror}): make room there, or set dataset.root to another folder"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def fill(file: BinaryIO, folder: Path, names: Sequence[str], view: ResizeOptions) -> dict[str, str]:
    """Write an .npy of the pictures that can be read, and return why the others cannot.

    Written, not memory-mapped: a full disk is then an OSError, where a mapped page would end the process.
    """
    broken = {}
    write_header(file, len(names), view)
    with closing(progressing(folder, names, view)) as outcomes:
        for name, pixels in zip(names, outcomes, strict=True):
            if isinstance(pixels, str):
                broken[name] = pixels
            else:
                file.write(pixels.tobytes())
    file.seek(0)
    write_header(file, len(names) - len(broken), view)
    file.flush()
    os.fsync(file.fileno())  # the name must not reach the disk before the pixels do
    return broken


def write_header(file: BinaryIO, count: int, view: ResizeOptions) -> None:
    """The .npy header of `count` pictures; numpy pads it to a length that does not depend on `count`."""
    shape = (count, view.resolution, view.resolution, view.channels)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def progressing(folder: Path, names: Sequence[str], view: ResizeOptions) -> Generator[np.ndarray | str, None, None]:
    """`attempts` under a progress bar on stderr, with picture bombs an error and Pillow's other warnings silent."""
    outcomes = attempts([folder / name for name in names], view)
    what = f"Decoding {escape(shown(folder))}"
    console = Console(stderr=True)
    hidden = not console.is_terminal  # a log file would get an empty line
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield from track(outcomes, what, len(names), transient=True, console=console, disable=hidden)


def attempts(paths: Sequence[Path], view: ResizeOptions) -> Iterator[np.ndarray | str]:
    """`attempt` of each path in order, by threads that run a few files ahead: memory stays bounded."""
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    ahead: deque[Future[np.ndarray | str]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for path in paths:
            ahead.append(pool.submit(attempt, path, view))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def attempt(path: Path, view: ResizeOptions) -> np.ndarray | str:
    """The pixels, or in a few words why there are none."""
    try:
        return decode(path, view)
    except UnidentifiedImageError:
        return "not a picture"
    except Exception as error:  # a damaged file can make a decoder raise anything
        return getattr(error, "strerror", None) or printable(one_line(error))


def decode(path: Path, view: ResizeOptions) -> np.ndarray:
    """(resolution, resolution, channels) uint8 of the first frame; raises what Pillow raises at a broken file."""
    side, status = view.resolution, path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("a pipe or a device, no file")  # which may never end
    if status.st_size == 0:
        raise ValueError("an empty file")
    with Image.open(path, formats=FORMATS) as picture:
        picture.draft(None, (2 * side, 2 * side))  # JPEG alone can decode smaller: here no smaller than twice `side`
        ImageOps.exif_transpose(picture, in_place=True)
        flat = opaque(picture, view)
    resized = flat.resize((side, side), Image.Resampling.LANCZOS, visible(flat.size, view.fit), reducing_gap=3.0)
    return np.asarray(resized).reshape(side, side, view.channels)


def opaque(picture: Image.Image, view: ResizeOptions) -> Image.Image:
    """Mode L or RGB; whatever is transparent lies on the background."""
    if picture.mode.startswith(("I", "F")):
        picture = narrowed(picture)
    if picture.has_transparency_data:
        colors = picture.convert("RGBA")
        picture = Image.new("RGB", colors.size, view.background)
        picture.paste(colors, mask=colors)
    return picture.convert("L" if view.channels == 1 else "RGB")


def narrowed(picture: Image.Image) -> Image.Image:
    """16-bit gray, 0 .. 65535, as 0 .. 255: Pillow's own conversion clips at 255."""
    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError("32-bit pixels have no known range")
    return Image.fromarray((values // 257).astype(np.uint8))


def visible(size: tuple[int, int], fit: str) -> tuple[int, int, int, int]:
    """The box that is kept, on whole pixels: a half pixel's shift would blur a picture that already fits."""
    width, height = size
    if fit == "resize":
        return (0, 0, width, height)
    side = min(size)
    left, top = (width - side) // 2, (height - side) // 2
    return (left, top, left + side, top + side)

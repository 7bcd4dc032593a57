"""Reads pictures of a run's folder, which may be a stranger's, and makes them part of a page."""

import base64
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageSequence

from zerosum.runs.folder import lies_in

LARGEST_FILE = 2**26
"""Bytes of a picture's file"""
MOST_PIXELS = 2**24
"""Of one frame: a small file may unfold to more than memory holds"""
MOST_FRAMES = 400
"""Of a film"""
FILM_BYTES = 1_200_000
"""A larger film is made again as WebP, which is several times smaller, at most so wide and of so many frames"""
FILM_WIDTH, FILM_FRAMES = 320, 17
PICTURE_BYTES = 280_000
WIDEST = 1_400
"""Pixels"""


@dataclass(frozen=True)
class Picture:
    """An image as the `src` of <img>, and its size in pixels."""

    source: str
    width: int
    height: int


def read_picture(path: Path, run: Path, widest: int = WIDEST, largest: int = PICTURE_BYTES) -> Picture | None:
    """A PNG file that can be decoded, shrunk to about `largest` bytes; None if it is missing or damaged."""
    stamp = stamp_of(path, run)
    return None if stamp is None else encode_picture(str(path), stamp, widest, largest)


def read_film(path: Path, run: Path, largest: int = FILM_BYTES) -> Picture | None:
    """A GIF file; as WebP, with as many frames left out as needed, if it is larger than `largest` bytes."""
    stamp = stamp_of(path, run)
    return None if stamp is None else encode_film(str(path), stamp, largest)


def stamp_of(path: Path, run: Path) -> tuple[int, int] | None:
    """Time and size of a file inside of the run's folder, links followed; None if there is none of a usable size."""
    try:
        if not path.is_file() or not lies_in(path, run):
            return None
        status = path.stat()
    except (OSError, ValueError):
        return None
    return (status.st_mtime_ns, status.st_size) if 0 < status.st_size <= LARGEST_FILE else None


@lru_cache(maxsize=64)
def encode_picture(path: str, stamp: tuple[int, int], widest: int, largest: int) -> Picture | None:
    """The file as it is, once it was decoded, or a smaller one; `stamp` is part of the cache's key."""
    try:
        with Image.open(path, formats=["PNG"]) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            picture = opened.convert("RGB")
    except Exception:  # a damaged file can make a decoder raise anything
        return None
    if stamp[1] <= largest and picture.width <= widest:
        return as_source(io.BytesIO(Path(path).read_bytes()), "PNG", picture)
    return pack(picture, widest, largest)


def pack(picture: Image.Image, widest: int, largest: int) -> Picture:
    """The picture at most `widest` pixels wide, as PNG, or as ever smaller WebP where that has more than `largest`."""
    while True:
        if picture.width > widest:
            picture = resize(picture, widest)
        for options in ({"format": "PNG"}, {"format": "WEBP", "quality": 85, "method": 2}):
            buffer = io.BytesIO()
            picture.save(buffer, **options)  # type: ignore[arg-type]
            if buffer.tell() <= largest or picture.width <= 64:
                return as_source(buffer, str(options["format"]), picture)
        widest = picture.width * 3 // 4


@lru_cache(maxsize=4)
def encode_film(path: str, stamp: tuple[int, int], largest: int) -> Picture | None:
    """Check every frame; `stamp` is part of the cache's key."""
    try:
        with Image.open(path, formats=["GIF"]) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            frames: list[Image.Image] = []
            durations: list[int] = []
            for frame in ImageSequence.Iterator(opened):
                if len(frames) >= MOST_FRAMES or (len(frames) + 1) * frame.width * frame.height > 8 * MOST_PIXELS:
                    return None
                durations.append(min(max(int(frame.info.get("duration", 100)), 20), 10_000))
                frames.append(frame.convert("RGB"))
    except Exception:  # a damaged file can make a decoder raise anything
        return None
    if stamp[1] <= largest:
        return as_source(io.BytesIO(Path(path).read_bytes()), "GIF", frames[0])
    step = -(-len(frames) // FILM_FRAMES)
    chosen = range((len(frames) - 1) % step, len(frames), step)  # the last among them
    pictures = [frames[row] if frames[row].width <= FILM_WIDTH else resize(frames[row], FILM_WIDTH) for row in chosen]
    return pack_film(pictures, [step * durations[row] for row in chosen[:-1]] + durations[-1:], largest)


def pack_film(frames: list[Image.Image], durations: list[int], largest: int) -> Picture | None:
    """The frames as WebP, three quarters as wide each time that it is too large; None if it stays too large."""
    for _ in range(4):
        buffer = io.BytesIO()
        first, *others = frames
        first.save(
            buffer, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=50, method=0
        )
        if buffer.tell() <= largest:
            return as_source(buffer, "WEBP", first)
        frames = [resize(frame, frame.width * 3 // 4) for frame in frames]
    return None


def resize(picture: Image.Image, width: int) -> Image.Image:
    """The picture at another width."""
    size = width, max(1, round(picture.height * width / picture.width))
    return picture.resize(size, Image.Resampling.BILINEAR)


def as_source(buffer: io.BytesIO, kind: str, picture: Image.Image) -> Picture:
    """A data URI."""
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind.lower()};base64,{content}", picture.width, picture.height)

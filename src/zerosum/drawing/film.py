"""Animates pictures of samples as a GIF."""

import logging
from pathlib import Path

from PIL import Image

from zerosum.errors import one_line
from zerosum.files import save_whole

log = logging.getLogger("zerosum")

FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS = 120, 3000


def read_frames(frames: list[Path]) -> list[Image.Image]:
    """The pictures that can be read as PNG files; others are left out with a warning."""
    pictures = []
    for frame in frames:
        try:
            with Image.open(frame, formats=["PNG"]) as picture:
                pictures.append(picture.convert("RGB"))
        except Exception as error:  # a damaged file can make a decoder raise anything
            log.warning("%s cannot be read (%s) and is left out of the film.", frame, one_line(error))
    return pictures


def shrink(picture: Image.Image, width: int) -> Image.Image:
    """The picture at most `width` pixels wide: a GIF of photographs grows fast."""
    factor = min(1.0, width / picture.width)
    return picture.resize((round(picture.width * factor), round(picture.height * factor)))


def film(frames: list[Path], path: Path, width: int = 400, colours: int = 64) -> None:
    """Save an endless GIF of the frames that rests on the last; nothing if fewer than two can be read."""
    pictures = [shrink(picture, width).quantize(colours) for picture in read_frames(frames)]
    if len(pictures) >= 2:
        write_film(pictures, path)


def quantize_together(pictures: list[Image.Image], colours: int, method: Image.Quantize) -> list[Image.Image]:
    """Pictures of one size with one palette, so that what stands still keeps its colours; without dither.

    The palette is that of eight of them, evenly chosen, one below the other.
    """
    chosen = [pictures[round(index * (len(pictures) - 1) / 7)] for index in range(8)]
    sheet = Image.new("RGB", (chosen[0].width, sum(picture.height for picture in chosen)))
    for index, picture in enumerate(chosen):
        sheet.paste(picture, (0, index * picture.height))
    palette = sheet.quantize(colours, method, dither=Image.Dither.NONE)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def write_film(
    pictures: list[Image.Image], path: Path, frame: int = FRAME_MILLISECONDS, last: int = LAST_FRAME_MILLISECONDS
) -> None:
    """Save an endless GIF of two or more pictures with palettes that rests on the last; times in milliseconds."""
    first, *others = pictures
    duration = [frame] * len(others) + [last]
    save_whole(
        path, lambda partial: first.save(partial, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
    )

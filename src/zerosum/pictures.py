"""Grids of samples, with a caption a person can read."""

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zerosum.files import saved_whole
from zerosum.sampling import to_uint8

LONG_SIDE = 640
"""Grids are magnified by a whole number up to about this many pixels."""


def grid(samples: Tensor, columns: int | None = None) -> Image.Image:
    """Samples (N, C, H, W) in [-1, 1], row by row, as near to a square as N allows."""
    count, channels, height, width = samples.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    scale = max(1, LONG_SIDE // (columns * width))
    pixels = to_uint8(samples.cpu()).expand(count, 3, height, width) if channels == 1 else to_uint8(samples.cpu())
    pixels = pixels.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    sheet = torch.full((rows * columns, 3, scale * height + 2, scale * width + 2), 255, dtype=torch.uint8)
    sheet[:count, :, 1:-1, 1:-1] = pixels
    tiled = sheet.view(rows, columns, 3, scale * height + 2, scale * width + 2).permute(0, 3, 1, 4, 2)
    return Image.fromarray(tiled.reshape(rows * sheet.shape[2], columns * sheet.shape[3], 3).contiguous().numpy())


def captioned(picture: Image.Image, caption: str) -> Image.Image:
    """The picture over one line of text, black on white."""
    size = max(12, min(22, picture.width // 30))
    font = ImageFont.load_default(size)
    sheet = Image.new("RGB", (picture.width, picture.height + 2 * size), "white")
    sheet.paste(picture, (0, 0))
    ImageDraw.Draw(sheet).text((size // 2, picture.height + size // 3), caption, "black", font)
    return sheet


def as_picture(pixels: Tensor) -> Image.Image:
    """(1 or 3, H, W) uint8 as a gray or RGB picture, at its own size."""
    array = pixels.permute(1, 2, 0).cpu().contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def save_png(picture: Image.Image, path: Path) -> None:
    """A PNG file, whole or not at all."""
    saved_whole(path, lambda partial: picture.save(partial, "PNG"))

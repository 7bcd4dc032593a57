"""Draws grids of samples and puts captions under them."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import make_grid

from zerosum.files import save_whole
from zerosum.pixels import to_uint8

LONG_SIDE = 640
"""Grids are magnified by a whole number, up to about this many pixels."""


def grid(samples: Tensor, columns: int | None = None) -> Image.Image:
    """Samples (N, C, H, W) in [-1, 1], row by row, in about as many rows as columns."""
    columns = columns or math.ceil(math.sqrt(len(samples)))
    rows = math.ceil(len(samples) / columns)
    scale = max(1, LONG_SIDE // max(columns * samples.shape[3], rows * samples.shape[2]))
    pixels = to_uint8(samples.cpu()).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    sheet = make_grid(pixels, columns, padding=2, pad_value=255)
    return Image.fromarray(sheet.permute(1, 2, 0).contiguous().numpy())


def add_caption(picture: Image.Image, caption: str) -> Image.Image:
    """The picture over one line of text, black on white."""
    size = max(12, min(22, picture.width // 30))
    font = ImageFont.load_default(size)
    sheet = Image.new("RGB", (picture.width, picture.height + 2 * size), "white")
    sheet.paste(picture, (0, 0))
    ImageDraw.Draw(sheet).text((size // 2, picture.height + size // 3), caption, "black", font)
    return sheet


def add_heading(picture: Image.Image, labels: list[str], title: str = "") -> Image.Image:
    """The picture, of equally wide columns, below a label of one or more lines for each column and perhaps a title."""
    size = max(12, min(16, picture.width // (4 * len(labels))))
    font = ImageFont.load_default(size)
    lines = max(label.count("\n") for label in labels) + 1
    top = round((1.2 * lines + (2.8 if title else 0.8)) * size)
    sheet = Image.new("RGB", (picture.width, picture.height + top), "white")
    sheet.paste(picture, (0, top))
    draw = ImageDraw.Draw(sheet)
    draw.text((size // 2, size // 2), title, "black", font)
    for column, label in enumerate(labels):
        middle = picture.width * (column + 0.5) / len(labels)
        draw.multiline_text((middle, top - 4), label, "black", font, anchor="md", align="center", spacing=2)
    return sheet


def add_row_labels(picture: Image.Image, labels: list[str]) -> Image.Image:
    """The picture, of equally high rows, right of a label for each row."""
    size = max(12, min(18, picture.height // (2 * len(labels))))
    font = ImageFont.load_default(size)
    left = round(max(font.getlength(label) for label in labels) + size)
    sheet = Image.new("RGB", (left + picture.width, picture.height), "white")
    sheet.paste(picture, (left, 0))
    draw = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels):
        draw.text((left - size // 2, picture.height * (row + 0.5) / len(labels)), label, "black", font, anchor="rm")
    return sheet


def as_picture(pixels: Tensor) -> Image.Image:
    """(1 or 3, H, W) uint8 as a gray or RGB picture of the same size."""
    array = pixels.permute(1, 2, 0).cpu().contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def stack(pictures: list[Image.Image]) -> Image.Image:
    """The pictures one above the other, on white."""
    sheet = Image.new("RGB", (max(each.width for each in pictures), sum(each.height for each in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def save_png(picture: Image.Image, path: Path) -> None:
    """Save a PNG file as a whole or not at all."""
    save_whole(path, lambda partial: picture.save(partial, "PNG"))

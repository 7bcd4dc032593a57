"""Many small images on one sheet, as a page shows them one at a time."""

import base64
import io
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from zerosum.drawing.grid import as_picture
from zerosum.pixels import to_uint8

WIDEST = 16_000
"""Pixels of a side; WebP ends at 16,383"""
SMALL = 64
"""Side up to which a page magnifies pixels as squares, so that they are kept exactly"""


def make_sheet(images: Tensor, columns: int, largest: int) -> dict[str, Any]:
    """Images (N, C, H, W), row by row, as a data URI, and where each of them lies.

    The picture has at most about `largest` bytes: large images are made half as wide until it has.
    """
    while True:
        height, width = images.shape[2:]
        across = min(columns, max(1, WIDEST // width))
        content = encode(lay_out(images, across), largest, exact=width <= SMALL)
        if len(content) <= largest or width <= SMALL:
            break
        images = avg_pool2d(images, 2)
    source = f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"
    return {"columns": across, "width": width, "height": height, "count": len(images), "source": source}


def lay_out(images: Tensor, columns: int) -> Image.Image:
    """All images on one picture, row by row, without gaps."""
    height, width = images.shape[2:]
    rows = -(-len(images) // columns)
    picture = Image.new("L" if images.shape[1] == 1 else "RGB", (columns * width, rows * height))
    for index, pixels in enumerate(to_uint8(images)):
        picture.paste(as_picture(pixels), (index % columns * width, index // columns * height))
    return picture


def encode(picture: Image.Image, largest: int, exact: bool) -> bytes:
    """As WebP: of small images without loss if that is small enough, else of the highest quality that is."""
    choices: list[dict[str, Any]] = [{"lossless": True}] if exact else []
    for options in [*choices, {"quality": 90}, {"quality": 60}]:
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "WEBP", method=2, **options)
        if buffer.tell() <= largest:
            break
    return buffer.getvalue()

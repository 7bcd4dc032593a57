"""Samples that a notebook shows as a picture."""

import io
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from zerosum.drawing.grid import grid, save_png
from zerosum.errors import UserError


class Samples(Tensor):
    """Samples (N, *sample_shape) on the CPU; a tensor in every computation, whose results are plain tensors.

    Images (N, 1 or 3, H, W) in [-1, 1] are shown as a grid at the end of a notebook's cell.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def picture(self, columns: int | None = None) -> Image.Image:
        """A grid of the images, row by row."""
        return grid(torch.as_tensor(self), columns)

    def save(self, path: str | Path, columns: int | None = None) -> None:
        """Save the grid as a PNG file; UserError if the name is that of another format."""
        if Path(path).suffix.lower() != ".png":
            raise UserError(f"{path}: samples are saved as PNG, which keeps every pixel: name a file that ends in .png")
        save_png(self.picture(columns), Path(path))

    def _repr_png_(self) -> bytes | None:
        """Called by notebooks; None, for samples that are no images, leaves the numbers."""
        if self.dim() != 4 or self.shape[1] not in (1, 3) or not len(self):
            return None
        buffer = io.BytesIO()
        self.picture().save(buffer, "PNG")
        return buffer.getvalue()

"""Pictures of models with codes: reconstructions beside decoded random codes, and the plane of codes of two numbers."""

from typing import Any

import torch

from zerosum.data.dataset import Dataset
from zerosum.data.images import ImageDataset
from zerosum.drawing.grid import label_rows
from zerosum.pixels import from_uint8
from zerosum.sampling import latents
from zerosum.training.module import Illustration

SHOWN = 12
"""Images in a row"""
ACROSS = 15
"""Codes across the plane"""


def draw_reconstructions(model: Any, dataset: Dataset) -> Illustration:
    """Held-out images, what returns of their codes, and what random codes decode to, a row each."""
    assert isinstance(dataset, ImageDataset)
    split = "test" if "test" in dataset.splits else "train"
    real = from_uint8(next(dataset.batches(split, SHOWN))).to(model.device)
    random = model.decode(latents(range(len(real)), model.latent_dim))
    rows = torch.cat([real, model.reconstruct(real), random]).float().cpu()
    names = ["held out" if split == "test" else "training", "from its code", "of a random code"]
    caption = (
        "Images that come back from their codes need not mean that random codes, with the mean and variance of real"
        " ones, decode to images."
    )
    return Illustration(label_rows(dataset.draw(rows, len(real)), names), caption)


def draw_plane(model: Any, dataset: Dataset) -> Illustration:
    """Decoded codes at the quantiles of N(0, 1) in both directions (Kingma and Welling 2014, figure 4)."""
    quantiles = torch.special.ndtri((torch.arange(ACROSS) + 0.5) / ACROSS)
    codes = torch.cartesian_prod(quantiles.flip(0), quantiles).flip(1)  # the second number grows upwards
    caption = "The decoded plane of codes: equal steps hold equal shares of N(0, I), the first number to the right."
    return Illustration(dataset.draw(model.decode(codes).float().cpu(), ACROSS), caption)


def draw_codes(model: Any, dataset: Dataset) -> dict[str, Illustration]:
    """Both, the plane where codes have two numbers."""
    plane = {"plane_of_codes": draw_plane(model, dataset)} if model.latent_dim == 2 else {}
    return {"reconstructions": draw_reconstructions(model, dataset), **plane}

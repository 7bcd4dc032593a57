"""The images that a convolutional network can make."""

from collections.abc import Sequence

from zerosum.errors import UserError


def check_resolution(sample_shape: tuple[int, ...], model: str, known: Sequence[int]) -> int:
    """The side of the images (C, side, side); UserError if the network has no such form."""
    if len(sample_shape) != 3:
        raise UserError(
            f"{model} makes images (C, H, W), this dataset has shape {tuple(sample_shape)}: use model=mlp, or for"
            " series model=recurrent and for demonstrations model=gail"
        )
    _, height, width = sample_shape
    if height != width or height not in known:
        sizes = ", ".join(map(str, known[:-1])) + f" or {known[-1]}"
        raise UserError(
            f"{model} makes square images of {sizes} pixels, not {height} x {width}: set dataset.resolution, or"
            " dataset.of.resolution where pairs are made of a dataset, to one of these"
        )
    return height

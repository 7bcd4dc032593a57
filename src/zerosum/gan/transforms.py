"""Random geometry and colors as matrices, one for each image, with the ranges of Karras et al. 2020 (ADA, appendix B).

A geometry matrix (B, 3, 3) maps a pixel of the result to the place it is read from, in pixels from the center; a color
matrix (B, 4, 4) maps (red, green, blue, 1). Matrices are made on the images' device: copying them would make the
CPU wait. Differentiable twice in the images, as R1 and R2 need, which torch's `grid_sample` is not.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from zerosum.errors import UserError
from zerosum.gan import draws


def uniform(images: Tensor, low: float, high: float) -> Tensor:
    """(B,) ~ U[low, high]."""
    return low + (high - low) * draws.rand(images)


def normal(images: Tensor, deviation: float) -> Tensor:
    """(B,) ~ N(0, deviation^2)."""
    return deviation * draws.randn(images)


def scale_matrix(x: Tensor, y: Tensor) -> Tensor:
    """diag(x, y, 1)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def rotation_matrix(cosine: Tensor, sine: Tensor) -> Tensor:
    """A rotation about the center."""
    zero, one = torch.zeros_like(cosine), torch.ones_like(cosine)
    return torch.stack([cosine, sine, zero, -sine, cosine, zero, zero, zero, one], 1).unflatten(1, (3, 3))


def flip(images: Tensor) -> Tensor:
    """Mirror left to right with probability 1/2."""
    x = 1 - 2 * uniform(images, 0, 2).floor()
    return scale_matrix(x, torch.ones_like(x))


def quarter_turns(images: Tensor) -> Tensor:
    """Rotate by 0, 1, 2 or 3 quarter turns."""
    angle = uniform(images, 0, 4).floor() * (math.pi / 2)
    return rotation_matrix(angle.cos().round(), angle.sin().round())


def translation(images: Tensor, ratio: float = 1 / 8) -> Tensor:
    """Shift by whole pixels, up to `ratio` of each side."""
    matrix = torch.eye(3, dtype=images.dtype, device=images.device).repeat(len(images), 1, 1)
    for axis, size in ((0, images.shape[3]), (1, images.shape[2])):
        matrix[:, axis, 2] = (size * uniform(images, -ratio, ratio)).round()
    return matrix


def scaling(images: Tensor) -> Tensor:
    """Scale both sides by 2^N(0, 0.2^2)."""
    factor = normal(images, 0.2).exp2()
    return scale_matrix(factor, factor)


def rotation(images: Tensor) -> Tensor:
    """Rotate by an angle ~ U[-pi, pi]."""
    angle = uniform(images, -math.pi, math.pi)
    return rotation_matrix(angle.cos(), angle.sin())


GEOMETRY: dict[str, Callable[[Tensor], Tensor]] = {
    "flip": flip,
    "quarter_turns": quarter_turns,
    "translation": translation,
    "scaling": scaling,
    "rotation": rotation,
}


def identity_plus(*terms: tuple[Tensor, Tensor]) -> Tensor:
    """(B, 4, 4): I + the sum of amount * direction, for (B,) amounts and (3, 3) or (3, 4) directions."""
    amount, _ = terms[0]
    total = torch.eye(4, dtype=amount.dtype, device=amount.device)
    for amount, direction in terms:
        total = total + amount[:, None, None] * pad(direction, (0, 4 - direction.shape[1], 0, 1))
    return total


def gray_part(images: Tensor) -> Tensor:
    """(3, 3): the projection of a color on the gray axis (1, 1, 1) / sqrt(3), its luma."""
    return torch.full((3, 3), 1 / 3, dtype=images.dtype, device=images.device)


def color_part(images: Tensor) -> Tensor:
    """(3, 3): a color minus its gray part."""
    return torch.eye(3, dtype=images.dtype, device=images.device) - gray_part(images)


def brightness(images: Tensor) -> Tensor:
    """x + N(0, 0.2^2)."""
    ones = torch.ones(3, 1, dtype=images.dtype, device=images.device)
    return identity_plus((normal(images, 0.2), pad(ones, (3, 0))))


def contrast(images: Tensor) -> Tensor:
    """x times 2^N(0, 0.5^2)."""
    eye = torch.eye(3, dtype=images.dtype, device=images.device)
    return identity_plus((normal(images, 0.5).exp2() - 1, eye))


def luma_flip(images: Tensor) -> Tensor:
    """Reverse the gray part and keep the color, with probability 1/2."""
    return identity_plus((-2 * uniform(images, 0, 2).floor(), gray_part(images)))


def hue(images: Tensor) -> Tensor:
    """Rotate colors by any angle about the gray axis k: I + sin K + (1 - cos) K^2 with K c = k x c (Rodrigues)."""
    angle = uniform(images, -math.pi, math.pi)
    step = torch.eye(3, dtype=images.dtype, device=images.device).roll(1, 0)
    return identity_plus((angle.sin(), (step - step.T) / math.sqrt(3)), (angle.cos() - 1, color_part(images)))


def saturation(images: Tensor) -> Tensor:
    """The color part times 2^N(0, 1)."""
    return identity_plus((normal(images, 1.0).exp2() - 1, color_part(images)))


COLORS: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "luma_flip": luma_flip,
    "hue": hue,
    "saturation": saturation,
}


def product(first: Tensor, second: Tensor) -> Tensor:
    """(B, n, n): `first @ second` by sums, because a GPU may multiply matrices in TF32, with 10-bit fractions."""
    return (first[:, :, :, None] * second[:, None]).sum(2)


class Sampling(torch.autograd.Function):
    """grid_sample with two derivatives in the images, where torch's has one; as it is linear, each is its adjoint."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        """(B, C, H, W) read bilinearly at `grid` (B, H, W, 2), mirrored beyond the border."""
        ctx.save_for_backward(images, grid)
        return grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """The adjoint; the grid, which is drawn at random, needs no gradient."""
        return Adjoint.apply(gradient, *ctx.saved_tensors), None


class Adjoint(torch.autograd.Function):
    """The transpose of `Sampling` on the same grid."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, images: Tensor, grid: Tensor) -> Tensor:
        """Images give only the shape; 0 is bilinear, 2 is reflection."""
        ctx.save_for_backward(images, grid)
        options = 0, 2, False, [True, False]
        return torch.ops.aten.grid_sampler_2d_backward(gradient, images, grid, *options)[0]

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """The transpose of the transpose."""
        _, grid = ctx.saved_tensors
        return Sampling.apply(second, grid), None, None


def apply_geometry(images: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Read images (B, C, H, W) where the product of the matrices points, mirrored beyond the border."""
    if not matrices:
        return images
    matrix = functools.reduce(product, matrices)
    height, width = images.shape[2:]
    x = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    y = torch.arange(height, dtype=images.dtype, device=images.device)[:, None] - (height - 1) / 2
    entry = matrix[:, :, :, None, None]
    across, down = (entry[:, row, 0] * x + entry[:, row, 1] * y + entry[:, row, 2] for row in (0, 1))
    grid = torch.stack([across * (2 / width), down * (2 / height)], 3)  # (B, H, W, 2), the image in [-1, 1]
    return torch.where(is_not_identity(matrix), Sampling.apply(images, grid), images)


def apply_color(images: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply colors of images (B, C, H, W) by the product of the matrices; gray images take the mean of its rows."""
    if not matrices:
        return images
    channels = images.shape[1]
    if channels not in (1, 3):
        raise UserError(
            f"Colors of {channels} channels cannot be changed, only those of 1 or 3: leave colors out of operations"
        )
    matrix = functools.reduce(lambda before, after: product(after, before), matrices)
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3:]
    if channels == 1:
        linear, offset = linear.sum(2).mean(1)[:, None, None], offset.mean(1)[:, None]
    result = torch.baddbmm(offset, linear, images.flatten(2)).view_as(images)
    return torch.where(is_not_identity(matrix), result, images)


def is_not_identity(matrices: Tensor) -> Tensor:
    """(B, 1, 1, 1): where it is False, images are passed on unchanged to the last bit."""
    identity = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    return (matrices != identity).any(2).any(1)[:, None, None, None]

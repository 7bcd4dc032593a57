"""Random changes of all images that the discriminator sees; gradients pass through them to the generator."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.distributed import mean_over_processes
from zerosum.errors import UserError, did_you_mean
from zerosum.gan import draws
from zerosum.gan.transforms import COLORS, GEOMETRY, apply_color, apply_geometry, uniform


class Augmentation(nn.Module):
    """A random change of the images that D sees, drawn for each image by `zerosum.gan.draws`."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, *sample_shape) to the same shape."""
        raise NotImplementedError

    def observe(self, real_logits: Tensor, images: int) -> None:
        """Called after each step of D with its real logits (for a paired loss, real minus fake logits).

        `images` counts the real images of the step over all processes. Ignored here.
        """

    def curves(self) -> dict[str, float]:
        """Values to log."""
        return {}


class InstanceNoise(Augmentation):
    """x + sigma N(0, I), for images and points (Sonderby et al. 2017; Arjovsky and Bottou 2017).

    Anneal `sigma` to 0, or G learns to reproduce the noise.
    """

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        if not 0 <= sigma < math.inf:
            raise UserError(f"augment.sigma={sigma}: choose 0 or more")
        self.sigma = sigma

    def forward(self, images: Tensor) -> Tensor:
        """(B, *sample_shape) to the same shape."""
        return images + self.sigma * draws.randn(images, *images.shape[1:]) if self.sigma else images


class ImageAugmentation(Augmentation):
    """An augmentation of images, not of points, computed in float32 at least, whatever `trainer.precision` is."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        if images.dim() != 4:
            raise UserError(
                f"{type(self).__name__} changes images (C, H, W), these data have shape"
                f" {tuple(images.shape[1:])}: use augment=instance_noise or augment=none"
            )
        # Autocast would round coordinates to 8 bits.
        with torch.autocast(images.device.type, enabled=False):
            return self.augment(images.to(torch.promote_types(images.dtype, torch.float32)))

    def augment(self, images: Tensor) -> Tensor:
        """`forward`, for images (B, C, H, W)."""
        raise NotImplementedError


def check_names(names: Sequence[str], table: Mapping[str, Any], option: str) -> None:
    """UserError if a name is not in the table."""
    for name in names:
        if name not in table:
            raise UserError(f"{option}={name}: choose from {', '.join(table)}.{did_you_mean(name, table)}")


def brighten(images: Tensor) -> Tensor:
    """x + U[-1/2, 1/2], one number for each image."""
    return images + uniform(images, -0.5, 0.5)[:, None, None, None]


def saturate(images: Tensor) -> Tensor:
    """Multiply the distance of each pixel's channels from their mean by U[0, 2]."""
    gray = images.mean(1, keepdim=True)
    return torch.lerp(gray, images, uniform(images, 0, 2)[:, None, None, None])


def change_contrast(images: Tensor) -> Tensor:
    """Multiply the distance from the image's mean by U[1/2, 3/2]."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, uniform(images, 0.5, 1.5)[:, None, None, None])


def shift(images: Tensor, ratio: float = 1 / 8) -> Tensor:
    """Move by whole pixels, up to `ratio` of the side along each axis, and fill with 0."""
    for axis in (2, 3):
        size = images.shape[axis]
        reach = int(size * ratio + 0.5)
        source = torch.arange(size, device=images.device) - draws.randint(images, -reach, reach, 1)  # (B, size)
        shape = (len(images), 1, size, 1) if axis == 2 else (len(images), 1, 1, size)
        moved = images.gather(axis, source.clamp(0, size - 1).view(shape).expand_as(images))
        images = moved * ((source >= 0) & (source < size)).view(shape)
    return images


def cut_out(images: Tensor, ratio: float = 1 / 2) -> Tensor:
    """Set a box of `ratio` of each side, centered anywhere in the image, to 0."""
    inside = []
    for size in images.shape[2:]:
        side = int(size * ratio + 0.5)
        first = draws.randint(images, 0, size - side % 2, 1) - side // 2
        position = torch.arange(size, device=images.device)
        inside.append((position >= first) & (position < first + side))  # (B, size)
    rows, columns = inside
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


POLICIES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "color": (brighten, saturate, change_contrast),
    "translation": (shift,),
    "cutout": (cut_out,),
}


class DiffAugment(ImageAugmentation):
    """Color, translation and cutout, always applied, in the order of `policy` (Zhao et al. 2020)."""

    def __init__(self, policy: Sequence[str] = tuple(POLICIES)) -> None:
        super().__init__()
        check_names(policy, POLICIES, "policy")
        self.policy = tuple(policy)

    def augment(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W); colors may leave [-1, 1]."""
        for name in self.policy:
            for change in POLICIES[name]:
                images = change(images)
        return images


class ADA(ImageAugmentation):
    """Applies each operation with probability p, which rises while D overfits (Karras et al. 2020, ADA, section 3).

    D overfits where r = E sign(D(x)) on training images exceeds `target`. Every `every` steps p then rises, and
    otherwise falls, at the rate that takes it from 0 to 1 in `ramp` images; with a `target` of null it stays as it
    is. Of the paper's operations ADA has the pixel blits, isotropic scaling, rotation and all colors, but not
    anisotropic scaling, fractional translation, filters, or the low-pass filter of its interpolation.
    """

    p: Tensor
    signs: Tensor
    images: Tensor
    steps: Tensor

    def __init__(
        self,
        operations: Sequence[str] = (*GEOMETRY, *COLORS),
        p: float = 0.0,
        target: float | None = 0.6,
        ramp: int = 500_000,
        every: int = 4,
    ) -> None:
        super().__init__()
        check_names(operations, {**GEOMETRY, **COLORS}, "operations")
        if not 0 <= p <= 1:
            raise UserError(f"p={p}: a probability lies between 0 and 1")
        if ramp < 1 or every < 1:
            raise UserError(f"ramp={ramp}, every={every}: choose at least 1 image from p=0 to p=1, and at least 1 step")
        if target is not None and not -1 < target < 1:
            raise UserError(f"target={target}: r, a mean of signs, lies between -1 and 1")
        self.geometry = [change for name, change in GEOMETRY.items() if name in operations]
        self.colors = [change for name, change in COLORS.items() if name in operations]
        self.target = target
        self.ramp = ramp
        self.every = every
        # Sums since p last changed stay on the device: reading them would make the CPU wait at every step.
        for name, value in (("p", p), ("signs", 0.0), ("images", 0.0), ("steps", 0.0)):
            self.register_buffer(name, torch.tensor(value))

    def curves(self) -> dict[str, float]:
        """The value of p."""
        return {"augment/probability": float(self.p)}

    def augment(self, images: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W); colors may leave [-1, 1]."""
        images = apply_geometry(images, [self.apply_with_probability(change(images)) for change in self.geometry])
        return apply_color(images, [self.apply_with_probability(change(images)) for change in self.colors])

    def apply_with_probability(self, matrices: Tensor) -> Tensor:
        """Keep each of the matrices (B, n, n) with probability p, else replace it by the identity."""
        chosen = draws.rand(matrices) < self.p
        identity = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
        return torch.where(chosen[:, None, None], matrices, identity)

    @torch.no_grad()
    def observe(self, real_logits: Tensor, images: int) -> None:
        """p <- clip(p + sign(r - target) * images / ramp, 0, 1), r and images over the last `every` steps."""
        if self.target is None:
            return
        self.signs += mean_over_processes(real_logits.float().sign().mean())
        self.images += images
        self.steps += 1
        due = self.steps >= self.every
        step = torch.sign(self.signs / self.steps - self.target) * self.images / self.ramp
        self.p.copy_(torch.where(due, self.p + step, self.p).clamp(0, 1))
        for total in (self.signs, self.images, self.steps):
            total *= ~due

"""Inversion: the code whose image is nearest to a given one, by gradient descent from several starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from zerosum.console import track
from zerosum.data.image_decoding import ResizeOptions, remove_transparency
from zerosum.drawing.grid import add_caption, grid, save_png, stack
from zerosum.errors import UserError, one_line
from zerosum.explorer.options import check_invert
from zerosum.explorer.subject import Found, Subject, check_images, check_label, condition_for
from zerosum.runs.trained import TrainedModel

MOST_PIXELS = 2**26
"""Of an image to invert, before it is made smaller"""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
KINDS = "a PNG, JPEG, WebP, BMP or GIF file"
WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Inversion:
    """The best codes of some targets, with their images and what the descent started from."""

    codes: Tensor
    condition: Tensor | None
    images: Tensor
    error: Tensor
    """(N,) mean squared error of pixels in [-1, 1]"""
    start_error: Tensor
    """(N,) of the nearest of the random starts"""


class Invert:
    """Finds codes of images: files, held-out images of the data (`count` of them), or samples of the model itself.

    Adam moves the `kept` best of `starts` random codes of each target for `steps` steps down the mean squared error of
    pixels, plus `prior` times the mean square of z, which keeps codes likely. Of a conditional model every start has
    a label of its own, or `label`. The model's own samples can be reached exactly, which tells how well it works.
    """

    def __init__(
        self,
        images: str | Sequence[str] = (),
        count: int = 8,
        own: bool = False,
        steps: int = 400,
        starts: int = 256,
        kept: int = 4,
        rate: float = 0.05,
        prior: float = 1e-3,
        label: int | None = None,
        seed: int = 0,
    ) -> None:
        check_invert(count, steps, starts, kept, rate, prior, seed)
        self.paths = [Path(images)] if isinstance(images, str) else [Path(path) for path in images]
        self.count = count
        self.own = own
        self.steps = steps
        self.starts = starts
        self.kept = min(kept, starts)
        self.rate = rate
        self.prior = prior
        self.label = label
        self.seed = seed

    def __call__(self, subject: Subject) -> Found:
        """Write invert.png, a sheet of targets, reconstructions and differences, and invert.json with the codes."""
        check_images(subject.model)
        check_label(subject.model, self.label)
        targets, names = self.find_targets(subject)
        found = self.invert(subject.model, targets)
        error, start = found.error.mean(), found.start_error.mean()
        values: dict[str, Any] = {
            "targets": names,
            "mean_squared_error": found.error.tolist(),
            "psnr": psnr(found.error).tolist(),
            "psnr_of_nearest_start": psnr(found.start_error).tolist(),
            "psnr_of_mean_image": psnr((targets - subject_mean(subject.model)).square().mean((1, 2, 3))).tolist(),
            "space": subject.model.check_space().name,
            "codes": found.codes.tolist(),
            "condition": None if found.condition is None else found.condition.tolist(),
        }
        path = subject.folder / "invert.png"
        save_png(draw_inversion(targets, found), path)
        line = (
            f"{len(targets)} targets: mean squared error {error:.4f} of pixels in [-1, 1],"
            f" {mean(values['psnr']):.1f} dB, in {values['space']};"
            f" the nearest of {self.starts} random codes {start:.4f}, {mean(values['psnr_of_nearest_start']):.1f} dB;"
            f" the mean image {mean(values['psnr_of_mean_image']):.1f} dB"
        )
        return Found(values, [line], [path])

    def find_targets(self, subject: Subject) -> tuple[Tensor, list[str]]:
        """(N, C, H, W) in [-1, 1], and a name for each."""
        model = subject.model
        if self.own:
            seeds = [10_000 + self.seed + row for row in range(self.count)]
            return torch.as_tensor(model.sample(seeds)), [f"seed {seed}" for seed in seeds]
        if self.paths:
            shape = model.sample([0]).shape[1:]
            return torch.stack([read_image(path, tuple(shape)) for path in self.paths]), [
                path.name for path in self.paths
            ]
        split = "test" if "test" in subject.dataset.splits else "train"
        return subject.real_images(split, range(self.count)), [f"{split} {row}" for row in range(self.count)]

    def invert(self, model: TrainedModel, targets: Tensor) -> Inversion:
        """The best codes found for each of the targets (N, C, H, W)."""
        space, count = model.check_space(), len(targets)
        seeds = range(self.seed, self.seed + self.starts)
        condition = condition_for(model, seeds, self.label)
        start_codes = model.codes(seeds, condition)
        first = pairwise_errors(model.decode(start_codes, condition), targets)  # (N, starts)
        rows = first.topk(self.kept, 1, largest=False).indices.flatten()
        conditions = None if condition is None else condition[rows].to(space.device)
        goals = targets.repeat_interleave(self.kept, 0).to(space.device)
        codes = start_codes[rows].to(space.device).clone().requires_grad_()
        self.descend(model, codes, conditions, goals)
        images = model.decode(codes.detach().cpu(), conditions)
        error = (images - goals.cpu()).square().mean((1, 2, 3)).view(count, self.kept)
        best = error.argmin(1) + self.kept * torch.arange(count)
        chosen = None if conditions is None else conditions.cpu()[best]
        return Inversion(codes.detach().cpu()[best], chosen, images[best], error.min(1).values, first.min(1).values)

    def descend(self, model: TrainedModel, codes: Tensor, condition: Tensor | None, goals: Tensor) -> None:
        """Move the codes (N * kept, D) in place; each row's loss is its own, so they do not disturb one another."""
        space = model.check_space()
        # Style codes have a mean and a scale of their own; z is N(0, I).
        weight = self.prior if space.name == "z" else 0.0
        optimizer = torch.optim.Adam([codes], lr=self.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in track(range(self.steps), "inversion", self.steps):
            errors = (space.decode(codes, condition) - goals).square().mean((1, 2, 3))
            loss = (errors + weight * codes.square().mean(1)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def pairwise_errors(images: Tensor, targets: Tensor) -> Tensor:
    """(N, M) mean squared errors of targets (N, ...) and images (M, ...)."""
    one, other = targets.flatten(1).double(), images.flatten(1).double()
    return (torch.cdist(one, other).square() / one.shape[1]).float()


def psnr(error: Tensor) -> Tensor:
    """10 log10(4 / MSE) in dB: pixels in [-1, 1] have the range 2."""
    return 10 * (4 / error.clamp(min=1e-12)).log10()


def mean(numbers: Sequence[float]) -> float:
    """Their mean."""
    return float(np.mean(numbers))


def subject_mean(model: TrainedModel) -> Tensor:
    """(1, C, H, W): the mean of 256 samples, the best guess that knows nothing of the target."""
    return torch.as_tensor(model.sample(range(256))).mean(0, keepdim=True)


def read_image(path: Path, shape: tuple[int, ...]) -> Tensor:
    """(C, H, W) in [-1, 1]: the middle square of an image file, resized; UserError if it is no image."""
    try:
        with path.open("rb") as file:
            return decode_image(file, str(path), shape)
    except FileNotFoundError:
        raise UserError(f"there is no {path}: name an image file, as in images=three.png") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({one_line(error)}): name an image file") from error


def decode_image(file: BinaryIO, name: str, shape: tuple[int, ...], most_pixels: int = MOST_PIXELS) -> Tensor:
    """The same of an open file; its content says what it is, not its name, and its size is known before it is read.

    Turned as its EXIF data say, on white where it is transparent, and of 16 bits or 8, as data are read for training.
    """
    try:
        with Image.open(file, formats=FORMATS) as opened:
            if opened.width * opened.height > most_pixels:
                raise ValueError(f"it has more than {most_pixels:,} pixels")
            ImageOps.exif_transpose(opened, in_place=True)
            picture = remove_transparency(opened, ResizeOptions(shape[2], shape[0], "crop", WHITE))
    except UnidentifiedImageError:
        raise UserError(f"{name} is no image of a known kind: give {KINDS}") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise UserError(f"{name} is no image that can be read ({one_line(error)}): give {KINDS}") from error
    return from_picture(picture, shape)


def from_picture(picture: Image.Image, shape: tuple[int, ...]) -> Tensor:
    """(C, H, W) in [-1, 1]: the middle square of a gray or RGB picture, resized."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((shape[2], shape[1]), Image.Resampling.BICUBIC), dtype=np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).view(shape[1], shape[2], shape[0]).permute(2, 0, 1)


def draw_inversion(targets: Tensor, found: Inversion) -> Image.Image:
    """A row of targets, of reconstructions, and of their absolute difference, which is black where they agree."""
    difference = (found.images - targets).abs() - 1
    rows = {"targets": targets, "reconstructions": found.images, "absolute difference": difference}
    return stack([add_caption(grid(images, columns=len(images)), name) for name, images in rows.items()])

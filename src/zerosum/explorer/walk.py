"""Films of walks through the codes of a generator, from seed to seed and from label to label."""

import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from zerosum.drawing.film import quantize_together, write_film
from zerosum.drawing.grid import grid
from zerosum.errors import UserError
from zerosum.explorer.options import check_walk
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.files import save_whole
from zerosum.runs.trained import TrainedModel
from zerosum.sampling import interpolate, latents

FRAME_MILLISECONDS = 60


class Walk:
    """A closed walk of `walkers` images side by side, each through `stations` seeds of its own.

    Between two seeds z goes along the great arc in `frames` frames. `labels` are walked through as well, one at each
    station; between two of them the condition is a mixture of both. With `still` z stays and the label alone changes.
    """

    def __init__(
        self,
        seed: int = 0,
        walkers: int = 9,
        stations: int = 4,
        frames: int = 12,
        labels: Sequence[int] | None = None,
        still: bool = False,
        truncation: float = 1.0,
        format: Literal["gif", "mp4"] = "gif",
    ) -> None:
        check_walk(seed, walkers, stations, frames, labels, still, truncation)
        self.seed = seed
        self.walkers = walkers
        self.stations = len(labels) if labels else stations
        self.frames = frames
        self.labels = labels
        self.still = still
        self.truncation = truncation
        self.format = format

    def __call__(self, subject: Subject) -> Found:
        """Write walk.gif, and how evenly the images change along it."""
        check_images(subject.model)
        images = self.images(subject.model)
        sheets = [grid(frame) for frame in images]
        path = subject.folder / f"walk.{self.format}"
        (save_gif if self.format == "gif" else save_mp4)(sheets, path)
        steps = (images - images.roll(-1, 0)).square().mean((1, 2, 3, 4)).sqrt()
        values = {"frames": len(images), "largest_step": float(steps.max()), "mean_step": float(steps.mean())}
        line = (
            f"{len(images)} frames of {self.walkers} images; from one to the next pixels change by"
            f" {values['mean_step']:.3f} (root mean square, of 2), at most by {values['largest_step']:.3f}"
        )
        return Found(values, [line], [path])

    def images(self, model: TrainedModel) -> Tensor:
        """(stations * frames, walkers, C, H, W)."""
        space = model.check_space()
        seeds = [
            [self.seed + walker + self.walkers * (0 if self.still else station) for walker in range(self.walkers)]
            for station in range(self.stations)
        ]
        z = torch.stack([latents(each, space.latent_dim) for each in seeds])  # (stations, walkers, latent_dim)
        path = walk_around(z, self.frames)
        conditions = self.conditions(model, seeds[0], len(path))
        frames = []
        with torch.inference_mode():
            for place, condition in zip(path, conditions, strict=True):
                codes = space.truncate(space.encode(place, condition), self.truncation, condition)
                frames.append(model.decode(codes, condition))
        return torch.stack(frames)

    def conditions(self, model: TrainedModel, seeds: Sequence[int], count: int) -> Sequence[Tensor | None]:
        """One for each frame: mixtures of labels, or what the first seeds have by themselves."""
        if not self.labels:
            return [model.draw_condition(seeds)] * count
        labels = model.condition_of(self.labels, len(self.labels))
        assert model.num_classes is not None
        stations = one_hot(labels, model.num_classes).float()
        return [mixture.expand(self.walkers, -1) for mixture in straight_around(stations, self.frames)]


def walk_around(stations: Tensor, frames: int) -> Tensor:
    """(S * frames, ...): along great arcs from each of the stations (S, ..., D) to the next, and back to the first."""
    legs = pairwise([*stations, stations[0]])
    return torch.cat([interpolate(start, end, frames + 1)[:-1] for start, end in legs])


def straight_around(stations: Tensor, frames: int) -> Tensor:
    """The same along straight lines, on which mixtures of labels stay mixtures."""
    t = torch.linspace(0, 1, frames + 1)[:-1, None]
    return torch.cat([(1 - t) * start + t * end for start, end in pairwise([*stations, stations[0]])])


def save_gif(sheets: list[Image.Image], path: Path) -> None:
    """An endless GIF with one palette."""
    quantized = quantize_together(sheets, 128, Image.Quantize.MEDIANCUT)
    write_film(quantized, path, FRAME_MILLISECONDS, FRAME_MILLISECONDS)


def save_mp4(sheets: list[Image.Image], path: Path) -> None:
    """H.264 by the program ffmpeg; UserError if it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise UserError("format=mp4 needs the program ffmpeg: install it, or choose format=gif")
    width, height = (side - side % 2 for side in sheets[0].size)  # H.264 halves the colours' resolution
    frames = [np.asarray(sheet.convert("RGB"))[:height, :width] for sheet in sheets]
    command = [program, "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += [
        "-r",
        str(round(1000 / FRAME_MILLISECONDS)),
        "-i",
        "-",
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "18",
        "-f",
        "mp4",
    ]

    def write(partial: Path) -> None:
        done = subprocess.run([*command, str(partial)], input=np.stack(frames).tobytes(), capture_output=True)
        if done.returncode:
            raise UserError(f"ffmpeg could not write {path.name}: {done.stderr.decode(errors='replace')[-200:]}")

    save_whole(path, write)

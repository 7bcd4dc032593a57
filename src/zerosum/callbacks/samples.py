"""Pictures of the same seeds over training, and the film made of them."""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from PIL import Image

from zerosum import sampling
from zerosum.callbacks import budget_of, data_of
from zerosum.errors import one_line
from zerosum.files import saved_whole
from zerosum.gan import GAN
from zerosum.pictures import captioned, save_png

log = logging.getLogger("zerosum")

GROWTH = 4.0
"""The film's times grow from 1 to e^4 times the first interval."""
FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS = 120, 3000


class Samples(Callback):
    """Saves `frames` pictures to samples/, often at first, and training.gif at the end.

    Frame i of n is drawn at budget * (exp(4 i/n) - 1) / (exp(4) - 1) images, the first before any training.
    Samples are those of seeds 0, 1, ...; title is written under each.
    """

    def __init__(self, folder: str, title: str = "", frames: int = 48, count: int | None = None) -> None:
        self.folder = Path(folder)
        self.title = title
        self.frames = frames
        self.count = count

    def times(self, budget: int) -> list[int]:
        """Images seen at each frame, rising from 0 to the budget."""
        shares = [math.expm1(GROWTH * frame / self.frames) / math.expm1(GROWTH) for frame in range(self.frames + 1)]
        return [round(budget * share) for share in shares]

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """The frame of pure noise."""
        self._times = self.times(budget_of(trainer))
        self._next = next((i for i, time in enumerate(self._times) if time >= pl_module.images_seen), len(self._times))
        self.draw_if_due(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """When the clock has passed a frame's time."""
        self.draw_if_due(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """The film, also of an interrupted run."""
        if trainer.is_global_zero:
            film(sorted((self.folder / "samples").glob("*.png")), self.folder / "training.gif")

    def draw_if_due(self, trainer: Trainer, gan: GAN) -> None:
        """One picture for however many frames are due."""
        if self._next < len(self._times) and gan.images_seen >= self._times[self._next] and trainer.is_global_zero:
            self.draw(trainer, gan)
        while self._next < len(self._times) and gan.images_seen >= self._times[self._next]:
            self._next += 1

    def draw(self, trainer: Trainer, gan: GAN) -> None:
        """One picture, to the folder and to the loggers that take pictures."""
        dataset = data_of(trainer).dataset
        seeds = range(self.count or dataset.samples_pictured)
        samples = torch.cat([batch.float().cpu() for batch in sampling.images(gan, seeds)])
        picture = captioned(dataset.picture(samples), f"{self.title} · {gan.images_seen:,} images seen")
        save_png(picture, self.folder / "samples" / f"{gan.images_seen:010d}.png")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image("samples", [picture], caption=[f"{gan.images_seen:,} images seen"])


def readable(frames: list[Path]) -> list[Image.Image]:
    """The pictures that are PNG files, as they were drawn; whatever else lies beside them is left out."""
    pictures = []
    for frame in frames:
        try:
            with Image.open(frame, formats=["PNG"]) as picture:
                pictures.append(picture.convert("RGB"))
        except Exception as error:  # a damaged file can make a decoder raise anything
            log.warning("%s cannot be read (%s) and is left out of the film.", frame, one_line(error))
    return pictures


def shrunk(picture: Image.Image, width: int) -> Image.Image:
    """At most `width` pixels wide: a GIF of photographs grows fast."""
    factor = min(1.0, width / picture.width)
    return picture.resize((round(picture.width * factor), round(picture.height * factor)))


def film(frames: list[Path], path: Path, width: int = 400, colours: int = 64) -> None:
    """An endless GIF of the frames, resting on the last."""
    pictures = [shrunk(picture, width).quantize(colours) for picture in readable(frames)]
    if len(pictures) < 2:
        return
    first, *others = pictures
    duration = [FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS]
    saved_whole(
        path, lambda partial: first.save(partial, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
    )

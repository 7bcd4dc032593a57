"""Pictures of samples from the same seeds over training, and a film of them."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from zerosum import sampling
from zerosum.drawing.film import film
from zerosum.drawing.grid import add_caption, add_heading, save_png
from zerosum.errors import UserError
from zerosum.training.callbacks.schedule import budget_of, data_of
from zerosum.training.logs import log_film, log_picture
from zerosum.training.module import GenerativeModule

GROWTH = 4.0
"""The last interval between frames is e^4 times the first"""
LARGEST = 2**16
"""Most frames, and most samples in one"""


class Samples(Callback):
    """Saves about `frames` pictures to samples/, more often at first, and training.gif at the end.

    Frame i of n is drawn at budget * (exp(4 i/n) - 1) / (exp(4) - 1) images, the first before any training. Each shows
    the samples of seeds 0 to `count` - 1, by default as many as the dataset's picture has room for, and `title` below.
    A conditional model has one column for each class, and one seed in each row; of images that it is asked by, the
    first row shows these, the second the real ones.
    """

    def __init__(self, folder: str, title: str = "", frames: int = 48, count: int | None = None) -> None:
        for name, value in (("frames", frames), ("count", 1 if count is None else count)):
            if not 1 <= value <= LARGEST:
                raise UserError(f"callbacks.samples.{name}={value}: choose 1 to {LARGEST:,}")
        self.folder = Path(folder)
        self.title = title
        self.frames = frames
        self.count = count

    def times(self, budget: int) -> list[int]:
        """Images seen at each frame, from 0 to the budget."""
        shares = [math.expm1(GROWTH * frame / self.frames) / math.expm1(GROWTH) for frame in range(self.frames + 1)]
        return [round(budget * share) for share in shares]

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Draw the untrained model."""
        self._times = self.times(budget_of(trainer))
        seen = pl_module.images_seen or -1  # a resumed run has drawn the frame of its checkpoint
        self._next = next((i for i, time in enumerate(self._times) if time > seen), len(self._times))
        self.draw_if_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.draw_if_due(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Make the film, also of an interrupted run."""
        if trainer.is_global_zero:
            film(sorted((self.folder / "samples").glob("*.png")), self.folder / "training.gif")
            log_film(trainer, self.folder / "training.gif")

    def draw_if_due(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw once if one or more frames are due."""
        if self._next < len(self._times) and module.images_seen >= self._times[self._next] and trainer.is_global_zero:
            self.draw(trainer, module)
        while self._next < len(self._times) and module.images_seen >= self._times[self._next]:
            self._next += 1

    def draw(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Save one picture to the folder and pass it to loggers that take images."""
        dataset = data_of(trainer).dataset
        sheet = sampling.arrange(module, self.count or dataset.samples_to_draw)
        images = sampling.images(module, sheet.seeds, sheet.condition)
        conditions = getattr(module, "conditions", None)
        above = None if conditions is None else conditions.rows_above(sheet.columns)
        rows = [*images] if above is None else [above, *images]
        samples = torch.cat([batch.float().cpu() for batch in rows])
        picture = dataset.draw(samples, sheet.columns)
        picture = add_heading(picture, sheet.names) if sheet.names and samples.dim() == 4 else picture
        picture = add_caption(picture, f"{self.title} · {module.images_seen:,} images seen")
        save_png(picture, self.folder / "samples" / f"{module.images_seen:010d}.png")
        log_picture(trainer, module, "fixed_seeds", picture)

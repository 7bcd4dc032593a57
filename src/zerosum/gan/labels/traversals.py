"""A picture of what each code of an InfoGAN changes."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from PIL import Image

from zerosum import sampling
from zerosum.drawing.grid import add_caption, add_heading, grid, save_png, stack
from zerosum.errors import UserError
from zerosum.gan.labels.codes import Codes
from zerosum.training.callbacks.schedule import check_interval, is_due
from zerosum.training.logs import log_picture
from zerosum.training.module import GenerativeModule

MOST_ROWS = 100


class Traversals(Callback):
    """Draws report/codes.png every `every` images and at the end: a grid for each code, whose columns are its values.

    Each row is one seed, whose z and other codes stay. Continuous codes go from -`reach` to `reach`, by default beyond
    the [-1, 1] of training, as in the paper's figure 2.
    """

    def __init__(self, folder: str, every: int = 20_000, rows: int = 5, reach: float = 2.0) -> None:
        check_interval("traversals", every)
        if not 1 <= rows <= MOST_ROWS:
            raise UserError(f"callbacks.traversals.rows={rows}: choose 1 to {MOST_ROWS}")
        self.path = Path(folder) / "report" / "codes.png"
        self.every = every
        self.rows = rows
        self.reach = reach

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_due(pl_module, self.every):
            self.draw(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:  # type: ignore[override]
        self.draw(trainer, pl_module)

    def draw(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Save the picture and pass it to loggers that take images; nothing for points, which have no grid."""
        conditions = getattr(module, "conditions", None)
        if not trainer.is_global_zero or not isinstance(conditions, Codes):
            return
        if len(trainer.datamodule.dataset.sample_shape) != 3:  # type: ignore[attr-defined]
            return
        picture = draw_traversals(module, conditions, self.rows, self.reach)
        picture = add_caption(picture, f"One row a seed · {module.images_seen:,} images seen")
        save_png(picture, self.path)
        log_picture(trainer, module, "codes", picture)


def draw_traversals(model: sampling.Model, conditions: Codes, rows: int, reach: float) -> Image.Image:
    """A grid for each code, one above the other."""
    return stack([draw_code(model, conditions, code, rows, reach) for code in range(len(conditions.codes.names))])


def draw_code(model: sampling.Model, conditions: Codes, code: int, rows: int, reach: float) -> Image.Image:
    """One row for each of the seeds 0 to `rows` - 1, one column for each value of a code."""
    values = conditions.values_of(code, reach)
    condition, columns, names = conditions.traverse(code, values, range(rows))
    seeds = [seed for seed in range(rows) for _ in range(columns)]
    samples = torch.cat([batch.float().cpu() for batch in sampling.images(model, seeds, condition)])
    return add_heading(grid(samples, columns), names, conditions.codes.names[code])

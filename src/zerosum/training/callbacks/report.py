"""Keeps a run's report.html up to date, with the pictures that need the model and its data."""

import json
import logging
import platform
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from PIL import Image

from zerosum.data.dataset import plural_of
from zerosum.drawing.grid import grid, save_png
from zerosum.errors import one_line
from zerosum.evaluation.image_protocol import VECTORS, ImageProtocol, kind_of
from zerosum.evaluation.nearest_pairs import draw_nearest_pairs
from zerosum.evaluation.reference import FeatureSet
from zerosum.files import save_whole
from zerosum.randomness import derive
from zerosum.sampling import LatentModel, interpolate, latents
from zerosum.training.callbacks.banner import describe_device
from zerosum.training.callbacks.evaluate import evaluation_of
from zerosum.training.callbacks.samples import Samples
from zerosum.training.callbacks.schedule import data_of
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

SHARE = 0.005
"""Of the time of training that refreshing takes at most, besides the first and the last time"""
COMPARED = 100
"""Samples whose nearest training images are looked for"""
ARCS, STEPS = 6, 9
"""Rows and columns of the strip of interpolations"""
POINTS = 64
"""Points of an interpolation in the plane"""


class Report(Callback):
    """Writes report.html by `write` at the start, after evaluations and at the end, and draws what goes into report/.

    Nothing that fails here ends a training: it is one warning. No random number of training is drawn.
    """

    def __init__(self, folder: str, write: Callable[[Path], object]) -> None:
        self.folder = Path(folder)
        self.write = write
        self.captions: dict[str, str] = {}
        self.seconds = 0.0
        """Time that all of this took"""
        self._warned = False
        self._rests_until = 0.0
        self._measured = 0

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Draw real images and write the first report."""
        self._measured = count_measurements(trainer)
        self.attempt(trainer, lambda: self.begin(trainer, pl_module))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._measured != count_measurements(trainer):
            self._measured = count_measurements(trainer)
            if time.perf_counter() >= self._rests_until:
                self.attempt(trainer, lambda: self.refresh(trainer, pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Write the last report, also of an interrupted run."""
        self.attempt(trainer, lambda: self.refresh(trainer, pl_module))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write what a run that failed has left, once it has begun."""
        if (self.folder / "metrics.json").exists():
            self.attempt(trainer, lambda: self.write(self.folder))

    def attempt(self, trainer: Trainer, act: Callable[[], object]) -> None:
        """Act on rank zero; warn of the first error."""
        if not trainer.is_global_zero:
            return
        started = time.perf_counter()
        try:
            act()
        except Exception as error:  # of any kind: a report is not worth a training
            if not self._warned:
                log.warning("report.html could not be written (%s); training goes on.", one_line(error))
            self._warned = True
        ended = time.perf_counter()
        self.seconds += ended - started
        self._rests_until = ended + (ended - started) / SHARE

    def begin(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw real images in the layout of the samples, note the machine, and write the report."""
        dataset = data_of(trainer).dataset
        count = count_samples(trainer) or dataset.samples_to_draw
        real = dataset.stream(derive(0, "report"), torch.device("cpu")).batch(0, count, slice(0, count)).images
        self.save("real", dataset.draw(real), f"{count:,} real {plural_of(dataset)}.")
        self.note_facts(trainer, module)
        self.write(self.folder)

    def refresh(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw the model anew and write the report."""
        self.draw_neighbours(trainer, module)
        self.draw_interpolation(trainer, module)
        self.draw_illustrations(trainer, module)
        self.note_facts(trainer, module)
        self.write(self.folder)

    @torch.inference_mode()
    def draw_neighbours(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw the samples nearest to training images, in the feature space that they are measured in."""
        evaluate = evaluation_of(trainer)
        protocol = None if evaluate is None else evaluate.protocol
        if (
            not isinstance(protocol, ImageProtocol)
            or kind_of(protocol.features) != VECTORS
            or not protocol.has("train")
        ):
            return
        output, _ = protocol.sample_features(module, slice(0, min(COMPARED, protocol.n_fake)))
        picture = draw_nearest_pairs(protocol, module, FeatureSet(output.features.float()))
        found = (
            f"Of {len(output.features):,} samples at {module.images_seen:,} images, the ten nearest to a training image"
        )
        self.save("nearest", picture, f"{found}, above those training images. Equal pairs would be copies.")

    @torch.inference_mode()
    def draw_interpolation(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw samples of latents between those of seeds, if the model has latents."""
        if not isinstance(module, LatentModel):
            return
        ends = latents(range(ARCS + 1), module.latent_dim)
        dataset = data_of(trainer).dataset
        is_image = len(dataset.sample_shape) == 3
        steps = STEPS if is_image else POINTS
        z = interpolate(ends[:-1], ends[1:], steps).transpose(0, 1).flatten(0, 1)  # (ARCS * steps, latent_dim)
        conditions = getattr(module, "conditions", None)  # one for each row
        condition = None if conditions is None else conditions.draw(range(ARCS)).repeat_interleave(steps, 0)
        samples = module.decode(z, condition).float().cpu()
        picture = grid(samples, columns=steps) if is_image else dataset.draw(samples)
        paths = "Each row goes" if is_image else f"{ARCS} paths of {steps} points go"
        caption = f"{paths} from the sample of one seed to that of the next, along the great arc between their latents"
        seen = f"{module.images_seen:,} {plural_of(dataset)}"
        self.save("interpolation", picture, f"{caption}, at {seen}. Jumps would be copies.")

    @torch.inference_mode()
    def draw_illustrations(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Draw what the family of the model shows of itself."""
        for name, (picture, caption, sound) in module.illustrate(data_of(trainer).dataset).items():
            self.save(name, picture, caption)
            if sound is not None:
                save_whole(self.folder / "report" / f"{name}.wav", partial(Path.write_bytes, data=sound))

    def save(self, name: str, picture: Image.Image, caption: str) -> None:
        """Save a picture, and keep what is to be said of it."""
        save_png(picture, self.folder / "report" / f"{name}.png")
        self.captions[name] = caption

    def note_facts(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Write report/facts.json: the machine, the losses at equilibrium, what samples are called, the captions."""
        if not hasattr(self, "_facts"):
            plural = plural_of(data_of(trainer).dataset)
            self._facts = {
                "machine": describe_machine(trainer),
                "equilibrium": module.equilibrium(),
                "plural": plural,
            }
        content = json.dumps({**self._facts, "captions": self.captions}, indent=1)
        save_whole(self.folder / "report" / "facts.json", lambda partial: partial.write_text(content, encoding="utf-8"))


def count_measurements(trainer: Trainer) -> int:
    """Evaluations so far."""
    evaluate = evaluation_of(trainer)
    return 0 if evaluate is None else len(evaluate.history)


def count_samples(trainer: Trainer) -> int | None:
    """Samples in each picture of the callback that draws them, if it says so."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback.count for callback in callbacks if isinstance(callback, Samples)), None)


def describe_machine(trainer: Trainer) -> dict[str, str]:
    """Device, system and start, without a name of the machine."""
    return {
        "Device": describe_device(trainer),
        "System": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "Started": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
    }

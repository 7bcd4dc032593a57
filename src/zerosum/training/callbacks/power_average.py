"""Two power-function averages of the generator, from whose snapshots one of any width can be made after training."""

import re
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.files import save_whole
from zerosum.training.callbacks.schedule import check_interval
from zerosum.training.module import GenerativeModule
from zerosum.training.power_functions import check_width, decay, gamma_of

FOLDER = "averages"
"""Of the snapshots, in the folder of the run"""
SNAPSHOT = re.compile(r"(\d{10,19})\.pt")
"""A snapshot is named after the images seen"""
MOST = 1024
"""Greatest number of snapshots that may be asked for"""

Weights = dict[str, Tensor]


class PowerAverage(Callback):
    """Averages the generator with two power-function profiles, and saves both in averages/ every `every` images.

    beta = (1 - b/t)^(gamma + 1) at a step of b images after which t were seen (Karras et al. 2024, EDM2, equation 127);
    `widths` are relative to t. `sample.py ema=0.07` and `evaluate.py ema=0.07` make the average of any width between.
    With `most` snapshots every second one is removed, and `every` doubles. One more is saved at the end.
    """

    def __init__(
        self, folder: str, every: int = 5_000, widths: tuple[float, float] = (0.05, 0.10), most: int = 64
    ) -> None:
        check_interval("power_average", every)
        low, high = (check_width(width, "callbacks.power_average.widths") for width in widths)
        if not high > 1.1 * low:
            raise UserError(
                f"callbacks.power_average.widths={[low, high]}: name the smaller one first, and two that differ by a"
                " tenth or more"
            )
        if not 2 <= most <= MOST or most % 2:
            raise UserError(f"callbacks.power_average.most={most}: choose an even number from 2 to {MOST}")
        self.folder = Path(folder) / FOLDER
        self.widths = [low, high]
        self.gammas = [gamma_of(width) for width in self.widths]
        self.most = most
        self.interval = every
        self.images = 0
        self.averages: list[Weights] = []
        self.times: list[int] = []
        """Images seen at the snapshots that are kept"""

    def on_fit_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Refuse a run that has not been averaged from its beginning, or whose averages are of another network."""
        step = trainer.datamodule.batch_size * pl_module.batches_per_step  # type: ignore[attr-defined]
        if pl_module.images_seen > step and not self.images:  # the checkpoint of the first step has no average yet
            raise UserError(
                f"callbacks.power_average averages from the first image on, and this run has seen"
                f" {pl_module.images_seen:,} without it: leave it out, or start a new run with it"
            )
        shapes = shapes_of(floating_weights(pl_module.network))
        if any(shapes_of(average) != shapes for average in self.averages):
            raise UserError("the averages in the checkpoint are not of this generator: choose another checkpoint")

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Remove snapshots from after the checkpoint that training continues from."""
        if not trainer.is_global_zero:
            return
        for images, path in find_snapshots(self.folder):
            if images not in self.times:
                path.unlink()
        self.weights = floating_weights(pl_module.network)
        self.averages = [
            {name: average[name].to(weight) for name, weight in self.weights.items()} for average in self.averages
        ]

    def on_train_batch_start(self, trainer: Trainer, pl_module: GenerativeModule, batch: Any, batch_idx: int) -> None:
        """Follow the step before: whatever saved a checkpoint after it, training continues here."""
        if trainer.is_global_zero:
            self.follow(pl_module.images_seen)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Save the last snapshot, before the last checkpoint, also of a run that was stopped."""
        if trainer.is_global_zero:
            self.follow(pl_module.images_seen)
            if self.images and self.images not in self.times:
                self.save()

    @torch.no_grad()
    def follow(self, images_seen: int) -> None:
        """Move both averages towards the weights, unless they have seen them; save a snapshot if one is due."""
        images, before = images_seen - self.images, self.images
        if images == 0:
            return
        if not self.averages:
            self.averages = [{name: value.clone() for name, value in self.weights.items()} for _ in self.widths]
        for average, gamma in zip(self.averages, self.gammas, strict=True):
            share = 1 - decay(gamma, images, images_seen)
            torch._foreach_lerp_(list(average.values()), list(self.weights.values()), share)
        self.images = images_seen
        if images_seen // self.interval > before // self.interval:
            self.save()
            self.times.append(images_seen)
            if len(self.times) == self.most:
                self.thin()

    def save(self) -> None:
        """Write a snapshot of both averages."""
        content = {"images_seen": self.images, "widths": self.widths, "averages": self.averages}
        save_whole(self.folder / f"{self.images:010d}.pt", lambda partial: torch.save(content, partial))

    def thin(self) -> None:
        """Remove every second snapshot, and from now on save half as many."""
        for images in self.times[::2]:
            (self.folder / f"{images:010d}.pt").unlink(missing_ok=True)
        self.times = self.times[1::2]
        self.interval *= 2

    def state_dict(self) -> dict[str, Any]:
        names = ("images", "widths", "averages", "times", "interval")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """UserError if the run was averaged with other widths; ValueError if it is no state of this callback."""
        counts = [state_dict["images"], state_dict["interval"], *state_dict["times"]]
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts) or len(counts) > MOST + 2:
            raise ValueError("its counts are no images")
        if state_dict["images"] and list(state_dict["widths"]) != self.widths:
            raise UserError(
                f"the run was averaged with callbacks.power_average.widths={state_dict['widths']}: keep them"
            )
        averages = [dict(average) for average in state_dict["averages"]]
        if len(averages) != (len(self.widths) if state_dict["images"] else 0):
            raise ValueError("it has no average of each width")
        values = [value for average in averages for value in average.values()]
        if not all(isinstance(value, Tensor) and value.isfinite().all() for value in values):
            raise ValueError("its averages are not finite weights")
        self.images, self.interval, *self.times = counts[0], max(1, counts[1]), *counts[2:]
        self.averages = averages


def floating_weights(network: nn.Module) -> Weights:
    """Weights and running statistics by their names, sharing memory with the network: what an average is of."""
    return {name: value for name, value in network.state_dict().items() if value.is_floating_point()}


def shapes_of(weights: Weights) -> dict[str, torch.Size]:
    """Shapes by name."""
    return {name: value.shape for name, value in weights.items()}


def find_snapshots(folder: Path) -> list[tuple[int, Path]]:
    """(images seen, file) of each snapshot, the earliest first."""
    names = folder.iterdir() if folder.is_dir() else ()
    found = [(int(match[1]), path) for path in names if (match := SNAPSHOT.fullmatch(path.name))]
    return sorted((images, path) for images, path in found if images)

"""The trained model that a verb explores, with its data where they are at hand, and what a verb finds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zerosum.data.images import ImageDataset
from zerosum.errors import UserError
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.experiment.build import make
from zerosum.experiment.settings import validate
from zerosum.files import save_whole
from zerosum.pixels import from_uint8
from zerosum.runs.exported import is_exported
from zerosum.runs.load import saved_config
from zerosum.runs.trained import TrainedModel
from zerosum.runs.trust import refuse_root


@dataclass(frozen=True)
class Found:
    """What a verb found: numbers, lines that say it to a person, and the files that were written."""

    values: dict[str, Any]
    lines: list[str]
    files: list[Path]

    def save(self, folder: Path, verb: str) -> None:
        """Write the values as <verb>.json."""
        text = json.dumps(self.values, indent=1)
        save_whole(folder / f"{verb}.json", lambda partial: partial.write_text(text, encoding="utf-8"))


@dataclass
class Subject:
    """A trained model of images, where it is from, and the folder for what is found.

    `root` is the folder of its data, if not the one that the run had.
    """

    model: TrainedModel
    run: Path
    folder: Path
    root: str | None = None
    trusted: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def dataset(self) -> ImageDataset:
        """The data that it was trained on; UserError where they are not at hand."""
        if is_exported(self.run):
            raise UserError(f"{self.run} is an exported model, without its data: name the run that it was made of")
        config = self.config
        if self.root is None:
            refuse_root(config, self.run)
        else:
            config["dataset"]["root"] = self.root
        dataset: Any = make(config["dataset"])
        if not isinstance(dataset, ImageDataset):
            raise UserError(f"{self.run} makes points, and this verb explores images")
        return dataset

    @cached_property
    def config(self) -> dict[str, Any]:
        """That of the run, which may be a stranger's."""
        return validate(saved_config(self.run, self.trusted))

    @cached_property
    def classifier(self) -> ClassifierFeatures:
        """The classifier that the run was measured by, else the usual one of the data; UserError without labels."""
        dataset = self.dataset
        own = make(self.config["features"])
        found = own if isinstance(own, ClassifierFeatures) else ClassifierFeatures()
        found.prepare(dataset)
        return found

    @torch.inference_mode()
    def classify(self, images: Tensor) -> Tensor:
        """(N, K) probabilities that the classifier gives images (N, C, H, W) in [-1, 1]."""
        parts = images.clamp(-1, 1).split(512)
        return torch.cat([self.classifier.network.classify(part).softmax(1) for part in parts])

    def real_images(self, split: str, rows: Sequence[int]) -> Tensor:
        """(N, C, H, W) in [-1, 1]: those rows of a split; UserError if it has fewer."""
        images = self.dataset.split(split).images
        if len(rows) > len(images) or max(rows, default=0) >= len(images):
            raise UserError(
                f"the split {split} of {self.dataset.name} has {len(images):,} images: choose count=... of them"
            )
        return from_uint8(torch.from_numpy(images[list(rows)]).permute(0, 3, 1, 2))

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the labels, from the exported model or from the data; None without any."""
        own = getattr(self.model, "classes", None)
        return own if own is not None or is_exported(self.run) else self.dataset.classes


def check_images(model: TrainedModel) -> None:
    """UserError unless the model makes gray or colour images from codes."""
    model.check_space()
    shape = model.sample([0]).shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise UserError(f"{model.name} makes samples of {list(shape[1:])}: the explorer shows gray and colour images")


def check_label(model: TrainedModel, label: int | None) -> None:
    """UserError at a label that the model cannot be asked for."""
    if label is not None:
        model.condition_of(label, 1)


def condition_for(model: TrainedModel, seeds: Sequence[int], label: int | None) -> Tensor | None:
    """Conditions of these seeds: one label for all, or those that the seeds have by themselves."""
    return model.draw_condition(seeds) if label is None else model.condition_of(label, len(seeds))

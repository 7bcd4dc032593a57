"""Samples of a trained model, as files: zerosum sample run=outputs/<run> count=64 seed=0 labels=0,1,2"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.errors import UserError
from zerosum.evaluation.measurement import is_finite
from zerosum.experiment.compose import CONF
from zerosum.files import save_whole
from zerosum.runs.asked import check_exists, check_places, check_weights_asked
from zerosum.training.power_functions import name_of

if TYPE_CHECKING:
    from torch import Tensor

MOST_DRAWN = 1024
"""Samples in grid.png"""
CONFIG_NAME = "sample"


@command
def main() -> None:
    """Read labels=0,1,2 as condition.labels=[0,1,2]: Hydra would take it for three jobs, and labels for a group."""
    sys.argv[1:] = [
        re.sub(r"^(labels|attributes)=\[?([^\]]*)\]?$", r"condition.\1=[\2]", word) for word in sys.argv[1:]
    ]
    sample_as_asked()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name=CONFIG_NAME)
def sample_as_asked(config: DictConfig) -> None:
    """Write `count` samples, of seeds `seed`, `seed` + 1, ..., one file each and a grid."""
    with errors_as_sentences(CONFIG_NAME):
        condition = OmegaConf.to_container(config.condition)
        asked = Asked(config.count, config.seed, **condition)  # type: ignore[arg-type]
        print(sample(Path(config.run), config.checkpoint, asked, config.output, config.trusted, config.ema))


@dataclass(frozen=True)
class Asked:
    """`count` samples of seeds from `seed` on: of each of the `labels`, of one vector of `attributes`, or of any."""

    count: int
    seed: int
    labels: list[int] | None = None
    attributes: list[float] | None = None

    def __post_init__(self) -> None:
        if type(self.count) is not int or self.count < 1 or type(self.seed) is not int or self.seed < 0:
            raise UserError(f"count={self.count} seed={self.seed}: count is a whole number from 1, seed from 0")
        if self.labels is not None and (not self.labels or not all(type(label) is int for label in self.labels)):
            raise UserError(f"labels={self.labels}: name whole numbers, as in labels=0,1,2")
        if self.labels is not None and self.attributes is not None:
            raise UserError("labels and attributes: a run is conditioned on one of them: leave the other out")
        if self.attributes is not None and not all(is_finite(value) for value in self.attributes):
            raise UserError(f"attributes={self.attributes}: name a number for each attribute, as in attributes=0.5,1")

    @property
    def seeds(self) -> list[int]:
        """One for each sample of a label."""
        return list(range(self.seed, self.seed + self.count))


def sample(
    run: Path,
    checkpoint: str,
    asked: Asked,
    output: str | None,
    trusted: str | Sequence[str] = (),
    ema: float | None = None,
) -> str:
    """Write samples into a folder and return a sentence that says where.

    Images become one PNG each, sounds one WAV file, points a CSV; grid.png shows the first 1,024 of any, labels in
    columns. `ema` is the width of a power-function average to sample from.
    """
    check_exists(run)
    check_weights_asked(checkpoint, ema=ema)
    check_places(output=output, trusted=trusted)
    import torch

    from zerosum import sampling
    from zerosum.drawing.grid import add_heading, save_png
    from zerosum.runs.load import load, load_dataset

    module = load(run, checkpoint, trusted=trusted, ema=ema)
    dataset = load_dataset(run, trusted)
    folder = Path(output) if output else run / "generated"
    condition, columns = choose_condition(module, asked)
    seeds = [seed for seed in asked.seeds for _ in range(columns or 1)]
    samples = torch.cat([batch.cpu() for batch in sampling.images(module, seeds, condition)])
    if samples.dim() == 4:
        save_images(samples, seeds, asked.labels, folder)
    elif sample_rate := getattr(dataset, "sample_rate", None):
        save_sounds(samples, seeds, sample_rate, folder)
    else:
        rows = "\n".join(",".join(map(str, point)) for point in samples.tolist())
        header = ",".join(f"x{column + 1}" for column in range(samples.shape[1]))
        save_whole(folder / "samples.csv", lambda partial: partial.write_text(f"{header}\n{rows}\n", encoding="utf-8"))
    shown = MOST_DRAWN - MOST_DRAWN % (columns or 1)
    picture = dataset.draw(samples[:shown], columns if columns != 1 else None)
    if columns is not None and columns > 1 and samples.dim() == 4:
        picture = add_heading(picture, [str(label) for label in asked.labels or []])
    save_png(picture, folder / "grid.png")
    of_labels = f" of each of the labels {', '.join(map(str, asked.labels))}" if asked.labels else ""
    seen = f"{asked.count} samples{of_labels} of {run.name} at {module.images_seen:,} images"
    seen += "" if ema is None else f", {name_of(ema)}"
    return f"{seen}: {folder}, all of them in {folder / 'grid.png'}"


def choose_condition(module: Any, asked: Asked) -> tuple["Tensor | None", int | None]:
    """Conditions of all samples, a row of labels for each seed, and the number of columns; None for any condition."""
    import torch

    from zerosum.gan.labels.conditions import AttributeConditions, LabelConditions

    conditions = getattr(module, "conditions", None)
    if asked.labels is not None:
        if not isinstance(conditions, LabelConditions):
            raise UserError(f"labels={asked.labels}: this run is not conditioned on labels: leave the option out")
        if not all(0 <= label < conditions.num_classes for label in asked.labels):
            raise UserError(f"labels={asked.labels}: this run has the labels 0 to {conditions.num_classes - 1}")
        return torch.tensor(asked.labels).repeat(asked.count), len(asked.labels)
    if asked.attributes is not None:
        if not isinstance(conditions, AttributeConditions):
            raise UserError(f"attributes={asked.attributes}: this run is not conditioned on any: leave the option out")
        if len(asked.attributes) != conditions.num_attributes:
            raise UserError(f"attributes={asked.attributes}: this run has {conditions.num_attributes} attributes")
        return torch.tensor([asked.attributes] * asked.count), None
    return None, None


def save_images(samples: "Tensor", seeds: list[int], labels: list[int] | None, folder: Path) -> None:
    """One PNG a sample, named after its seed and, if it was asked for, its label."""
    from zerosum.drawing.grid import as_picture, save_png
    from zerosum.pixels import to_uint8

    for index, (pixels, seed) in enumerate(zip(to_uint8(samples), seeds, strict=True)):
        label = f"_label{labels[index % len(labels)]}" if labels else ""
        save_png(as_picture(pixels), folder / f"{seed:06d}{label}.png")


def save_sounds(samples: "Tensor", seeds: list[int], sample_rate: int, folder: Path) -> None:
    """One WAV file a sample, named after its seed."""
    from zerosum.drawing.sound import encode_wav

    for sound, seed in zip(samples, seeds, strict=True):
        content = encode_wav(sound, sample_rate)
        save_whole(folder / f"{seed:06d}.wav", partial(Path.write_bytes, data=content))


if __name__ == "__main__":
    main()

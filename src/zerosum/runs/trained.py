"""The public face of a trained model: zerosum.load(path).sample(seeds=range(16), labels=3, truncation=0.7)."""

from collections.abc import Iterable, Sequence
from operator import index
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zerosum import sampling
from zerosum.drawing.shown import Samples
from zerosum.errors import UserError, printable, short
from zerosum.gan.gan import GAN
from zerosum.gan.labels.conditions import Conditions, LabelConditions
from zerosum.models.code_space import CodeSpace
from zerosum.runs import exported
from zerosum.runs import load as runs
from zerosum.runs.asked import check_batch_size, check_seed, check_truncation


class TrainedModel:
    """A trained model, of a run or of an exported folder, ready to sample from; all else is asked of `model`.

    `space` has the codes of its images; None for a model that is no generator of latents.
    """

    def __init__(self, model: sampling.Model, name: str, network: nn.Module | None = None) -> None:
        self.model = model
        self.name = name
        self.network = network
        self.space = None if network is None else CodeSpace(network)

    def __getattr__(self, name: str) -> Any:
        """Attributes of the model itself, such as images_seen."""
        if name.startswith("__") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    def __repr__(self) -> str:
        return f"<zerosum model {printable(self.name)}, {self.images_seen:,} images seen>"

    @property
    def conditions(self) -> Conditions | None:
        """What a conditional model is asked for."""
        return getattr(self.model, "conditions", None)

    @property
    def num_classes(self) -> int | None:
        """Number of labels that `sample` takes; None for a model that is not conditioned on labels."""
        return self.conditions.num_classes if isinstance(self.conditions, LabelConditions) else None

    def sample(
        self,
        seeds: Sequence[int],
        condition: Tensor | None = None,
        labels: int | Sequence[int] | None = None,
        truncation: float = 1.0,
        batch_size: int = 64,
    ) -> Samples:
        """(len(seeds), *sample_shape), images in [-1, 1]; sample i depends on seed i, and its label, alone.

        `labels` is one for all, or one for each seed. With `truncation` below 1 codes are pulled towards their mean:
        images become more typical and less varied.
        """
        if not isinstance(seeds, Iterable):
            raise UserError(f"seeds: {short(seeds)} is one: give a list, such as [3] or range(16)")
        seeds = [check_seed(seed) for seed in seeds]
        if not seeds:
            raise UserError("seeds: there are none: give whole numbers, such as range(16)")
        if labels is not None and condition is not None:
            raise UserError("labels and condition: give one of them")
        if labels is not None:
            condition = self.condition_of(labels, len(seeds))
        elif condition is not None:
            condition = self.check_condition(condition, len(seeds))
        batch_size = check_batch_size(batch_size)
        if truncation == 1:
            parts = sampling.images(self.model, seeds, condition, batch_size)
            samples = torch.cat([part.float().cpu() for part in parts])
        else:
            condition = self.draw_condition(seeds) if condition is None else condition
            samples = self.decode(self.codes(seeds, condition, truncation, batch_size), condition, batch_size)
        return samples.clone().as_subclass(Samples)  # a clone of what inference mode made takes part in autograd

    def condition_of(self, labels: int | Sequence[int], count: int) -> Tensor:
        """(count,) labels; UserError if there are none of these."""
        given: Any = labels
        is_one = isinstance(given, int | float) or getattr(given, "ndim", None) == 0  # of numpy and torch too
        try:
            each = [index(label) for label in ([given] * count if is_one else given)]
        except TypeError:
            raise UserError(f"labels={labels!r}: give whole numbers, one for all or one for each seed") from None
        if self.num_classes is None:
            raise UserError(f"labels={short(labels)}: {self.name} is not conditioned on labels: ask it for none")
        if len(each) != count:
            raise UserError(f"labels: {len(each)} for {count} seeds: give one, or as many as seeds")
        if not all(0 <= label < self.num_classes for label in each):
            raise UserError(f"labels={short(labels)}: {self.name} has the labels 0 to {self.num_classes - 1}")
        return torch.tensor(each)

    def check_condition(self, condition: Any, count: int) -> Tensor:
        """The condition, of numpy too, as a tensor; UserError unless it is of the model's type and shape."""
        drawn = self.draw_condition([0])
        try:
            given = torch.as_tensor(condition)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"condition: a {type(condition).__name__} is no tensor of numbers") from None
        if drawn is None and not isinstance(self.model, GAN | exported.ExportedModel):
            return given  # of a family that has conditions of its own
        if drawn is None:
            raise UserError(f"condition: {self.name} is not conditioned on anything: give none")
        takes = [((count, *drawn.shape[1:]), drawn.is_floating_point())]
        if self.num_classes is not None:
            takes.append(((count, self.num_classes), True))  # mixtures of labels
        if (tuple(given.shape), given.is_floating_point()) not in takes:
            wanted = " or ".join(f"{list(shape)} {'float' if is_float else 'int64'}" for shape, is_float in takes)
            found = f"{list(given.shape)} {str(given.dtype).removeprefix('torch.')}"
            raise UserError(f"condition: {found} was given, and {self.name} takes {wanted} for {count} seeds")
        if not given.is_floating_point():
            return self.condition_of(given.tolist(), count)
        if not given.isfinite().all():
            raise UserError("condition: it has NaN or infinite values")
        return given.float()

    def draw_condition(self, seeds: Sequence[int]) -> Tensor | None:
        """The conditions that these seeds have unless told otherwise."""
        return None if self.conditions is None else self.conditions.draw(seeds)

    @torch.inference_mode()
    def codes(
        self, seeds: Sequence[int], condition: Tensor | None = None, truncation: float = 1.0, batch_size: int = 64
    ) -> Tensor:
        """(len(seeds), D): the codes of these samples on the CPU, pulled towards their mean by `truncation`."""
        space = self.check_space()
        check_truncation(truncation)
        parts = []
        for start in range(0, len(seeds), batch_size):
            rows = slice(start, start + batch_size)
            part = None if condition is None else condition[rows]
            codes = space.encode(sampling.latents(seeds[rows], space.latent_dim), part)
            parts.append(space.truncate(codes, truncation, part).cpu())
        return torch.cat(parts)

    @torch.inference_mode()
    def decode(self, codes: Tensor, condition: Tensor | None = None, batch_size: int = 64) -> Tensor:
        """(B, *sample_shape) images of codes, on the CPU."""
        space = self.check_space()
        conditions = [None] * len(codes) if condition is None else condition.split(batch_size)
        pairs = zip(codes.split(batch_size), conditions, strict=False)
        return torch.cat([space.decode(*pair).float().cpu() for pair in pairs])

    def check_space(self) -> CodeSpace:
        """The codes of its images; UserError if it has none."""
        if self.space is None:
            raise UserError(
                f"{self.name} is a {type(self.model).__name__}: codes, truncation and the explorer are of GANs alone"
            )
        return self.space


def load(
    path: str | Path,
    checkpoint: str = "best",
    weights: str = "ema",
    trusted: str | Sequence[str] = (),
    ema: float | None = None,
) -> TrainedModel:
    """Load a trained model from a run's folder, an exported folder, or an exported .safetensors file.

    `weights` is ema, the moving average, or raw, those of the last step; `trusted` names packages, besides zerosum,
    whose classes it may be made of. `ema` is the relative width of a power-function average, of a run with snapshots.
    """
    path = Path(path)
    if exported.is_exported(path):
        found = exported.read(path, trusted)
        exported.refuse_choice(found, path, checkpoint, weights, ema)
        return TrainedModel(found, found.name, found.network)
    module = runs.load(path, checkpoint, weights, trusted, ema)
    return TrainedModel(module, path.resolve().name, module.ema.network if isinstance(module, GAN) else None)

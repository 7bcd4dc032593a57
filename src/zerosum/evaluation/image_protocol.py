"""Metrics of images: samples pass through the feature network once, and every metric uses the same features."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zerosum.console import track
from zerosum.data.images import ImageDataset, to_condition
from zerosum.distributed import all_reduce_sum, on_rank_zero, rank_and_world_size
from zerosum.errors import DivergedError, UserError, check_positive
from zerosum.evaluation.features.extractor import FeatureOutput, Features
from zerosum.evaluation.protocol import (
    Extrapolating,
    Metric,
    ModelMetric,
    RealMeasuring,
    UnmeasurableError,
    better_directions,
    check_metrics,
    describe_each,
    describe_selection,
    directions_of_parts,
    measure_each,
    measure_some,
    score_by_first,
)
from zerosum.evaluation.reference import FeatureSet, Reference
from zerosum.evaluation.sample_diagnostics import diagnose_features
from zerosum.pixels import to_uint8
from zerosum.randomness import generator
from zerosum.sampling import Model

ImageMetric = Metric | ModelMetric
CPU = torch.device("cpu")
VECTORS = "vectors"
MOST_SAMPLES = 10_000_000
"""Largest number of samples that a protocol may ask for"""


class ImageProtocol:
    """Metrics of `n_fake` samples, generated from seeds seed * n_fake and following, against all images of a split.

    Samples are rounded to uint8 and generated `batch_size` at a time, whole batches by each process, so that the values
    do not depend on the number of processes. With `floor`, as many images of the other split (train for test, else
    test) are measured in place of the samples. best.ckpt is chosen by the first metric.
    """

    floor_source = "real images"

    def __init__(
        self,
        name: str,
        features: Features,
        metrics: dict[str, ImageMetric],
        n_fake: int = 10_000,
        split: Literal["train", "test"] = "test",
        seed: int = 0,
        batch_size: int = 100,
        floor: bool = True,
    ) -> None:
        if not 2 <= n_fake <= MOST_SAMPLES:
            raise UserError(f"protocol.n_fake={n_fake}: choose from 2, which a covariance needs, to {MOST_SAMPLES:,}")
        check_positive("protocol", batch_size=batch_size)
        check_metrics(metrics, "images", "fid")
        self.name = name
        self.features = features
        self.metrics = metrics
        self.n_fake = n_fake
        self.split = split
        self.seed = seed
        self.batch_size = batch_size
        self.with_floor = floor
        self.left_out = metrics_of_other_kinds(features, metrics)
        self.measured = {name: metric for name, metric in metrics.items() if name not in self.left_out}
        self.better = better_directions(self.measured)
        if not self.measured:
            reasons = [f"{metric}: {reason}" for metric, reason in self.left_out.items()]
            raise UserError(f"nothing can be measured: {'; '.join(reasons)}")
        self.floor_left_out: dict[str, str] = {}
        self.last_fake: FeatureSet | None = None

    def prepare(self, dataset: ImageDataset, device: torch.device = CPU) -> None:
        """Prepare the feature network, then the features of the real images, on `device`."""
        if not isinstance(dataset, ImageDataset):
            raise UserError(
                f"protocol={self.name} compares images, {type(dataset).__name__} has points: use protocol=points10k"
            )
        if self.split not in dataset.splits:
            raise UserError(f"protocol.split={self.split}: {dataset.name} has only {', '.join(dataset.splits)}")
        self.features.prepare(dataset)
        self.dataset = dataset
        self.device = CPU if device.type == "mps" else device  # MPS has no float64
        self.reference = Reference(dataset, self.features, self.split, self.batch_size, self.device)
        if len(self.reference.real.features) < 2:
            raise UserError(f"the split {self.split} of {dataset.name} has fewer than 2 images: choose another")

    def measure(self, model: Model) -> dict[str, float]:
        """Values of all metrics, the same on every rank."""
        self.last_fake = self.compute_features(model)
        measures = {name: partial(self.measure_metric, metric, model) for name, metric in self.measured.items()}
        values = measure_some(measures, self.left_out, self.last_fake)
        self.better |= directions_of_parts(values, self.better)
        return values

    def measure_metric(self, metric: ImageMetric, model: Model, fake: FeatureSet) -> dict[str, float]:
        """Values of one metric, of the model or of its samples' features, the same on every rank."""
        if isinstance(metric, ModelMetric):
            return metric.measure_model(self, model)
        return on_rank_zero(partial(self.measure_features, metric), fake)

    @torch.inference_mode()
    def measure_features(self, metric: Metric, fake: FeatureSet) -> dict[str, float]:
        """Values of one metric of the samples' features."""
        return metric(self.reference, fake)

    def diagnose(self) -> dict[str, float]:
        """Diversity, classes and nearness to training images of the samples that were measured last."""
        if self.last_fake is None or kind_of(self.features) != VECTORS:
            return {}
        return diagnose_features(self.reference, self.last_fake, self.floor_split)

    def compute_features(self, model: Model) -> FeatureSet:
        """Features of the samples, in the order of their seeds, on every rank."""
        network = self.features.network
        features = torch.zeros(self.n_fake, network.num_features, device=self.device)
        logits = torch.zeros(self.n_fake, network.num_classes, device=self.device) if network.num_classes else None
        broken = torch.zeros((), device=self.device)
        for rows in self.own_rows("samples"):
            output, finite = self.sample_features(model, rows)
            broken += ~finite
            features[rows] = output.features.float()
            if logits is not None and output.logits is not None:
                logits[rows] = output.logits.float()
        if all_reduce_sum(broken):
            raise DivergedError("the generator's samples hold NaN or infinite values: lower the learning rate")
        logits = None if logits is None else all_reduce_sum(logits)
        return FeatureSet(all_reduce_sum(features), logits, self.asked_labels(model))

    def own_rows(self, title: str) -> Iterator[slice]:
        """The numbers of the samples that this process makes, a batch at a time, with a line of progress."""
        rank, processes = rank_and_world_size()
        starts = range(0, self.n_fake, self.batch_size)[rank::processes]
        for start in track(starts, title, len(starts)):
            yield slice(start, min(start + self.batch_size, self.n_fake))

    @torch.inference_mode()
    def sample_images(self, model: Model) -> Tensor:
        """(n_fake, C, H, W) uint8: the samples in the order of their seeds, on every rank."""
        images = torch.zeros(self.n_fake, *self.dataset.sample_shape, dtype=torch.uint8, device=self.device)
        for rows in self.own_rows("samples again"):
            images[rows] = to_uint8(self.sample(model, range(rows.start, rows.stop))).to(self.device)
        return all_reduce_sum(images)

    @torch.inference_mode()
    def sample_features(self, model: Model, rows: slice) -> tuple[FeatureOutput, Tensor]:
        """Features of the samples with these numbers, and whether the samples are finite."""
        samples = self.sample(model, range(rows.start, rows.stop)).to(self.device)
        return self.features.network(to_uint8(samples)), samples.isfinite().all()

    def sample(self, model: Model, rows: Sequence[int]) -> Tensor:
        """(B, C, H, W): the protocol's samples with these numbers."""
        first = self.seed * self.n_fake
        return model.sample([first + row for row in rows], self.conditions(model, rows))

    def conditions(self, model: Model, rows: Sequence[int]) -> Tensor | None:
        """(B, ...): what the samples with these numbers are asked for, each as an image of the split has it.

        None for a model that is asked for nothing, or for nothing that real images have.
        """
        conditions = getattr(model, "conditions", None)
        if conditions is None or not conditions.from_data:
            return None
        found = self.dataset.split(self.split).condition
        assert found is not None, "a conditional model was trained on labels"
        return to_condition(torch.from_numpy(found[self.condition_rows(rows)]).to(self.device))

    def condition_rows(self, rows: Sequence[int]) -> np.ndarray:
        """(B,): the images of the split whose conditions the samples have, in a random order that starts again."""
        order = shuffle(len(self.dataset.split(self.split).images), self.seed)
        return order[torch.tensor(rows) % len(order)].numpy()

    def asked_labels(self, model: Model) -> Tensor | None:
        """(n_fake,) int64: the classes that the model is asked for; None if it is asked for anything else."""
        first = self.conditions(model, [0])  # images of all samples would fill the memory for nothing
        return None if first is None or first.is_floating_point() else self.conditions(model, range(self.n_fake))

    @torch.inference_mode()
    def floor(self) -> dict[str, float] | None:
        """Values of as many images of the other split as there are samples; None if no metric has any.

        If that split has fewer images, only metrics that estimate their value at the number of samples have a floor: of
        fewer images a biased metric is worse, and a perfect generator would lie below such a floor.
        """
        other = self.floor_split
        if other is None:
            return None
        measurable = {name: metric for name, metric in self.measured.items() if metric.has_floor}
        floors = {name: partial(self.measure_floor, metric) for name, metric in measurable.items()}
        return measure_each(floors, self.floor_left_out, self.reference.draw(other, self.n_fake, self.seed)) or None

    @property
    def floor_split(self) -> str | None:
        """The split that the floor is measured with; None without a floor."""
        return self.reference.other_split if self.with_floor else None

    def measure_floor(self, metric: ImageMetric, real: FeatureSet) -> dict[str, float]:
        """Values of real images in place of the samples."""
        if isinstance(metric, RealMeasuring):
            return metric.measure_real(self)
        assert not isinstance(metric, ModelMetric), "a floor of the model itself needs measure_real"
        count = len(real.features)
        if count == self.n_fake:
            return metric(self.reference, real)
        if isinstance(metric, Extrapolating):
            return metric.extrapolate(self.reference, real, self.n_fake)
        raise UnmeasurableError(f"{self.floor_split} has {count:,} images, fewer than the {self.n_fake:,} samples")

    def has(self, split: str) -> bool:
        """Whether the features of a split are at hand."""
        return self.reference.has(split)

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The values of the first metric, by which the best checkpoint is chosen."""
        return score_by_first(self.metrics, values)

    def card(self) -> dict[str, Any]:
        """Everything that decides whether two values are comparable."""
        card: dict[str, Any] = {
            "protocol": self.name,
            "dataset": self.dataset.name,
            "n_fake": self.n_fake,
            "n_real": len(self.reference.real.features),
            "split": self.split,
            **self.features.describe(),
            "resize": self.features.resize,
            "rounding": "uint8, to nearest",
            "sample_seed": self.seed,
        }
        card |= describe_each(self.measured)
        size = self.features.network.num_features
        if kind_of(self.features) == VECTORS and min(card["n_fake"], card["n_real"]) <= size:
            card["warning"] = f"no more images than features ({size}) on a side: FID is biased and only ranks models"
        return card

    def notes(self) -> dict[str, Any]:
        """Better directions, hash of the real features, images behind the floor, and reasons for what was left out."""
        notes: dict[str, Any] = {"better": dict(self.better), "reference_hash": self.reference.hash}
        if self.floor_split is not None:
            notes["floor_split"] = self.floor_split
            notes["floor_images"] = min(self.n_fake, len(self.reference.load(self.floor_split).features))
        reasons = {"left_out": self.left_out, "floor_left_out": self.floor_left_out}
        return {**notes, **{name: dict(found) for name, found in reasons.items() if found}}

    def describe_selection(self) -> str:
        """By the first metric."""
        return describe_selection(self.measured, f"the split {self.split}")


@lru_cache(maxsize=4)
def shuffle(count: int, seed: int) -> Tensor:
    """(count,): the order in which samples take the conditions of a split, the same for each batch of them."""
    return torch.randperm(count, generator=generator(seed, "conditions"))


def kind_of(part: Features | ImageMetric) -> str:
    """What features give and what a metric compares: one vector an image, unless its `kind` says otherwise."""
    return getattr(part, "kind", VECTORS)


def metrics_of_other_kinds(features: Features, metrics: Mapping[str, ImageMetric]) -> dict[str, str]:
    """The reason why each metric that these features are not for is left out."""
    return {
        name: f"it needs {'whole images, such as by features=inception' if kind == VECTORS else f'features={kind}'}"
        for name, metric in metrics.items()
        if (kind := kind_of(metric)) != kind_of(features) and not isinstance(metric, ModelMetric)
    }

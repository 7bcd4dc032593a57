"""One pass over samples through the feature network, then every metric from the same features."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zerosum.data.images import ImageDataset
from zerosum.distributed import on_rank_zero, all_reduce_sum, rank_and_world_size
from zerosum.errors import UserError
from zerosum.evaluation.protocol import Metric, check_metrics, measure_each, score_by_first
from zerosum.evaluation.reference import FeatureSet, Reference, progress_bar
from zerosum.evaluation.features.extractor import Features
from zerosum.pixels import to_uint8
from zerosum.sampling import Model

CPU = torch.device("cpu")


class ImageProtocol:
    """Metrics of `n_fake` samples, of seeds seed * n_fake .. , against all of a split.

    Samples are rounded to uint8 and generated `batch_size` at a time, whole batches by each process, so that the values
    do not depend on the number of processes. With `floor`, as many pictures of the other split (train, where the split
    is held out) are measured in the samples' place. best.ckpt is chosen by the first metric.
    """

    def __init__(
        self,
        name: str,
        features: Features,
        metrics: dict[str, Metric],
        n_fake: int = 10_000,
        split: str = "test",
        seed: int = 0,
        batch_size: int = 100,
        floor: bool = True,
    ) -> None:
        if n_fake < 2:
            raise UserError(f"protocol.n_fake={n_fake}: a covariance needs at least 2 samples")
        check_metrics(metrics)
        self.name = name
        self.features = features
        self.metrics = metrics
        self.n_fake = n_fake
        self.split = split
        self.seed = seed
        self.batch_size = batch_size
        self.with_floor = floor
        self.left_out: dict[str, str] = {}

    def prepare(self, dataset: ImageDataset, device: torch.device = CPU) -> None:
        """The feature network, then the features of the real pictures, on `device`."""
        if not isinstance(dataset, ImageDataset):
            raise UserError(
                f"protocol={self.name} compares pictures, {type(dataset).__name__} has points: use protocol=points10k"
            )
        self.features.prepare(dataset)
        self.dataset = dataset
        self.device = CPU if device.type == "mps" else device  # MPS has no float64
        self.reference = Reference(dataset, self.features, self.split, self.batch_size, self.device)
        if len(self.reference.real.features) < 2:
            raise UserError(f"the split {self.split} of {dataset.name} has fewer than 2 pictures: choose another")

    def measure(self, model: Model) -> dict[str, float]:
        """The values of all metrics, the same in every process."""
        return on_rank_zero(lambda fake: self.values(fake, self.metrics), self.features_of(model))

    def features_of(self, model: Model) -> FeatureSet:
        """Features of the samples, in the order of their seeds, in every process."""
        rank, processes = rank_and_world_size()
        starts = list(range(0, self.n_fake, self.batch_size))
        network = self.features.network
        features = torch.zeros(self.n_fake, network.num_features, device=self.device)
        logits = torch.zeros(self.n_fake, network.num_classes, device=self.device) if network.num_classes else None
        broken = torch.zeros((), device=self.device)
        for start in progress_bar(starts[rank::processes], "samples", len(starts[rank::processes])):
            rows = slice(start, min(start + self.batch_size, self.n_fake))
            seen, finite = self.forward(model, rows)
            broken += ~finite
            features[rows] = seen.features.float()
            if logits is not None:
                logits[rows] = seen.logits.float()
        if all_reduce_sum(broken):
            raise UserError("the generator's samples hold NaN or infinite values: lower the learning rate")
        return FeatureSet(all_reduce_sum(features), None if logits is None else all_reduce_sum(logits))

    @torch.inference_mode()
    def forward(self, model: Model, rows: slice) -> tuple[Any, Tensor]:
        """What the network makes of the samples of these rows, and whether they were finite."""
        first = self.seed * self.n_fake
        samples = model.sample(range(first + rows.start, first + rows.stop)).to(self.device)
        return self.features.network(to_uint8(samples)), samples.isfinite().all()

    @torch.inference_mode()
    def values(self, fake: FeatureSet, metrics: dict[str, Metric]) -> dict[str, float]:
        """The values of those metrics that can be measured; `left_out` has the reasons for the others."""
        return measure_each(metrics, self.left_out, self.reference, fake)

    def floor(self) -> dict[str, float] | None:
        """Real pictures in the samples' place."""
        other = self.reference.other_split
        metrics = {name: metric for name, metric in self.metrics.items() if metric.has_floor}
        if not self.with_floor or other is None or not metrics:
            return None
        return self.values(self.reference.drawn(other, self.n_fake, self.seed), metrics)

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """By the first metric; greater is better."""
        return score_by_first(self.metrics, values)

    def card(self) -> dict[str, Any]:
        """What the values are."""
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
        for metric in self.metrics.values():
            card.update(metric.describe())
        size = self.features.network.num_features
        if min(card["n_fake"], card["n_real"]) <= size:
            card["warning"] = f"no more pictures than features ({size}) on a side: FID is biased and ranks only"
        return card

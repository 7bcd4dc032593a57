"""One pass over samples through the feature network, then every metric from the same features."""

from typing import Any

import torch
from torch import Tensor

from zerosum.data.pictures import PictureDataset
from zerosum.distributed import from_first, summed, world
from zerosum.errors import UserError
from zerosum.evaluation import Metric, UnmeasurableError
from zerosum.evaluation.reference import FeatureSet, Reference, shown
from zerosum.features import Features
from zerosum.sampling import Model, to_uint8

CPU = torch.device("cpu")


class PictureProtocol:
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
        if not metrics:
            raise UserError("metrics: name at least one, such as metrics=fid, or measure nothing: ~callbacks.evaluate")
        self.name = name
        self.features = features
        self.metrics = metrics
        self.n_fake = n_fake
        self.split = split
        self.seed = seed
        self.batch_size = batch_size
        self.with_floor = floor
        self.left_out: dict[str, str] = {}

    def prepare(self, dataset: PictureDataset, device: torch.device = CPU) -> None:
        """The feature network, then the features of the real pictures, on `device`."""
        if not isinstance(dataset, PictureDataset):
            raise UserError(
                f"protocol={self.name} compares pictures, {type(dataset).__name__} has points: use protocol=modes"
            )
        self.features.prepare(dataset)
        self.dataset = dataset
        self.device = CPU if device.type == "mps" else device  # MPS has no float64
        self.reference = Reference(dataset, self.features, self.split, self.batch_size, self.device)
        if len(self.reference.real.features) < 2:
            raise UserError(f"the split {self.split} of {dataset.name} has fewer than 2 pictures: choose another")

    def measure(self, model: Model) -> dict[str, float]:
        """The values of all metrics, the same in every process."""
        return from_first(lambda fake: self.values(fake, self.metrics), self.sampled(model))

    def sampled(self, model: Model) -> FeatureSet:
        """Features of the samples, in the order of their seeds, in every process."""
        rank, processes = world()
        starts = list(range(0, self.n_fake, self.batch_size))
        network = self.features.network
        features = torch.zeros(self.n_fake, network.num_features, device=self.device)
        logits = torch.zeros(self.n_fake, network.num_classes, device=self.device) if network.num_classes else None
        broken = torch.zeros((), device=self.device)
        for start in shown(starts[rank::processes], "samples", len(starts[rank::processes])):
            rows = slice(start, min(start + self.batch_size, self.n_fake))
            seen, finite = self.seen(model, rows)
            broken += ~finite
            features[rows] = seen.features.float()
            if logits is not None:
                logits[rows] = seen.logits.float()
        if summed(broken):
            raise UserError("the generator's samples hold NaN or infinite values: lower the learning rate")
        return FeatureSet(summed(features), None if logits is None else summed(logits))

    @torch.inference_mode()
    def seen(self, model: Model, rows: slice) -> tuple[Any, Tensor]:
        """What the network makes of the samples of these rows, and whether they were finite."""
        first = self.seed * self.n_fake
        samples = model.sample(range(first + rows.start, first + rows.stop)).to(self.device)
        return self.features.network(to_uint8(samples)), samples.isfinite().all()

    @torch.inference_mode()
    def values(self, fake: FeatureSet, metrics: dict[str, Metric]) -> dict[str, float]:
        """Those metrics that can be measured; why the others cannot is in `left_out`."""
        values: dict[str, float] = {}
        for name, metric in metrics.items():
            try:
                values.update(metric(self.reference, fake))
            except UnmeasurableError as reason:
                self.left_out[name] = str(reason)
        if not values:
            raise UserError(f"nothing can be measured: {'; '.join(self.left_out.values())}")
        return values

    def floor(self) -> dict[str, float] | None:
        """Real pictures in the samples' place."""
        other = self.reference.other_split
        metrics = {name: metric for name, metric in self.metrics.items() if metric.has_floor}
        if not self.with_floor or other is None or not metrics:
            return None
        return self.values(self.reference.drawn(other, self.n_fake, self.seed), metrics)

    def score(self, values: dict[str, float]) -> tuple[float, ...]:
        """The first value, of the first metric, or its negative where a smaller one is better."""
        first = next(iter(self.metrics.values()))
        value = next(iter(values.values()))
        return (value if first.higher_is_better else -value,)

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
        if self.left_out:
            card["left_out"] = self.left_out
        size = self.features.network.num_features
        if min(card["n_fake"], card["n_real"]) <= size:
            card["warning"] = f"no more pictures than features ({size}) on a side: FID is biased and ranks only"
        return card

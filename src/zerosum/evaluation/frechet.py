"""Frechet distance between features of samples and of real pictures (Heusel et al. 2017, equation 6)."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from zerosum.data.pictures import PictureDataset
from zerosum.distributed import world
from zerosum.errors import UserError
from zerosum.features import Features
from zerosum.files import saved_whole
from zerosum.randomness import derive
from zerosum.sampling import Model, images, to_uint8

CPU = torch.device("cpu")
SUMS = ("features_sum", "features_cov_sum", "features_num_samples")


class FrechetDistance:
    """FID of `n_fake` samples, of seeds seed*n_fake .. , against all of a split, by torchmetrics.

    Samples are rounded to uint8. Statistics are summed in float64; those of real pictures are cached by
    (pictures, features). With `floor`, the training split is measured against the held-out one too.
    """

    def __init__(
        self,
        features: Features,
        n_fake: int = 10_000,
        split: str = "test",
        seed: int = 0,
        batch_size: int = 100,
        floor: bool = True,
    ) -> None:
        if n_fake < 2:
            raise UserError(f"protocol.n_fake={n_fake}: a covariance needs at least 2 samples")
        self.features = features
        self.n_fake = n_fake
        self.split = split
        self.seed = seed
        self.batch_size = batch_size
        self.with_floor = floor

    def prepare(self, dataset: PictureDataset, device: torch.device = CPU) -> None:
        """Features, then the statistics of the real pictures, computed on `device`."""
        if not isinstance(dataset, PictureDataset):
            raise UserError(
                f"protocol=frechet compares pictures, {type(dataset).__name__} has points: use protocol=modes"
            )
        self.features.prepare(dataset)
        self.dataset = dataset
        self.device = CPU if device.type == "mps" else device  # MPS has no float64
        self.real = self.statistics(self.split)

    def statistics(self, split: str) -> dict[str, Tensor]:
        """Sums of the features of a split, of their outer products, and their number; cached on disk."""
        key = derive(self.dataset.fingerprint(split), repr(self.features.describe()), self.features.resize)
        path = self.dataset.cache / f"statistics-{key:016x}.pt"
        if not path.exists():
            metric = self.metric().to(self.device)
            for pictures in self.dataset.batches(split, self.batch_size):
                metric.update(pictures.to(self.device), real=True)
            sums = {name: getattr(metric, f"real_{name}").cpu() for name in SUMS}
            saved_whole(path, lambda partial: torch.save(sums, partial))
        return torch.load(path, weights_only=True)

    def metric(self, **options: Any) -> FrechetInceptionDistance:
        """torchmetrics' FID over these features."""
        return FrechetInceptionDistance(self.features.network, reset_real_features=False, **options)

    def measure(self, model: Model) -> dict[str, float]:
        """{"fid": distance}; each process generates its share of the samples."""
        rank, processes = world()
        metric = self.metric()
        if rank == 0:  # sums are added over processes
            for name, total in self.real.items():
                setattr(metric, f"real_{name}", total.clone())
        metric.to(self.device)
        seeds = range(self.seed * self.n_fake + rank, (self.seed + 1) * self.n_fake, processes)
        for samples in images(model, seeds, batch_size=self.batch_size):
            if not samples.isfinite().all():
                raise UserError("the generator's samples hold NaN or infinite values: lower the learning rate")
            metric.update(to_uint8(samples).to(self.device), real=False)
        return {"fid": float(metric.compute())}

    def floor(self) -> dict[str, float] | None:
        """The training split in the model's place, against the held-out one."""
        if not self.with_floor or self.split == "train":
            return None
        metric = self.metric(sync_on_compute=False)
        train = self.statistics("train")
        for name in SUMS:
            setattr(metric, f"fake_{name}", train[name])
            setattr(metric, f"real_{name}", self.real[name])
        metric.orig_dtype = torch.float32
        return {"fid": float(metric.compute())}

    def score(self, values: dict[str, float]) -> tuple[float, ...]:
        """The smaller distance is the better."""
        return (-values["fid"],)

    def card(self) -> dict[str, Any]:
        """What the distance is."""
        return {
            "protocol": "frechet",
            "dataset": self.dataset.name,
            "n_fake": self.n_fake,
            "n_real": int(self.real["features_num_samples"]),
            "split": self.split,
            **self.features.describe(),
            "resize": self.features.resize,
            "rounding": "uint8, to nearest",
            "sample_seed": self.seed,
        }

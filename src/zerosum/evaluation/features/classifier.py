"""A small CNN trained on the labels of the dataset that is measured."""

import logging
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zerosum.data.images import ImageDataset, ShuffledImages
from zerosum.evaluation.cached import derived
from zerosum.errors import UserError
from zerosum.evaluation.features.extractor import FeatureOutput, hash_of
from zerosum.randomness import derive
from zerosum.pixels import from_uint8

log = logging.getLogger("zerosum")


class Classifier(nn.Module):
    """Three strided convolutions and two dense layers; the features are the 64 inputs of the last ReLU.

    They are standardized: mean 0 and deviation 1 over the training split, so that the Frechet distance between
    real pictures and a constant one is at least 64, whatever the dataset.
    """

    mean: Tensor
    deviation: Tensor

    num_features = 64

    def __init__(self, channels: int, resolution: int, classes: int) -> None:
        super().__init__()
        self.num_classes = classes
        side = math.ceil(resolution / 8)
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("deviation", torch.ones(self.num_features))
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * side**2, self.num_features),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(self.num_features, classes))

    def forward(self, pictures: Tensor) -> FeatureOutput:
        """(B, C, H, W) uint8 to features (B, 64) and logits (B, classes)."""
        raw = self.layers(from_uint8(pictures))
        return FeatureOutput((raw - self.mean) / self.deviation, self.head(raw))

    def classify(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.head(self.layers(images))


class ClassifierFeatures:
    """A small classifier of the dataset's own labels, trained on first use and cached.

    `steps` batches of 128 of the training split, Adam, one-cycle learning rate; a function of the data and
    the arguments. Values compare only with values in the same features.
    """

    resize = "none"

    def __init__(self, steps: int = 1000, seed: int = 0) -> None:
        self.steps = steps
        self.seed = seed

    def prepare(self, dataset: ImageDataset) -> None:
        """Train the classifier, or take it from the cache."""
        if dataset.classes is None:
            raise UserError(
                f"features=classifier needs labels and {dataset.name} has none: put each class into a sub-folder,"
                " take features=inception, or measure nothing with ~callbacks.evaluate"
            )
        self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes))
        key = derive(dataset.fingerprint("train"), self.steps, self.seed, repr(self.network))
        path = dataset.cache / f"classifier-{key:016x}.pt"
        stored = derived(path, {"classifier of": dataset.fingerprint("train")}, lambda: self.trained(dataset))
        self.network.load_state_dict(stored["weights"])
        self.network.eval().requires_grad_(False)
        self.accuracy: float = stored["accuracy"]
        self.hash = hash_of(path)
        log.info("Classifier features: %.1f%% test accuracy (%s)", 100 * self.accuracy, path)

    def trained(self, dataset: ImageDataset) -> dict[str, Any]:
        """Weights and accuracy of a newly trained classifier."""
        log.info("Training the classifier for the Frechet distance, once for this dataset ...")
        accuracy = self.train(dataset)
        return {"weights": self.network.state_dict(), "accuracy": accuracy}

    def describe(self) -> dict[str, str | float]:
        """Name, test accuracy and hash."""
        return {"features": "classifier", "features_accuracy": self.accuracy, "features_hash": self.hash}

    def train(self, dataset: ImageDataset) -> float:
        """Fit the network; returns its accuracy on the held-out split."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes or ()))
        stream = ShuffledImages(dataset.split("train"), self.seed, torch.device("cpu"), dataset.flip)
        optimizer = torch.optim.Adam(self.network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=self.steps)
        for step in range(self.steps):
            images, labels = stream.batch(step, 128, slice(0, 128))
            assert labels is not None
            loss = cross_entropy(self.network.classify(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.standardize(dataset)
        return self.test_accuracy(dataset)

    @torch.no_grad()
    def standardize(self, dataset: ImageDataset) -> None:
        """Give the features mean 0 and deviation 1 over the training split."""
        features = torch.cat([self.network(pictures).features for pictures in dataset.batches("train", 512)])
        self.network.mean, self.network.deviation = features.mean(0), features.std(0).clamp(min=1e-6)

    @torch.no_grad()
    def test_accuracy(self, dataset: ImageDataset) -> float:
        """Share of the held-out split that is classified rightly."""
        guesses = [self.network.classify(from_uint8(pictures)).argmax(1) for pictures in dataset.batches("test", 512)]
        return float((torch.cat(guesses).numpy() == dataset.split("test").labels).mean())

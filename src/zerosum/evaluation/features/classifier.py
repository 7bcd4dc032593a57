"""A small CNN trained on the labels of the dataset that is measured."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zerosum.data.images import ImageDataset, ShuffledImages
from zerosum.errors import UserError, one_line
from zerosum.evaluation.cached import check_tensor, load_or_compute
from zerosum.evaluation.features.extractor import FeatureOutput, hash_tensors
from zerosum.pixels import from_uint8
from zerosum.randomness import derive

log = logging.getLogger("zerosum")

SHIPPED = Path(__file__).parent / "weights"
"""Weights for digits, MNIST and Fashion-MNIST, so that their values compare between machines; made by
benchmarks/make_classifiers.py"""


class Classifier(nn.Module):
    """Three strided convolutions and two dense layers; the features are the 64 inputs of the last ReLU.

    They are standardized to mean 0 and deviation 1 over the training split, so that the Frechet distance between
    real images and a single repeated image is at least 64 for every dataset.
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

    def forward(self, images: Tensor) -> FeatureOutput:
        """(B, C, H, W) uint8 to features (B, 64) and logits (B, classes)."""
        raw = self.layers(from_uint8(images))
        return FeatureOutput((raw - self.mean) / self.deviation, self.head(raw))

    def classify(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.head(self.layers(images))


class ClassifierFeatures:
    """A small classifier of the dataset's own labels: shipped for some datasets, else trained on first use and cached.

    It is trained on `steps` batches of 128 of the training split with Adam and a one-cycle learning rate, in one
    thread. Data, arguments and the machine's arithmetic determine the weights. Values compare only if their
    features_hash is equal: give another machine the file in the cache.
    """

    name = "classifier"
    resize = "none"

    def __init__(self, steps: int = 1000, seed: int = 0) -> None:
        self.steps = steps
        self.seed = seed

    def prepare(self, dataset: ImageDataset) -> None:
        """Load the classifier, shipped or from the cache, or train it."""
        if dataset.classes is None:
            raise UserError(
                f"features=classifier needs labels and {dataset.name} has none: put each class into a sub-folder,"
                " take features=patches metrics=sliced_wasserstein, which needs none, or features=inception"
            )
        self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes))
        key = self.key(dataset)
        path = next(SHIPPED.glob(f"*-{key}.safetensors"), None)
        if path is not None:
            content = load_shipped(path)
            self.check(content)
        else:
            path = dataset.cache / f"classifier-{key}.pt"
            made_of = {"classifier of": dataset.fingerprint("train")}
            content = load_or_compute(path, made_of, lambda: self.fit(dataset), self.check)
        self.network.load_state_dict(content["weights"])
        self.network.eval().requires_grad_(False)
        self.accuracy: float = content["accuracy"]
        self.hash = hash_tensors(content["weights"])
        log.info("Classifier features: %.1f%% test accuracy (%s)", 100 * self.accuracy, path)

    def key(self, dataset: ImageDataset) -> str:
        """16 hexadecimal digits that stand for the training images, the network and how it is trained."""
        shapes = {name: tuple(weight.shape) for name, weight in self.network.state_dict().items()}
        return f"{derive(dataset.fingerprint('train'), self.steps, self.seed, str(shapes)):016x}"

    def fit(self, dataset: ImageDataset) -> dict[str, Any]:
        """Train the classifier; returns its weights and accuracy."""
        log.info("Training the classifier for the Frechet distance, once for this dataset ...")
        with one_thread():
            accuracy = self.train(dataset)
        return {"weights": self.network.state_dict(), "accuracy": accuracy}

    def check(self, content: dict[str, Any]) -> None:
        """ValueError unless the content holds finite weights of this network and an accuracy."""
        weights, accuracy = content.get("weights"), content.get("accuracy")
        expected = self.network.state_dict()
        if not isinstance(weights, dict) or weights.keys() != expected.keys():
            raise ValueError("it does not hold the weights of this classifier")
        for name, weight in expected.items():
            check_tensor(name, weights[name], weight.shape, weight.dtype)
        if not isinstance(accuracy, float) or not 0 <= accuracy <= 1:
            raise ValueError("its accuracy is not a share")

    def describe(self) -> dict[str, str | float]:
        """Name, test accuracy and hash."""
        return {"features": self.name, "features_accuracy": self.accuracy, "features_hash": self.hash}

    def train(self, dataset: ImageDataset) -> float:
        """Fit the network; returns its accuracy on the held-out split."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes or ()))
        stream = ShuffledImages(dataset.split("train"), self.seed, torch.device("cpu"), flip=False)
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
        features = torch.cat([self.network(images).features for images in dataset.batches("train", 512)])
        self.network.mean, self.network.deviation = features.mean(0), features.std(0).clamp(min=1e-6)

    @torch.no_grad()
    def test_accuracy(self, dataset: ImageDataset) -> float:
        """Share of the held-out split that is classified correctly."""
        guesses = [self.network.classify(from_uint8(images)).argmax(1) for images in dataset.batches("test", 512)]
        return float((torch.cat(guesses).numpy() == dataset.split("test").labels).mean())


def load_shipped(path: Path) -> dict[str, Any]:
    """Weights and test accuracy from a file of the package; UserError if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            accuracy = float(file.metadata()["accuracy"])
        return {"weights": load_file(path), "accuracy": accuracy}
    except Exception as error:  # safetensors has an error of its own
        raise UserError(f"{path} is damaged ({one_line(error)}): install zerosum again") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: sums over several depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

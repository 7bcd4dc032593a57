"""A small CNN trained on the labels of the dataset that is measured."""

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from zerosum.data.images import ImageDataset
from zerosum.errors import UserError, one_line
from zerosum.evaluation.cached import check_tensor, load_or_compute
from zerosum.evaluation.features.extractor import hash_tensors
from zerosum.evaluation.features.small_classifier import (
    Classifier,
    one_thread,
    share_classified_correctly,
    train_classifier,
)
from zerosum.randomness import derive

log = logging.getLogger("zerosum")

SHIPPED = Path(__file__).parent / "weights"
"""Weights for digits, MNIST and Fashion-MNIST, so that their values compare between machines; made by
benchmarks/make_classifiers.py"""


class ClassifierFeatures:
    """A small classifier of the dataset's own labels: shipped for some datasets, else trained on first use and cached.

    It is trained on `steps` batches of the training split as `train_classifier` says. Values compare only if their
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
        place = path.name if path.parent == SHIPPED else path
        log.info("Classifier features: %.1f%% test accuracy (%s)", 100 * self.accuracy, place)

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
        self.network = train_classifier(dataset.split("train"), len(dataset.classes or ()), self.steps, self.seed)
        self.standardize(dataset)
        return self.test_accuracy(dataset)

    @torch.no_grad()
    def standardize(self, dataset: ImageDataset) -> None:
        """Give the features mean 0 and deviation 1 over the training split."""
        features = torch.cat([self.network(images).features for images in dataset.batches("train", 512)])
        self.network.mean, self.network.deviation = features.mean(0), features.std(0).clamp(min=1e-6)

    def test_accuracy(self, dataset: ImageDataset) -> float:
        """Share of the held-out split that is classified correctly."""
        return share_classified_correctly(self.network, dataset.split("test"))


def load_shipped(path: Path) -> dict[str, Any]:
    """Weights and test accuracy from a file of the package; UserError if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            accuracy = float(file.metadata()["accuracy"])
        return {"weights": load_file(path), "accuracy": accuracy}
    except Exception as error:  # safetensors has an error of its own
        raise UserError(f"{path} is damaged ({one_line(error)}): install zerosum again") from error

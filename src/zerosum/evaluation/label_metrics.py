"""Metrics of what a model knows of labels: of the classes that samples were asked for, or of images it classifies."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from zerosum.data.images import ImageDataset, Split
from zerosum.distributed import on_rank_zero
from zerosum.errors import DivergedError, UnmeasurableError, UserError
from zerosum.evaluation.features.small_classifier import BATCH, share_classified_correctly, train_classifier
from zerosum.evaluation.protocol import Direction, ImageSampling
from zerosum.evaluation.reference import FeatureSet, Reference, draw_rows, predicted_classes
from zerosum.pixels import from_uint8
from zerosum.sampling import Model

FEWEST_STEPS = 10
"""Shorter one-cycle schedules have no cycle"""


class ConditionalAccuracy:
    """Share of samples that the features' classifier, trained on real images, puts into the class asked for."""

    better: ClassVar[dict[str, Direction]] = {"conditional_accuracy": "higher", "conditional_accuracy_lowest": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"conditional_accuracy": share of all samples, "conditional_accuracy_lowest": of the class with the least}"""
        guesses = predicted_classes(reference, fake, "conditional_accuracy")
        if fake.labels is None:
            raise UnmeasurableError(not_asked("conditional_accuracy"))
        right = guesses == fake.labels
        shares = [right[fake.labels == label].double().mean() for label in fake.labels.unique()]
        return {
            "conditional_accuracy": float(right.double().mean()),
            "conditional_accuracy_lowest": float(torch.stack(shares).min()),
        }

    def measure_real(self, protocol: ImageSampling) -> dict[str, float]:
        """The classifier's accuracy on held-out images: it knows the training images too well to be asked for them.

        The lowest of shares is lower where each is of fewer images, so it has a floor of as many images alone.
        """
        values = self(protocol.reference, protocol.reference.load("test"))
        if len(protocol.reference.load("test").features) < protocol.n_fake:
            del values["conditional_accuracy_lowest"]
        return values

    def describe(self) -> dict[str, Any]:
        return {}


class CAS:
    """Classification accuracy score (Ravuri and Vinyals 2019): of a classifier trained on samples, on held-out images.

    The classifier is that of features=classifier, trained for `steps` batches on the protocol's samples, with the
    labels that they were asked for. That takes as long whatever the number of samples: about half a minute of one core
    for images of 32 pixels, at each evaluation and once for the floor.
    """

    better: ClassVar[dict[str, Direction]] = {"cas": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, steps: int = 1000, seed: int = 0) -> None:
        if steps < FEWEST_STEPS:
            raise UserError(f"metrics.cas.steps={steps}: choose {FEWEST_STEPS} or more")
        self.steps = steps
        self.seed = seed

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"cas": accuracy}; every process makes a part of the samples, the first one trains."""
        labels = protocol.asked_labels(model)
        if labels is None:
            raise UnmeasurableError(not_asked("cas"))
        held_out_images(protocol.dataset, "cas")
        samples = protocol.sample_images(model).permute(0, 2, 3, 1).cpu().numpy()
        split = Split(np.ascontiguousarray(samples), labels.cpu().numpy())
        return on_rank_zero(lambda train: self.train_and_test(protocol.dataset, train), split)

    def measure_real(self, protocol: ImageSampling) -> dict[str, float]:
        """The same of as many training images."""
        held_out_images(protocol.dataset, "cas")
        images, labels, *_ = protocol.dataset.split("train")
        if labels is None or len(images) < protocol.n_fake:
            raise UnmeasurableError(f"train has {len(images):,} images, fewer than the {protocol.n_fake:,} samples")
        rows = draw_rows(len(images), protocol.n_fake, protocol.seed).numpy()
        return self.train_and_test(protocol.dataset, Split(images[rows], labels[rows]))

    def train_and_test(self, dataset: ImageDataset, train: Split) -> dict[str, float]:
        """Train on `train`, test on the held-out split."""
        network = train_classifier(train, len(dataset.classes or ()), self.steps, self.seed, "classifier of cas")
        return {"cas": share_classified_correctly(network, held_out_images(dataset, "cas"))}

    def describe(self) -> dict[str, Any]:
        return {"cas_classifier": f"{self.steps} batches of {BATCH}, seed {self.seed}"}


class HeldOutErrors:
    """Errors of a model that classifies, as one trained with labels, on the n_real images of the test split."""

    better: ClassVar[dict[str, Direction]] = {"test_errors": "lower", "test_accuracy": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = False

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"test_errors": count, "test_accuracy": share}"""
        if not callable(getattr(model, "classify", None)):
            raise UnmeasurableError("test_errors needs a model that classifies, as labels=semi_supervised trains")
        if protocol.split != "test":
            raise UnmeasurableError("test_errors are those on held-out images: set protocol.split=test")
        held_out_images(protocol.dataset, "test_errors")
        errors, count = on_rank_zero(lambda classifier: count_errors(protocol, classifier), model)
        return {"test_errors": float(errors), "test_accuracy": 1 - errors / count}

    def describe(self) -> dict[str, Any]:
        return {}


@torch.inference_mode()
def count_errors(protocol: ImageSampling, model: Any) -> tuple[int, int]:
    """How many images of the test split `model.classify` puts into another class than their own, and of how many."""
    labels = held_out_images(protocol.dataset, "test_errors").labels
    device = getattr(model, "device", protocol.device)
    batches = protocol.dataset.batches("test", protocol.batch_size)
    logits = torch.cat([check_logits(model.classify(from_uint8(images).to(device))) for images in batches])
    return int((logits.argmax(1).cpu().numpy() != labels).sum()), len(logits)


def check_logits(logits: Tensor) -> Tensor:
    """The logits; DivergedError at NaN, which is no guess, or infinite ones."""
    if not logits.isfinite().all():
        raise DivergedError("the model's class logits hold NaN or infinite values: lower the learning rate")
    return logits


def held_out_images(dataset: ImageDataset, metric: str) -> Split:
    """The test split; UnmeasurableError if there is none or its images have no labels."""
    if "test" not in dataset.splits or dataset.split("test").labels is None:
        raise UnmeasurableError(f"{metric} needs held-out images with labels, {dataset.name} has none")
    return dataset.split("test")


def not_asked(metric: str) -> str:
    """The reason why samples of no asked class cannot be measured."""
    return f"{metric} needs a model that is asked for a class, as labels=projection trains"

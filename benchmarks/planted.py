"""Runs with a planted fault, one for each finding of the doctor, and healthy runs: overrides of the command line."""

import numpy as np

from zerosum.data.digits import Digits
from zerosum.data.images import ImageDataset, Split
from zerosum.evaluation.features.classifier import ClassifierFeatures

BASES = {
    "digits": (
        "dataset=digits",
        *("run.images=30_000", "protocol.n_fake=2_000", "callbacks.evaluate.every=3_000"),
        *("callbacks.logits.every=3_000", "callbacks.weights.every=3_000", "callbacks.curves.every=1_000"),
    ),
    "mnist": (
        "dataset=mnist",
        *("run.images=30_000", "protocol.n_fake=2_000", "callbacks.evaluate.every=3_000"),
        *("callbacks.logits.every=3_000", "callbacks.weights.every=3_000", "callbacks.curves.every=1_000"),
    ),
    "ring": ("experiment=ring", "callbacks.evaluate.every=200_000"),
}
"""What all runs on a dataset share"""

ALONE = ("regularizer=none",)
IMAGES = {
    "discriminator_too_strong": (*ALONE, "optimizer.discriminator.lr=2e-3", "optimizer.generator.lr=1e-5"),
    "discriminator_too_weak": ("optimizer.discriminator.lr=1e-8",),
    "vanishing_gradient": (*ALONE, "loss=minimax", "optimizer.discriminator.lr=2e-3"),
    "collapse": (*ALONE, "game.critic_steps=1", "optimizer.generator.lr=4e-3", "optimizer.betas=[0.9,0.999]"),
    "memorization": (
        *("dataset._target_=planted.FewDigits", "features._target_=planted.DigitsFeatures"),
        *("optimizer.lr=5e-4", "regularizer=none", "run.images=60_000", "callbacks.evaluate.every=6_000"),
        *("callbacks.logits.every=6_000", "callbacks.weights.every=6_000"),
    ),
    "oscillation": (*ALONE, "optimizer.lr=2e-3", "optimizer.betas=[0.9,0.99]", "training.ema_half_life=100"),
    "explosion": (*ALONE, "loss=wasserstein"),
    "learning_rate_too_high": ("optimizer.lr=0.5",),
    "rising": (
        *("callbacks=[default,anneal]", "callbacks.anneal.attribute=optimizers.discriminator.lr"),
        *("callbacks.anneal.start=2e-3", "callbacks.anneal.end=1e-9", "callbacks.anneal.images=12_000"),
        *("optimizer.generator.lr=2e-3", "training.ema_half_life=1_000"),
    ),
    "batch_leak": (*ALONE, "training.batch_size=16", "optimizer.discriminator.lr=1e-3"),
}
POINTS = {
    "discriminator_too_strong": (*ALONE, "optimizer.discriminator.lr=1e-2", "optimizer.generator.lr=1e-5"),
    "discriminator_too_weak": ("optimizer.discriminator.lr=1e-8",),
    "vanishing_gradient": (*ALONE, "loss=minimax", "optimizer.discriminator.lr=1e-2", "optimizer.generator.lr=1e-4"),
    "collapse": (*ALONE, "optimizer.generator.lr=5e-3", "optimizer.discriminator.lr=1e-5"),
    "oscillation": (*ALONE, "optimizer.betas=[0.9,0.999]", "training.ema_half_life=1_000"),
    "explosion": (*ALONE, "loss=wasserstein", "optimizer.discriminator.lr=1e-2"),
    "learning_rate_too_high": ("optimizer.lr=0.3",),
    "rising": (
        *("callbacks=[default,anneal]", "callbacks.anneal.attribute=optimizers.discriminator.lr"),
        *("callbacks.anneal.start=1e-3", "callbacks.anneal.end=1e-9", "callbacks.anneal.images=600_000"),
        "training.ema_half_life=50_000",
    ),
}
FAULTS = {"digits": IMAGES, "mnist": {name: IMAGES[name] for name in IMAGES if name != "memorization"}, "ring": POINTS}
"""{dataset: {finding: overrides}}"""


class FewDigits(Digits):
    """64 training images of the digits, so that G and D can learn them by heart."""

    COUNT = 64

    def read(self, split: str) -> Split:
        """The first training images, or all held-out ones."""
        whole = super().read(split)
        count = self.COUNT if split == "train" else len(whole.images)
        return Split(np.ascontiguousarray(whole.images[:count]), None if whole.labels is None else whole.labels[:count])


class DigitsFeatures(ClassifierFeatures):
    """The classifier of all the digits."""

    def prepare(self, dataset: ImageDataset) -> None:
        """Load the classifier that is shipped for the digits."""
        super().prepare(Digits(dataset.resolution, str(dataset.cache.parent)))

"""A small CNN that classifies images, and how it is trained on given images and labels."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zerosum.console import track
from zerosum.data.images import ShuffledImages, Split
from zerosum.evaluation.features.extractor import FeatureOutput
from zerosum.pixels import from_uint8

BATCH = 128
"""Images in a training step"""


class Classifier(nn.Module):
    """Three strided convolutions and two dense layers; the features are the 64 inputs of the last ReLU.

    As features they are standardized to mean 0 and deviation 1 over the training split, so that the Frechet distance
    between real images and a single repeated image is at least 64 for every dataset.
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


def train_classifier(split: Split, classes: int, steps: int, seed: int, what: str = "classifier") -> Classifier:
    """A classifier trained on the images and labels of `split` for `steps` batches of 128, in one thread on the CPU.

    Adam with a one-cycle learning rate; `what` names the bar on a terminal. Images, labels, arguments and the machine's
    arithmetic determine the weights.
    """
    height, _, channels = split.images.shape[1:]
    labelled = Split(split.images, split.labels)  # attributes would take the place of labels in a batch
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        network = Classifier(channels, height, classes)
        stream = ShuffledImages(labelled, seed, torch.device("cpu"), flip=False)
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
        for step in track(range(steps), what, steps):
            images, labels = stream.batch(step, BATCH, slice(0, BATCH))
            assert labels is not None
            loss = cross_entropy(network.classify(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network


@torch.inference_mode()
def share_classified_correctly(network: Classifier, split: Split) -> float:
    """Share of a split's images that are put into the class of their label."""
    parts = range(0, len(split.images), 512)
    batches = (torch.from_numpy(np.array(split.images[start : start + 512])).permute(0, 3, 1, 2) for start in parts)
    guesses = torch.cat([network.classify(from_uint8(batch)).argmax(1) for batch in batches])
    return float((guesses.numpy() == split.labels).mean())


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: sums over several depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

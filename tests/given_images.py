"""Given images as a dataset, as a model and as features, for tests of protocols."""

import numpy as np
import torch
from torch import nn

from zerosum.data.images import ImageDataset, Split
from zerosum.evaluation.features.extractor import FeatureOutput
from zerosum.pixels import from_uint8


class FirstPixels(nn.Module):
    """Features that are three pixels of the image."""

    num_features = 3
    num_classes = None

    def forward(self, images):
        return FeatureOutput(images.flatten(1)[:, :3].float(), None)


class Pixels:
    resize = "none"
    network = FirstPixels()

    def prepare(self, dataset):
        pass

    def describe(self):
        return {"features": "pixels"}


class Arrays(ImageDataset):
    """Given images without labels."""

    def __init__(self, train, test, root):
        super().__init__(train.shape[1], str(root))
        self.channels = train.shape[3]
        self.arrays = {"train": train, "test": test}

    def read(self, split):
        return Split(self.arrays[split], None)


class Fixed:
    """A model whose sample of seed i is image i."""

    def __init__(self, images):
        self.images = from_uint8(torch.from_numpy(images).permute(0, 3, 1, 2))

    def sample(self, seeds, condition=None):
        return self.images[list(seeds)]


def draw_images(count, low, high, seed):
    """Noise (count, 4, 4, 1)."""
    return np.random.default_rng(seed).integers(low, high, (count, 4, 4, 1), dtype=np.uint8)


def draw_patchworks(count, low, high, seed):
    """(count, 32, 32, 3): an untrained network sees more difference between patchworks than between noises."""
    patches = np.random.default_rng(seed).integers(low, high, (count, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)

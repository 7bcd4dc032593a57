"""Feature sets in place of real images, for tests of metrics."""

import torch

from zerosum.evaluation.frechet import fit_gaussian


class GivenReference:
    """The real side of a metric, made of given feature sets."""

    def __init__(self, classes=("0", "1"), **sets):
        self.sets = sets
        self.dataset = type("Named", (), {"splits": tuple(sets), "classes": classes, "name": "Given"})

    def load(self, split):
        return self.sets[split]

    real = property(lambda self: self.sets["test"])
    gaussian = property(lambda self: fit_gaussian(self.real.features))


def draw(count, seed, shift=0.0, size=6, scale=1.0):
    return scale * torch.randn(count, size, generator=torch.Generator().manual_seed(seed)) + shift

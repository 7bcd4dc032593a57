"""Test errors of the semi-supervised preset's discriminator trained on its 100 labels alone, without a game.

    python benchmarks/labels_alone.py [root] [steps] > benchmarks/results/labels_alone_<hardware>_<date>.md

The same network, augmentation, optimizer, labelled images and moving average as experiment=mnist_100_labels of each
seed; root is the folder of the data. The cost of the labels is near 0 long before the last step.
"""

import platform
import sys
from datetime import date

import torch
from torch.nn.functional import cross_entropy

from zerosum.data.images import ImageDataset
from zerosum.experiment.build import build, make
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.gan.gan import GAN
from zerosum.pixels import from_uint8
from zerosum.randomness import generator
from zerosum.training.process import silence_libraries

SEEDS = (0, 1, 2)


def train_alone(seed: int, root: str, steps: int) -> tuple[int, int, float]:
    """Test errors, test images and the last cost of one draw of the labelled images."""
    config = compose("experiment=mnist_100_labels", f"seed={seed}", f"dataset.root={root}", "trainer=cpu")
    config.callbacks, config.logger = {}, {}
    gan = build(validate(config)).module
    assert isinstance(gan, GAN) and gan.classifier is not None
    dataset = make(validate(config)["dataset"])
    term = gan.regularizers["labelled"]
    term.begin(dataset)
    optimizer = torch.optim.Adam(gan.discriminator.parameters(), lr=config.optimizer.lr, betas=(0.5, 0.999))
    torch.manual_seed(seed)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = config.optimizer.lr * (1 - step / steps)
        rows = torch.randperm(term.count, generator=generator(seed, step, "alone"))
        class_logits = gan.score(term.images[rows], None).class_logits
        assert class_logits is not None
        cost = cross_entropy(class_logits, term.labels[rows])
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        gan.classifier.update(gan.discriminator, term.count, (step + 1) * term.count)
    return (*count_errors(gan, dataset), float(cost.detach()))


@torch.no_grad()
def count_errors(gan: GAN, dataset: ImageDataset) -> tuple[int, int]:
    """Errors of the held-out images, and how many those are."""
    images, labels, *_ = dataset.split("test")
    assert labels is not None
    pixels = from_uint8(torch.from_numpy(images).permute(0, 3, 1, 2))
    guesses = torch.cat([gan.classify(part).argmax(1) for part in pixels.split(1000)])
    return int((guesses != torch.from_numpy(labels)).sum()), len(labels)


if __name__ == "__main__":
    root, steps = sys.argv[1] if len(sys.argv) > 1 else "data", int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    silence_libraries()
    rows = [(seed, *train_alone(seed, root, steps)) for seed in SEEDS]
    print("# The discriminator of experiment=mnist_100_labels on its labels alone\n")
    print(f"{date.today()}, {platform.machine()}, torch {torch.__version__}, {steps:,} steps\n")
    print("| seed | errors | test images | last cost |\n|---|---|---|---|")
    for seed, errors, count, cost in rows:
        print(f"| {seed} | {errors:,} | {count:,} | {cost:.4f} |")

"""Train the classifiers whose weights zerosum ships, so that their FIDs compare between machines.

    python benchmarks/make_classifiers.py [root]

reads (or downloads) the datasets below `root`, by default data, and writes one file of about 500 kB for each to
src/zerosum/evaluation/features/weights/.
"""

import sys

from safetensors.torch import save_file

from zerosum.data.digits import Digits
from zerosum.data.images import ImageDataset
from zerosum.data.torchvision_datasets import MNIST, FashionMNIST
from zerosum.evaluation.features.classifier import SHIPPED, ClassifierFeatures
from zerosum.evaluation.features.small_classifier import Classifier


def ship(dataset: ImageDataset) -> None:
    """Train the classifier of one dataset and write its weights, with what they were made of."""
    features = ClassifierFeatures()
    features.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes or ()))
    content, key = features.fit(dataset), features.key(dataset)
    facts = {"dataset": dataset.name, "images": dataset.fingerprint("train"), "accuracy": repr(content["accuracy"])}
    weights = {name: weight.contiguous() for name, weight in content["weights"].items()}
    save_file(weights, SHIPPED / f"{dataset.name}-{key}.safetensors", facts)
    print(f"{dataset.name}: {content['accuracy']:.1%} test accuracy, {dataset.name}-{key}.safetensors")


if __name__ == "__main__":
    root = sys.argv[1] if len(sys.argv) > 1 else "data"
    for dataset in (Digits(root=root), MNIST(root=root), FashionMNIST(root=root)):
        ship(dataset)

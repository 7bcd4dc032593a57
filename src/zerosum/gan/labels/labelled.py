"""Semi-supervised training: a few labelled images, and D's term that alone sees their labels."""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from zerosum.data.dataset import Dataset
from zerosum.data.images import ImageDataset
from zerosum.errors import UserError
from zerosum.gan import draws
from zerosum.gan.regularizers import Critic, Regularizer, ScoredBatch
from zerosum.pixels import from_uint8
from zerosum.randomness import generator


class Labelled(Regularizer):
    """-E log p(y | x, y <= K) on batches of `count` labelled images (Salimans et al. 2016, section 5, L_supervised).

    As many images of each class are chosen from the training split once, by `seed` alone; no other label is read by
    training. Each batch is as large as that of the real images, and a function of the step.
    """

    indices: Tensor
    images: Tensor
    labels: Tensor

    def __init__(self, count: int, seed: int, weight: float = 1.0) -> None:
        super().__init__(weight)
        if count < 1:
            raise UserError(f"labels.labelled={count}: choose a multiple of the number of classes, such as 100")
        self.count = count
        self.seed = seed
        self.register_buffer("indices", torch.zeros(count, dtype=torch.int64))

    def begin(self, dataset: Dataset) -> None:
        """Choose the images, and keep them with their labels."""
        if not isinstance(dataset, ImageDataset) or dataset.num_classes is None:
            name = type(dataset).__name__
            raise UserError(f"labels=semi_supervised needs a dataset of images with labels, and {name} is another")
        split, device = dataset.split("train"), self.indices.device
        assert split.labels is not None, "a dataset with classes has labels"
        chosen = choose_balanced(split.labels, dataset.num_classes, self.count, self.seed)
        self.indices.copy_(torch.from_numpy(chosen))
        pixels = torch.from_numpy(np.array(split.images[chosen])).permute(0, 3, 1, 2)
        self.images = from_uint8(pixels).to(device)
        self.labels = torch.from_numpy(split.labels[chosen]).to(device)

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """One more forward of D."""
        rows = draws.rows(real.images, self.count)
        class_logits = critic(self.images[rows]).class_logits
        if class_logits is None:
            raise UserError("the term labelled needs a D that guesses labels: set labels=semi_supervised")
        return cross_entropy(class_logits, self.labels[rows])

    def facts(self) -> dict[str, Any]:
        """How many labels, and a hash of the indices of their images in the training split."""
        digest = hashlib.blake2b(self.indices.cpu().numpy().tobytes(), digest_size=8)
        return {"labelled": self.count, "labelled_indices": digest.hexdigest()}


def choose_balanced(labels: np.ndarray, num_classes: int, count: int, seed: int) -> np.ndarray:
    """Ascending indices of count / num_classes images of each class, drawn by the seed; UserError if there are less."""
    each = count // num_classes
    chosen = []
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < each:
            raise UserError(
                f"labels.labelled={count} asks for {each} images of each class, and class {label} has {len(rows)}:"
                f" choose at most {num_classes * int(np.bincount(labels, minlength=num_classes).min())}"
            )
        order = torch.randperm(len(rows), generator=generator(seed, label, "labelled")).numpy()
        chosen.append(rows[order[:each]])
    return np.sort(np.concatenate(chosen))


def check_balanced(count: int, num_classes: int) -> None:
    """UserError if the classes cannot have equally many labelled images."""
    if count % num_classes:
        raise UserError(
            f"labels.labelled={count} does not divide by the {num_classes} classes: choose"
            f" {max(1, round(count / num_classes)) * num_classes}"
        )

"""The training images nearest to samples, and whether samples are nearer to them than held-out images are."""

import torch
from torch import Tensor

from zerosum.drawing.grid import add_caption, grid, save_png, stack
from zerosum.errors import check_positive
from zerosum.evaluation.neighbour_metrics import Nearest, nearest
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.pixels import from_uint8, to_uint8


class Neighbours:
    """Looks for the nearest training image of each of `count` samples, in pixels and in a classifier's features.

    The `shown` samples that are nearest to one are drawn above it: copies would stand there. As many held-out images
    are compared in the same way: samples should not be nearer to the training images than they are.
    """

    def __init__(self, count: int = 1000, shown: int = 10, seed: int = 0) -> None:
        check_positive("neighbours", count=count, shown=shown)
        self.count = count
        self.shown = min(shown, count)
        self.seed = seed

    def __call__(self, subject: Subject) -> Found:
        """Write neighbours.png and the median distances."""
        check_images(subject.model)
        samples = torch.as_tensor(subject.model.sample(range(self.seed, self.seed + self.count)))
        train = all_images(subject, "train")
        held_out = all_images(subject, "test")[: self.count] if "test" in subject.dataset.splits else None
        values: dict[str, dict[str, float]] = {}
        sheets, lines = [], []
        for name, embed in self.spaces(subject).items():
            reference = embed(train)
            found = nearest(embed(to_uint8(samples)), reference)
            distances = {"samples": found.distances}
            if held_out is not None:
                distances["held_out_images"] = nearest(embed(held_out), reference).distances
            values[name] = {each: float(found.median()) for each, found in distances.items()}
            sheets.append(self.draw(samples, train, found, name))
            lines.append(f"{name}: median distance to the nearest training image: {say(values[name])}")
        path = subject.folder / "neighbours.png"
        save_png(stack(sheets), path)
        return Found(values, lines, [path])

    def spaces(self, subject: Subject) -> dict:
        """Functions of images (N, C, H, W) uint8 to vectors (N, F), by name."""
        spaces = {"pixels": lambda images: images.flatten(1).float() / 127.5}
        if subject.dataset.classes is not None:
            network = subject.classifier.network

            def features(images: Tensor) -> Tensor:
                with torch.inference_mode():
                    return torch.cat([network(part).features for part in images.split(512)])

            spaces["features"] = features
        return spaces

    def draw(self, samples: Tensor, train: Tensor, found: Nearest, name: str):  # noqa: ANN201
        """The nearest pairs, the nearest first: samples above their neighbours."""
        rows = found.distances.argsort()[: self.shown]
        images = from_uint8(train[found.indices[rows]])
        far = float(found.distances[rows[-1]])
        return stack(
            [
                add_caption(grid(samples[rows], self.shown), f"of {self.count:,} samples, those nearest by {name}"),
                add_caption(grid(images, self.shown), f"the training images, at distances up to {far:.3g}"),
            ]
        )


def all_images(subject: Subject, split: str) -> Tensor:
    """(N, C, H, W) uint8."""
    return torch.cat(list(subject.dataset.batches(split, 4096)))


def say(distances: dict[str, float]) -> str:
    """'samples 3.1, held out images 3.0'."""
    return ", ".join(f"{name.replace('_', ' ')} {distance:.3g}" for name, distance in distances.items())

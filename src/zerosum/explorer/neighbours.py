"""The training images nearest to samples, and whether samples are nearer to them than held-out images are."""

import torch
from PIL import Image
from torch import Tensor

from zerosum.drawing.grid import add_caption, grid, save_png, stack
from zerosum.evaluation.neighbour_metrics import Nearest, nearest
from zerosum.explorer.options import check_neighbours
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.pixels import from_uint8, to_uint8


class Neighbours:
    """Looks for the nearest training image of each of `count` samples, in pixels and in a classifier's features.

    The first `shown` samples are drawn with theirs, and those that are nearest to one: copies would stand there.
    As many held-out images are compared in the same way: samples should not be nearer to the training images than
    these are.
    """

    def __init__(self, count: int = 1000, shown: int = 10, seed: int = 0) -> None:
        check_neighbours(count, shown, seed)
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

    def draw(self, samples: Tensor, train: Tensor, found: Nearest, name: str) -> Image.Image:
        """Samples above their neighbours: the first ones, then the nearest pairs, the nearest first."""
        pairs = {
            f"seeds from {self.seed} on": torch.arange(self.shown),
            f"those of {self.count:,} samples that are nearest": found.distances.argsort()[: self.shown],
        }
        sheets = []
        for title, rows in pairs.items():
            far = float(found.distances[rows].max())
            neighbours = grid(from_uint8(train[found.indices[rows]]), self.shown)
            sheets += [add_caption(grid(samples[rows], self.shown), title)]
            sheets += [add_caption(neighbours, f"nearest training images by {name}, at distances up to {far:.3g}")]
        return stack(sheets)


def all_images(subject: Subject, split: str) -> Tensor:
    """(N, C, H, W) uint8."""
    return torch.cat(list(subject.dataset.batches(split, 4096)))


def say(distances: dict[str, float]) -> str:
    """'samples 3.1, held out images 3.0'."""
    return ", ".join(f"{name.replace('_', ' ')} {distance:.3g}" for name, distance in distances.items())

"""Conditions with several right answers, whose probabilities are known."""

import colorsys
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from zerosum.data.images import ImageDataset, Split
from zerosum.data.torchvision_datasets import MNIST, resample
from zerosum.errors import UserError
from zerosum.randomness import derive, generator

BOX = slice(5, 27)
"""The part of an MNIST image of 32 pixels that its digit fills"""


class KnownAnswers(ImageDataset):
    """Digits of MNIST, each a condition with K answers; one is drawn, by `seed`, with the probabilities `law`."""

    classes = tuple("0123456789")

    def __init__(self, law: Sequence[float], resolution: int, digits: MNIST, seed: int) -> None:
        super().__init__(resolution, str(digits.root))
        self.law = np.array(law, dtype=np.float64)
        if len(law) < 2 or not (self.law > 0).all() or abs(self.law.sum() - 1) > 1e-6:
            raise UserError(f"dataset.law={list(law)}: name two probabilities or more, each above 0, that sum to 1")
        self.seed = seed
        self.digits = digits

    @abstractmethod
    def conditions(self, split: str) -> np.ndarray:
        """(N, h, w, c) uint8 of a split."""

    @abstractmethod
    def answers(self, split: str, rows: np.ndarray) -> np.ndarray:
        """(n, K, H, W, C) uint8: all answers to the conditions of these rows."""

    def read(self, split: str) -> Split:
        labels = self.digits.split(split).labels
        assert labels is not None
        random = np.random.default_rng(derive(self.seed, split, "answers"))
        chosen = random.choice(len(self.law), len(labels), p=self.law)
        images = np.empty((len(labels), self.resolution, self.resolution, self.channels), np.uint8)
        for start in range(0, len(labels), 4096):
            rows = np.arange(start, min(start + 4096, len(labels)))
            images[rows] = self.answers(split, rows)[np.arange(len(rows)), chosen[rows]]
        return Split(images, labels, condition_images=self.conditions(split))


class Dyed(KnownAnswers):
    """A gray digit is to be dyed: hue k of K, evenly spaced from red on, has the probability law[k]."""

    channels = 3

    def __init__(
        self,
        law: Sequence[float] = (0.3, 0.25, 0.2, 0.1, 0.1, 0.05),
        resolution: int = 16,
        root: str = "data",
        download: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(law, resolution, MNIST(resolution, root, download=download), seed)
        self.condition_shape = (1, resolution, resolution)
        self.dyes = np.array([colorsys.hsv_to_rgb(index / len(law), 1.0, 1.0) for index in range(len(law))])

    def conditions(self, split: str) -> np.ndarray:
        return self.digits.split(split).images

    def answers(self, split: str, rows: np.ndarray) -> np.ndarray:
        gray = self.digits.split(split).images[rows]
        return (gray[:, None] * self.dyes[:, None, None]).round().astype(np.uint8)


class Bounce(KnownAnswers):
    """A digit has fallen on the floor: the next frame has it up again, to the left or the right.

    The condition is the two frames before; law is (left, right). The digits are half as wide as a frame of `resolution`
    pixels, a multiple of 16, and move by 3/16 of it.
    """

    channels = 1

    def __init__(
        self,
        law: Sequence[float] = (0.3, 0.7),
        resolution: int = 16,
        root: str = "data",
        download: bool = True,
        seed: int = 0,
    ) -> None:
        if len(law) != 2:
            raise UserError(f"dataset.law={list(law)}: name the probabilities of left and right")
        if resolution < 16 or resolution % 16:
            raise UserError(f"dataset.resolution={resolution}: choose a multiple of 16")
        super().__init__(law, resolution, MNIST(32, root, download=download), seed)
        self.condition_shape = (2, resolution, resolution)
        self.digit, self.step = resolution // 2, 3 * resolution // 16

    def places(self, split: str) -> np.ndarray:
        """(N,): the left ends of the digits when they are on the floor, so that either way leads to a whole digit."""
        count = len(self.digits.split(split).images)
        last = self.resolution - self.digit - self.step
        return torch.randint(self.step, last + 1, (count,), generator=generator(self.seed, split, "places")).numpy()

    def draw_frames(self, split: str, rows: np.ndarray, left: np.ndarray, top: int) -> np.ndarray:
        """(n, H, W) uint8 with the digits of these rows at the places."""
        whole = torch.from_numpy(self.digits.split(split).images[rows])
        small = resample(whole[:, BOX, BOX], self.digit)[..., 0].numpy()
        frames = np.zeros((len(rows), self.resolution, self.resolution), np.uint8)
        down, across = top + np.arange(self.digit), left[:, None] + np.arange(self.digit)  # (d,), (n, d)
        frames[np.arange(len(rows))[:, None, None], down[None, :, None], across[:, None, :]] = small
        return frames

    def conditions(self, split: str) -> np.ndarray:
        rows, places = np.arange(len(self.digits.split(split).images)), self.places(split)
        floor = self.resolution - self.digit
        return np.stack([self.draw_frames(split, rows, places, top) for top in (floor - self.step, floor)], 3)

    def answers(self, split: str, rows: np.ndarray) -> np.ndarray:
        places, top = self.places(split)[rows], self.resolution - self.digit - self.step
        sides = [self.draw_frames(split, rows, places + way, top) for way in (-self.step, self.step)]
        return np.stack(sides, 1)[..., None]

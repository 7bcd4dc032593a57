"""Chords of pure tones: endless sound whose power lies at known frequencies."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.points import KnownDensity
from zerosum.errors import UnmeasurableError, UserError

LOUDNESS = 0.9
"""Greatest value that the tones of a chord can add up to"""


class Tones(KnownDensity):
    """Waves (length,) in [-1, 1]: a sum of equally loud sines of random phases, and white noise of deviation `noise`.

    `frequencies` are in Hz, `sample_rate` is in values a second.
    """

    samples_to_draw = 16
    plural = "sounds"

    def __init__(
        self,
        frequencies: Sequence[float] = (440.0, 554.37, 659.26),
        sample_rate: int = 4000,
        length: int = 512,
        noise: float = 0.01,
    ) -> None:
        if not frequencies or not all(0 < frequency < sample_rate / 2 for frequency in frequencies):
            raise UserError(
                f"dataset.frequencies={list(frequencies)}: take one or more between 0 and half of"
                f" dataset.sample_rate={sample_rate}"
            )
        if length < 16 or not 0 <= noise < 1:
            raise UserError(f"dataset.length={length} dataset.noise={noise}: take at least 16, and 0 up to 1")
        self.frequencies = [float(frequency) for frequency in frequencies]
        self.sample_rate = sample_rate
        self.noise = noise
        self.sample_shape = (length,)

    @property
    def reach(self) -> float:
        """All values lie in [-1, 1]."""
        return 1.0

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, None]:
        """Waves (count, length)."""
        (length,) = self.sample_shape
        phases = 2 * math.pi * torch.rand(count, len(self.frequencies), 1, generator=random)
        turns = torch.arange(length) * torch.tensor(self.frequencies)[:, None] / self.sample_rate  # (tones, length)
        tones = (2 * math.pi * turns + phases).sin().mean(1)
        noise = torch.randn(count, length, generator=random)
        return (LOUDNESS * tones + self.noise * noise).clamp(-1, 1), None

    def log_prob(self, points: Tensor) -> Tensor:
        """The density of a sum of random phases is not computed."""
        raise UnmeasurableError("the density of tones of random phases is not computed")

    def describe(self) -> dict[str, Any]:
        """Frequencies, rate, length and noise, for metric cards."""
        (length,) = self.sample_shape
        return {
            "frequencies": ", ".join(f"{frequency:g}" for frequency in self.frequencies),
            "sample_rate": self.sample_rate,
            "length": length,
            "noise": self.noise,
        }

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """The first waves and their spectrum."""
        from zerosum.drawing.sound import draw_waves  # matplotlib takes a second to import

        return draw_waves(samples, self.sample_rate, self.frequencies)

"""Time series cut into a past, which is known, and a future, which has many answers; some with an exact forecaster."""

import math
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.errors import UserError, check_positive
from zerosum.randomness import generator


class Windows(NamedTuple):
    """N pasts and what followed."""

    images: Tensor
    """Futures (N, future)"""
    attributes: Tensor
    """Pasts (N, past)"""


class Series:
    """The part that all series share; a child has `windows`, and `exact` if the law of the future is known.

    A sample is a future (future,), its condition the past (past,); both have about deviation 1.
    """

    num_classes: int | None = None
    samples_to_draw = 400
    plural = "series"

    def __init__(self, past: int, future: int) -> None:
        check_positive("dataset", past=past, future=future)
        if past < future:
            raise UserError(f"dataset.past={past} must be at least dataset.future={future}")
        self.past = past
        self.future = future
        self.sample_shape = (future,)
        self.num_attributes = past

    @property
    def name(self) -> str:
        """The name that metric cards carry."""
        return type(self).__name__

    def windows(self, count: int, split: str, random: torch.Generator) -> Windows:
        """Drawn at random from the training or the test split."""
        raise NotImplementedError

    def exact(self, pasts: Tensor, count: int, random: torch.Generator) -> Tensor | None:
        """(P, count, future) from the law of the future given each past (P, past); None where no one knows it."""
        return None

    def describe(self) -> dict[str, Any]:
        """The parameters, for metric cards."""
        return {"past": self.past, "future": self.future}

    def prepare(self) -> None:
        """There is nothing to read."""

    def split(self, name: str) -> Windows:
        """A thousand windows of a split."""
        self.prepare()
        return self.windows(1_000, name, generator(0, name, "windows"))

    def stream(self, seed: int, device: torch.device) -> "DrawnWindows":
        """Batches that are functions of (seed, index)."""
        self.prepare()
        return DrawnWindows(self, seed, device)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """A fan for each of `columns` pasts, whose last steps stand in the first row; lines without columns."""
        from zerosum.drawing.fans import draw_fans  # matplotlib takes a second to import

        if columns is None:
            return draw_fans([None], [samples])
        futures = samples.view(-1, columns, self.future)
        return draw_fans(list(futures[0]), list(futures[1:].transpose(0, 1)))


class DrawnWindows:
    """Batches of training windows; each is drawn whole from (seed, index), then sharded."""

    def __init__(self, series: Series, seed: int, device: torch.device) -> None:
        self.series = series
        self.seed = seed
        self.device = device

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """Futures (B, future) with their pasts (B, past)."""
        futures, pasts = self.series.windows(size, "train", generator(self.seed, index, "windows"))
        return Batch(futures[shard].to(self.device), pasts[shard].to(self.device))


class AR2(Series):
    """x_t = first x_{t-1} + second x_{t-2} + sigma e_t, e_t ~ N(0, 1), with sigma such that Var x_t = 1."""

    def __init__(self, first: float = 1.5, second: float = -0.75, past: int = 24, future: int = 16) -> None:
        super().__init__(past, future)
        if past < 2 or not (abs(second) < 1 and abs(first) < 1 - second):
            raise UserError(
                f"dataset.first={first}, second={second}: stationary are |second| < 1 and |first| < 1 - second"
            )
        self.first, self.second = first, second
        self.sigma = math.sqrt((1 + second) * ((1 - second) ** 2 - first**2) / (1 - second))

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "first": self.first, "second": self.second}

    def continued(self, past: Tensor, steps: int, random: torch.Generator) -> Tensor:
        """(N, steps) after pasts (N, 2 or more)."""
        older, newer = past[:, -2], past[:, -1]
        made = []
        for noise in torch.randn(steps, len(past), generator=random):
            older, newer = newer, self.first * newer + self.second * older + self.sigma * noise
            made.append(newer)
        return torch.stack(made, 1)

    def windows(self, count: int, split: str, random: torch.Generator) -> Windows:
        """The first two values are of the stationary law: variance 1, correlation first / (1 - second)."""
        correlation = self.first / (1 - self.second)
        start = torch.randn(count, 2, generator=random)
        start[:, 1] = correlation * start[:, 0] + math.sqrt(1 - correlation**2) * start[:, 1]
        whole = torch.cat([start, self.continued(start, self.past + self.future - 2, random)], 1)
        return Windows(whole[:, self.past :], whole[:, : self.past])

    def exact(self, pasts: Tensor, count: int, random: torch.Generator) -> Tensor:
        made = self.continued(pasts.repeat_interleave(count, 0), self.future, random)
        return made.view(len(pasts), count, self.future)


class RegimeSines(Series):
    """sin(phase) with noise; at a random time of the future the phase begins to run `speed` times as fast.

    The change comes in each step of the future with probability `hazard`, unless it has come. Past values are
    sin(start + 2 pi t / period) + sigma e, with a start that is uniform; the future goes on from there.
    """

    def __init__(
        self,
        period: float = 12.0,
        speed: float = 2.0,
        hazard: float = 0.1,
        sigma: float = 0.1,
        past: int = 24,
        future: int = 16,
    ) -> None:
        super().__init__(past, future)
        if not (period > 2 and speed > 0 and 0 < hazard < 1 and sigma > 0):
            raise UserError("dataset: period is above 2, speed and sigma above 0, hazard between 0 and 1")
        self.period, self.speed, self.hazard, self.sigma = period, speed, hazard, sigma

    def describe(self) -> dict[str, Any]:
        further = {"period": self.period, "speed": self.speed, "hazard": self.hazard, "sigma": self.sigma}
        return {**super().describe(), **further}

    def means(self, start: Tensor) -> Tensor:
        """(N, past) of the phases (N,) of the first value."""
        return (start[:, None] + 2 * math.pi / self.period * torch.arange(self.past)).sin()

    def futures(self, start: Tensor, random: torch.Generator) -> Tensor:
        """(N, future) drawn after phases (N,) of the first value of the past."""
        changes = torch.rand(len(start), self.future, generator=random) < self.hazard
        speeds = torch.where(changes.cumsum(1) > 0, self.speed, 1.0)
        phases = start[:, None] + 2 * math.pi / self.period * (self.past - 1 + speeds.cumsum(1))
        return phases.sin() + self.sigma * torch.randn(phases.shape, generator=random)

    def windows(self, count: int, split: str, random: torch.Generator) -> Windows:
        start = 2 * math.pi * torch.rand(count, generator=random)
        means = self.means(start)
        pasts = means + self.sigma * torch.randn(means.shape, generator=random)
        return Windows(self.futures(start, random), pasts)

    def exact(self, pasts: Tensor, count: int, random: torch.Generator) -> Tensor:
        """The phase is drawn from its posterior given the noisy past, on a grid of a thousand."""
        grid = 2 * math.pi * torch.arange(1_000) / 1_000
        squared = torch.cdist(pasts.double(), self.means(grid).double()).square()  # (P, 1000)
        posterior = (-squared / (2 * self.sigma**2)).softmax(1)
        chosen = grid[torch.multinomial(posterior, count, replacement=True, generator=random)]
        return self.futures(chosen.flatten(), random).view(len(pasts), count, self.future)


class Sunspots(Series):
    """Yearly numbers of sunspots from 1700 on, as statsmodels ships them; their roots, of mean 0 and deviation 1.

    Training windows end before the year `until`; the futures of test windows begin in it or later.
    """

    def __init__(self, until: int = 1900, past: int = 24, future: int = 16) -> None:
        super().__init__(past, future)
        self.until = until
        self.values: dict[str, Tensor] = {}

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "until": self.until}

    def prepare(self) -> None:
        """Read the series and cut it; UserError without statsmodels."""
        if self.values:
            return
        try:
            from statsmodels.datasets import sunspots
        except ImportError as error:
            raise UserError("dataset=sunspots is read from statsmodels: pip install 'zerosum[series]'") from error
        table = sunspots.load_pandas().data
        roots = torch.tensor(table["SUNACTIVITY"].to_numpy(), dtype=torch.float32).sqrt()
        cut = self.until - int(table["YEAR"].iloc[0])
        shortest = self.past + self.future
        if not shortest <= cut <= len(roots) - self.future:
            raise UserError(f"dataset.until={self.until}: too few years lie before or after it")
        known = roots[:cut]
        scaled = (roots - known.mean()) / known.std()
        parts = {"train": scaled[:cut], "test": scaled[cut - self.past :]}
        self.values = {name: part.unfold(0, shortest, 1) for name, part in parts.items()}

    def windows(self, count: int, split: str, random: torch.Generator) -> Windows:
        whole = self.values[split]
        rows = whole[torch.randint(len(whole), (count,), generator=random)]
        return Windows(rows[:, self.past :], rows[:, : self.past])

"""TimeGAN's post-hoc scores of generated series (Yoon et al. 2019, section 5), by a weak judge and a strong one."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from zerosum.errors import check_positive
from zerosum.evaluation.futures import Forecasts
from zerosum.evaluation.protocol import Direction
from zerosum.randomness import derive, generator


class Reader(nn.Module):
    """A GRU over series (B, T) and a linear map of each state: (B, T)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.GRU(1, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        states, _ = self.read(series[..., None])
        return self.head(states).squeeze(2)


class SeriesScores:
    """The discriminative and the predictive score, each by a GRU that is trained on whole windows after the fact.

    `discriminative` is |accuracy - 1/2| of a judge of `width` units that tells real windows from pasts with sampled
    futures, on a quarter of the pasts that it was not trained on; 0 is the best. `predictive` is the mean absolute
    error of the next value, in the future of real windows, of a GRU that was trained on sampled ones. The floor puts
    the exact forecaster in place. A child names its values.
    """

    better: ClassVar[dict[str, Direction]]
    compares: ClassVar[str] = "futures"
    has_floor: ClassVar[bool] = True

    def __init__(self, width: int, steps: int = 1_000, batch: int = 128, seed: int = 0) -> None:
        check_positive("metrics", width=width, steps=steps, batch=batch)
        self.width, self.steps, self.batch, self.seed = width, steps, batch, seed

    def __call__(self, forecasts: Forecasts) -> dict[str, float]:
        real = torch.cat([forecasts.pasts, forecasts.truth], 1)
        sampled = torch.cat([forecasts.pasts, forecasts.sampled[:, 0]], 1)
        future = forecasts.truth.shape[1]
        return dict(
            zip(self.better, (self.discriminate(real, sampled), self.predict(real, sampled, future)), strict=True)
        )

    def reader(self) -> tuple[Reader, torch.optim.Optimizer, torch.Generator]:
        """A new judge, its optimizer, and random numbers for its batches."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "judge"))
            judge = Reader(self.width)
        return judge, torch.optim.Adam(judge.parameters(), lr=3e-3), generator(self.seed, "batches")

    @torch.enable_grad()
    def discriminate(self, real: Tensor, sampled: Tensor) -> float:
        """|accuracy - 1/2| on the last quarter of rows (P, T); rows of one past are on the same side."""
        judge, optimizer, random = self.reader()
        cut = len(real) * 3 // 4
        for _ in range(self.steps):
            rows = torch.randint(cut, (self.batch // 2 or 1,), generator=random)
            logits = judge(torch.cat([real[rows], sampled[rows]]))[:, -1]
            targets = torch.arange(2).repeat_interleave(len(rows)).to(logits)
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(logits, targets).backward()
            optimizer.step()
        with torch.no_grad():
            right = (judge(real[cut:])[:, -1] < 0).double().mean() + (judge(sampled[cut:])[:, -1] > 0).double().mean()
        return abs(float(right) / 2 - 0.5)

    @torch.enable_grad()
    def predict(self, real: Tensor, sampled: Tensor, future: int) -> float:
        """Mean |x_{t+1} - prediction| over the last `future` steps of real rows, trained on sampled ones."""
        reader, optimizer, random = self.reader()
        for _ in range(self.steps):
            batch = sampled[torch.randint(len(sampled), (self.batch,), generator=random)]
            optimizer.zero_grad()
            l1_loss(reader(batch[:, :-1])[:, -future:], batch[:, -future:]).backward()
            optimizer.step()
        with torch.no_grad():
            return float(l1_loss(reader(real[:, :-1])[:, -future:], real[:, -future:]))

    def describe(self) -> dict[str, Any]:
        return {f"judge_of_{self.width}_units": {"steps": self.steps, "batch": self.batch, "seed": self.seed}}


class WeakJudge(SeriesScores):
    """Of two units, as in TimeGAN: little can be told by it."""

    better: ClassVar[dict[str, Direction]] = {"discriminative_weak": "lower", "predictive_weak": "lower"}

    def __init__(self, width: int = 2, steps: int = 1_000, batch: int = 128, seed: int = 0) -> None:
        super().__init__(width, steps, batch, seed)


class StrongJudge(SeriesScores):
    """Of 64 units."""

    better: ClassVar[dict[str, Direction]] = {"discriminative_strong": "lower", "predictive_strong": "lower"}

    def __init__(self, width: int = 64, steps: int = 1_000, batch: int = 128, seed: int = 0) -> None:
        super().__init__(width, steps, batch, seed)

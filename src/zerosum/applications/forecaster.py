"""The same futures without an adversary: a generator that descends a scoring rule."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from zerosum.data.dataset import Batch, DataShape
from zerosum.errors import UserError
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.gan.labels.pasts import PastConditions
from zerosum.sampling import latents
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class ScoredForecaster(OneLoss):
    """Minimizes the energy score of two futures of each past (Gneiting and Raftery 2007, equation 22).

    With `exponent` 1 the score is proper: its only minimum is the law of the future. With 2 it is the squared error of
    the mean future, and says nothing of the spread: the mean of the samples is then the forecast.
    """

    label_use = "conditioned on the past"

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        past: int,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        exponent: float = 1.0,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        if not 0 < exponent <= 2:
            raise UserError(f"model.exponent={exponent}: choose a number above 0, up to 2")
        shape = tuple(sample_shape)
        network = generator(sample_shape=shape, condition_size=past)
        super().__init__(network, optimizer, training, seed)
        self.latent_dim: int = network.latent_dim  # type: ignore[assignment]
        self.conditions = PastConditions(DataShape(shape, num_attributes=past))
        self.exponent = exponent

    def on_fit_start(self) -> None:
        """Keep some pasts to draw from."""
        self.conditions.begin(self.trainer.datamodule.dataset)  # type: ignore[attr-defined]

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """The energy score of two futures of each past."""
        z = (noise.normal(name, self.latent_dim) for name in ("one", "other"))
        one, other = (self.network(each, batch.condition) for each in z)
        return energy_score(one, other, batch.images, self.exponent), {}

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, future) of latents (B, latent_dim) and pasts (B, past), from the moving average."""
        assert condition is not None, "a future goes on from a past"
        return self.ema.network(z.to(self.device), condition.to(self.device))

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), future); without pasts, of training pasts drawn by the seeds."""
        pasts = self.conditions.draw(seeds) if condition is None else condition
        return self.decode(latents(seeds, self.latent_dim), pasts)


def energy_score(one: Tensor, other: Tensor, truth: Tensor, exponent: float) -> Tensor:
    """E [(d(X, y) + d(X', y)) / 2 - d(X, X') / 2], d the `exponent`-th power of the root mean square over steps.

    X, X' and y are (B, T). With exponent 2 its expectation over independent X, X' is E (mean X - y)^2.
    """

    def distance(left: Tensor, right: Tensor) -> Tensor:
        squared = (left - right).square().mean(1)
        return squared if exponent == 2 else (squared + 1e-12) ** (exponent / 2)  # the root has no slope at 0

    return ((distance(one, truth) + distance(other, truth) - distance(one, other)) / 2).mean()

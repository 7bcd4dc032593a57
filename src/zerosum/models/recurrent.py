"""A recurrent generator of time series (after RCGAN, Esteban et al. 2017)."""

from torch import Tensor, nn

from zerosum.errors import UserError, check_positive


class Generator(nn.Module):
    """A GRU reads the past; from its state a second one goes on, with `noise` new numbers in each step.

    `latent_dim` is `noise` times the length of the future, so that a future can be surprised at each of its steps.
    """

    def __init__(self, sample_shape: tuple[int, ...], noise: int = 4, width: int = 64, condition_size: int = 0) -> None:
        super().__init__()
        check_positive("model", noise=noise, width=width)
        self.steps = steps_of(sample_shape)
        check_past(condition_size)
        self.noise = noise
        self.latent_dim = noise * self.steps
        self.read = nn.GRU(1, width, batch_first=True)
        self.go_on = nn.GRU(noise, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(B, latent_dim) and pasts (B, T') to futures (B, T)."""
        _, state = self.read(condition[..., None])
        states, _ = self.go_on(z.view(len(z), self.steps, self.noise), state)
        return self.head(states).squeeze(2)


def steps_of(sample_shape: tuple[int, ...]) -> int:
    """The length of a future; UserError for images."""
    if len(sample_shape) != 1:
        raise UserError("model=recurrent makes time series: take dataset=ar2, regime_sines or sunspots")
    return sample_shape[0]


def check_past(condition_size: int) -> None:
    """UserError without a past."""
    if condition_size < 1:
        raise UserError("model=recurrent goes on from a past: take labels=past, and a dataset that has one")

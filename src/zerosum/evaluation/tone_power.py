"""How much of the power of generated sound lies at the tones of the data."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.data.points import KnownDensity
from zerosum.data.tones import Tones
from zerosum.errors import UnmeasurableError
from zerosum.evaluation.protocol import Direction

BINS = 2
"""To each side of a tone: half of the main lobe of a Hann window"""


class TonePower:
    """The share of power within two bins of a tone, and of the quietest tone in the loudest, of the mean spectrum.

    1 of the first and of the second are sound of these tones alone, all equally loud.
    """

    better: ClassVar[dict[str, Direction]] = {"tone_power": "higher", "tone_balance": "higher"}
    compares: ClassVar[str] = "points"
    has_floor: ClassVar[bool] = True

    def __call__(self, dataset: KnownDensity, samples: Tensor) -> dict[str, float]:
        """{"tone_power": share, "tone_balance": ratio} of waves (N, length)."""
        if not isinstance(dataset, Tones):
            raise UnmeasurableError("tone_power is measured of sound: take dataset=tones")
        each, whole = power_at_tones(samples, dataset)
        return {"tone_power": float(each.sum() / whole), "tone_balance": float(each.min() / each.max())}

    def describe(self) -> dict[str, Any]:
        return {}


def power_at_tones(waves: Tensor, dataset: Tones) -> tuple[Tensor, Tensor]:
    """Power of waves (N, length) near each tone, (tones,), and all of it; of silence, 0 and a tiny number."""
    from zerosum.drawing.sound import power_spectrum  # matplotlib takes a second to import

    power = power_spectrum(waves).mean(0)
    hertz = torch.fft.rfftfreq(waves.shape[1], 1 / dataset.sample_rate, dtype=torch.float64)
    tones = torch.tensor(dataset.frequencies, dtype=torch.float64)
    near = (hertz - tones[:, None]).abs() <= BINS * hertz[1]
    owner = (hertz - tones[:, None]).abs().argmin(0) == torch.arange(len(tones))[:, None]  # no bin counts twice
    return (power * (near & owner)).sum(1), power.sum().clamp(min=1e-30)

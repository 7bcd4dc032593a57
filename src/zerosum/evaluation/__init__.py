"""What a trained model is measured by; every value is stored with what it is."""

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch

from zerosum.data import Dataset
from zerosum.errors import UserError
from zerosum.sampling import Model

if TYPE_CHECKING:
    from zerosum.evaluation.reference import FeatureSet, Reference


class EvaluationProtocol(Protocol):
    """Metrics of a model against a dataset, at fixed numbers of samples, features and seeds."""

    def prepare(self, dataset: Dataset, device: torch.device) -> None:
        """Compute, on `device`, or load all that does not depend on the model, or raise a UserError."""
        ...

    def measure(self, model: Model) -> dict[str, float]:
        """Named values, the first of them the one that best.ckpt is chosen by."""
        ...

    def score(self, values: dict[str, float]) -> tuple[float, ...]:
        """Greater is better; orders checkpoints."""
        ...

    def floor(self) -> dict[str, float] | None:
        """The values of real pictures in the model's place: what is reachable. None where unknown."""
        ...

    def card(self) -> dict[str, Any]:
        """What the values are: protocol, samples, split, features, resize, rounding, seed."""
        ...


class Metric(Protocol):
    """Values of samples against real pictures, both of them features."""

    higher_is_better: ClassVar[bool]
    has_floor: ClassVar[bool]
    """Whether its value says something of real pictures in the samples' place."""

    def __call__(self, reference: "Reference", fake: "FeatureSet") -> dict[str, float]:
        """Named values, the first the one to compare by; UnmeasurableError where these features do not allow it."""
        ...

    def describe(self) -> dict[str, Any]:
        """What a card says of the metric's own settings."""
        ...


class UnmeasurableError(UserError):
    """Why a metric has no value here; the others are measured, and the card says so."""

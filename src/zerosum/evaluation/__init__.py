"""What a trained model is measured by; every value is stored with what it is."""

from typing import Any, Protocol

import torch

from zerosum.data import Dataset
from zerosum.sampling import Model


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
        """The values of the training split in the model's place: what is reachable. None where unknown."""
        ...

    def card(self) -> dict[str, Any]:
        """What the values are: protocol, samples, split, features, resize, rounding, seed."""
        ...

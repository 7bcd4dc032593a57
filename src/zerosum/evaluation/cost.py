"""What a model costs: time to train, time to sample, numbers to keep."""

import time
from typing import Any, ClassVar

import torch

from zerosum.errors import UserError
from zerosum.evaluation.protocol import Direction, ImageSampling
from zerosum.sampling import Model, images


class Cost:
    """Seconds for 1,000 samples, minutes of training without evaluation, and parameters.

    Times are of this process: of its processor where the model is on the CPU, so that other programs do not lengthen
    them, else of the clock. `count` samples are made, in batches of the protocol.
    """

    better: ClassVar[dict[str, Direction]] = {"sample_seconds": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = False

    def __init__(self, count: int = 1000) -> None:
        if count < 1:
            raise UserError(f"metrics.cost.count={count}: choose 1 or more samples")
        self.count = count

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"sample_seconds": for 1,000, "train_minutes": so far, if it was trained here, "parameters": number}"""
        device = getattr(model, "device", torch.device("cpu"))
        started = seconds_of(device)
        for _ in images(model, range(self.count), batch_size=protocol.batch_size):
            pass
        spent = seconds_of(device) - started
        trained = getattr(model, "processor_seconds" if device.type == "cpu" else "seconds_trained", 0.0)
        minutes = {"train_minutes": trained / 60} if trained else {}
        return {"sample_seconds": 1000 * spent / self.count, **minutes, "parameters": float(count_parameters(model))}

    def describe(self) -> dict[str, Any]:
        return {"cost_samples": self.count}


def seconds_of(device: torch.device) -> float:
    """The processor's time of this process, or the clock's after all work on another device is done."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def count_parameters(model: Any) -> int:
    """Trained numbers of the whole model, or the buffers of its network where no optimizer trains any."""
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return trained or sum(buffer.numel() for buffer in model.network.buffers())

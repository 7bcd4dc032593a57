"""What a run is made of and how long it will take, said at its beginning."""

import logging
import os
import time
from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import nn

from zerosum.console import about
from zerosum.data.images import ImageDataset
from zerosum.training.callbacks.evaluate import evaluation_of
from zerosum.training.callbacks.schedule import budget_of, data_of
from zerosum.training.module import GenerativeModule
from zerosum.training.wandb_logger import WandbRun

log = logging.getLogger("zerosum")

STEPS = 20
SECONDS = 5.0
"""The expected time is said after so many steps or seconds, whichever comes first"""


class Banner(Callback):
    """Logs the run's folder, device, networks, data, budget and protocol, and after the first steps the expected time.

    An error before training is marked `before_training`, so that a command that failed leaves nothing.
    """

    def __init__(self) -> None:
        self._has_begun = False

    def setup(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        # Data is read by now; features, which may take minutes, come with the setup of `Evaluate`.
        if trainer.is_global_zero and stage == "fit":
            for name, text in describe(trainer, pl_module):
                log.info("  %-9s %s", name, text)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self._started = time.perf_counter()
        self._before: float | None = None
        self._steps = 0
        self._from = pl_module.images_seen
        self._is_done = not trainer.is_global_zero
        evaluate = evaluation_of(trainer)
        self._measures_at_start = evaluate is not None and not evaluate.history
        if self._from and trainer.is_global_zero:
            log.info("Continuing at %s images.", f"{self._from:,}")

    def on_train_batch_start(self, trainer: Trainer, pl_module: GenerativeModule, batch: Any, batch_idx: int) -> None:
        self._has_begun = True
        if self._before is None:
            self._before = time.perf_counter() - self._started

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._is_done:
            return
        self._steps += 1
        if self._steps == 1:  # it warms up
            self._first = pl_module.images_seen, pl_module.seconds_trained
        elif self._steps > STEPS or pl_module.seconds_trained > SECONDS:
            self._is_done = True
            images, seconds = self._first
            left = budget_of(trainer) - pl_module.images_seen
            training = left * (pl_module.seconds_trained - seconds) / (pl_module.images_seen - images)
            log.info("%s", self.expect(trainer, pl_module, training))

    def expect(self, trainer: Trainer, module: GenerativeModule, training: float) -> str:
        """The expected time; that of evaluations too if the first was timed, as in every run that starts."""
        evaluate = evaluation_of(trainer)
        if evaluate is None or self._before is None or not self._measures_at_start:
            return f"Training will take {about(training)}."
        left = -(-budget_of(trainer) // evaluate.every) - module.images_seen // evaluate.every
        evaluations = f"{left} evaluation{'s' if left != 1 else ''}"
        return f"Training will take {about(training)}, and {evaluations} {about(left * self._before)} more."

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Mark an error that came before the first step."""
        exception.before_training = not self._has_begun  # type: ignore[attr-defined]


def describe(trainer: Trainer, module: GenerativeModule) -> Iterator[tuple[str, str]]:
    """(what, how) of each line of the banner."""
    data, evaluate = data_of(trainer), evaluation_of(trainer)
    dataset, budget = data.dataset, budget_of(trainer)
    yield "folder", trainer.default_root_dir
    yield "device", describe_device(trainer)
    counts = {name: count_parameters(child) for name, child in module.named_children() if child is not module.ema}
    sizes = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count)
    yield "networks", f"{sizes} parameters" if sizes else "no weights that gradients train"
    shape = "x".join(map(str, dataset.sample_shape))
    count = f"{len(dataset.split('train').images):,} images" if isinstance(dataset, ImageDataset) else "endless samples"
    size = f"{count} of {shape}"
    yield "data", f"{dataset.name}, {size}" + (f", {dataset.num_classes} classes" if dataset.num_classes else "")
    yield "budget", f"{budget:,} images in {trainer.max_steps:,} steps of {budget // trainer.max_steps:,}"
    if evaluate is not None:
        if hasattr(evaluate.protocol, "features"):
            features = evaluate.protocol.features
            yield "features", getattr(features, "name", type(features).__name__)
        yield "measured", f"{describe_protocol(evaluate.protocol)}, every {evaluate.every:,} images"
    for logger in trainer.loggers:
        if isinstance(logger, WandbRun):
            yield "W&B", describe_wandb(logger)


def describe_device(trainer: Trainer) -> str:
    """Kind and name of the device, how many processes, and the precision."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    threads = f", {count_threads()}" if device.type == "cpu" else ""
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    return f"{name}{threads}{processes}, precision {trainer.precision}"


def count_threads() -> str:
    """'1 thread', '2 threads': those of torch."""
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' if threads != 1 else ''}"


def count_parameters(network: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def describe_protocol(protocol: Any) -> str:
    """Metrics, number of samples and name, as far as the protocol has them."""
    metrics = ", ".join(getattr(protocol, "metrics", {})) or "values"
    samples = f" of {protocol.n_fake:,} samples" if hasattr(protocol, "n_fake") else ""
    name = f" ({protocol.name})" if hasattr(protocol, "name") else ""
    return f"{metrics}{samples}{name}"


def describe_wandb(logger: WandbRun) -> str:
    """The run's page, or offline its folder; how to sync it, unless a warning of `wandb_logger` has just said so."""
    run = logger.experiment
    if run.url:
        return run.url
    folder = os.path.dirname(os.path.relpath(run.dir))  # noqa: PTH120 (relpath is not in pathlib)
    return f"offline, `wandb sync {folder}` uploads it" if os.environ.get("WANDB_MODE") else f"offline, {folder}"

"""What is logged over training beside the losses."""

import csv

import pytest
import torch
from lightning import Callback

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.callbacks.curves import Curves

RING = ("dataset=ring", "trainer=cpu", "training.batch_size=16", "run.images=160", "callbacks.curves.every=16")


class Norms(Callback):
    """The norm of G's gradient, computed once more after each step."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        parts = [weight.grad.flatten() for weight in pl_module.generator.parameters()]
        self.found.append(float(torch.cat(parts).norm()))


def rows_of(composed, *options):
    config = composed(*RING, *options, "~callbacks.evaluate", "~callbacks.samples", "~callbacks.progress")
    built = build(validate(config))
    norms = Norms()
    built.trainer.callbacks.append(norms)
    built.trainer.fit(built.module, datamodule=built.data)
    with open(f"{config.run.folder}/metrics.csv", encoding="utf-8") as file:  # noqa: PTH123
        return list(csv.DictReader(file)), norms.found, built.module


def test_every_optimizer_has_a_learning_rate_and_a_gradient_norm_and_there_is_a_speed(composed):
    rows, norms, _ = rows_of(composed, "optimizer.discriminator.lr=1e-3")
    assert [float(row["game/gradient_norm/generator"]) for row in rows] == pytest.approx(norms, rel=1e-5)
    assert {float(row["game/learning_rate/discriminator"]) for row in rows} == {1e-3}
    assert {float(row["game/learning_rate/generator"]) for row in rows} == {2e-4}
    speeds = [float(row["speed/images_per_second"]) for row in rows[1:]]
    assert rows[0]["speed/images_per_second"] == "" and min(speeds) > 0


def test_the_gradient_norm_is_that_after_clipping(composed):
    rows, _, _ = rows_of(composed, "training.clip=0.01")
    assert [float(row["game/gradient_norm/generator"]) for row in rows] == pytest.approx([0.01] * 10, rel=1e-3)


def test_speed_leaves_out_what_happens_between_steps():
    class Clock:
        images_seen, seconds_trained = 1000, 10.0

    curves, clock = Curves(), Clock()
    assert curves.speed(clock) == {}
    clock.images_seen, clock.seconds_trained = 1300, 13.0
    assert curves.speed(clock) == {"images_per_second": 100.0}

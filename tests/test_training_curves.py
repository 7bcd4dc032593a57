"""What is logged over training beside the losses."""

import csv

import pytest
import torch
from lightning import Callback

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.callbacks.speed import Mark, describe_speed
from zerosum.training.stopwatch import STEPS_BETWEEN, Stopwatch

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
    shares = [[float(row[name]) for name in row if name.startswith("speed/share/")] for row in rows[1:]]
    assert [sum(each) for each in shares] == pytest.approx([1.0] * 9)


@pytest.mark.parametrize(("every", "images"), [(1000, [160]), (64, [64, 128, 160]), (80, [80, 160])])
def test_the_last_step_is_logged_once_however_short_the_run(every, images, composed):
    rows, norms, _ = rows_of(composed, f"callbacks.curves.every={every}")
    rows = [row for row in rows if row["game/loss_generator"]]
    assert [int(row["images"]) for row in rows] == images
    assert float(rows[-1]["game/gradient_norm/generator"]) == pytest.approx(norms[-1], rel=1e-5)


def test_the_gradient_norm_is_that_after_clipping(composed):
    rows, _, _ = rows_of(composed, "training.clip=0.01")
    assert [float(row["game/gradient_norm/generator"]) for row in rows] == pytest.approx([0.01] * 10, rel=1e-3)


def test_speed_leaves_out_what_happens_between_steps_and_shares_fill_the_time():
    before = Mark(1000, 50.0, 10.0, {"discriminator": 4.0, "generator": 2.0, "data": 1.0})
    now = Mark(1300, 60.0, 13.0, {"discriminator": 5.0, "generator": 3.0, "data": 1.5, "evaluation": 4.0})
    found = describe_speed(before, now)
    assert found["images_per_second"] == 100.0 and found["memory"] > 0
    shares = {name: value for name, value in found.items() if name.startswith("share/")}
    expected = {"discriminator": 0.1, "generator": 0.1, "data": 0.05, "evaluation": 0.4, "other": 0.35}
    assert shares == pytest.approx({f"share/{name}": value for name, value in expected.items()})


def test_estimated_parts_take_no_more_than_the_time_of_all_steps():
    before, now = Mark(0, 0.0, 0.0, {}), Mark(100, 20.0, 10.0, {"discriminator": 30.0, "generator": 10.0})
    found = describe_speed(before, now)
    assert found["share/discriminator"] == pytest.approx(0.375) and found["share/generator"] == pytest.approx(0.125)


def test_on_a_gpu_every_fiftieth_step_is_timed_and_stands_for_fifty(monkeypatch):
    stopwatch = Stopwatch()
    monkeypatch.setattr(stopwatch, "now", iter(range(1000)).__next__)
    for step in range(2 * STEPS_BETWEEN):
        stopwatch.begin_step(torch.device("meta"), step)
        with stopwatch("generator"):
            pass
    assert stopwatch.seconds == {"generator": 2.0 * STEPS_BETWEEN}


def test_a_part_within_another_is_counted_once(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 10.0])
    stopwatch = Stopwatch()
    monkeypatch.setattr(stopwatch, "now", lambda: next(now))
    with stopwatch("outer"), stopwatch("inner"):
        pass
    assert stopwatch.seconds == {"inner": 3.0, "outer": 7.0}

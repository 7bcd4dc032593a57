"""What happens when training diverges: it stops, says so, and may go back."""

import csv
import json

import pytest
import torch

from zerosum.errors import DivergedError
from zerosum.experiment import build
from zerosum.experiment.train import train
from zerosum.gan.losses import NonSaturating
from zerosum.training.callbacks.guard import DivergenceGuard
from zerosum.training.module import StepResult
from zerosum.training.rollback import with_rollbacks


class Poisoned(NonSaturating):
    """NaN from the `at`-th call on, as long as the learning rate is what it was."""

    def __init__(self, at: int, calls: list[int]) -> None:
        super().__init__()
        self.at, self.calls = at, calls

    def discriminator(self, real, fake):
        self.calls[0] += 1
        cost = super().discriminator(real, fake)
        return cost * float("nan") if self.calls[0] == self.at else cost


OPTIONS = (
    *("dataset=ring", "trainer=cpu", "training.batch_size=16", "run.images=640", "callbacks.checkpoint.every=160"),
    *("~callbacks.samples", "protocol.n_fake=100", "~callbacks.progress"),
)


@pytest.fixture
def poisoned(monkeypatch):
    def poison(at: int) -> list[int]:
        calls, original = [0], build.build_gan

        def with_poison(*arguments):
            gan = original(*arguments)
            gan.loss = Poisoned(at, calls)
            return gan

        monkeypatch.setattr(build, "build_gan", with_poison)
        return calls

    return poison


def test_nan_stops_at_once_names_the_last_good_checkpoint_and_leaves_it(composed, poisoned, tmp_path):
    calls = poisoned(25)
    with pytest.raises(
        DivergedError, match=r"ended at 400 images: loss_discriminator is nan.*last checkpoint is .*last.ckpt"
    ):
        train(composed(*OPTIONS))
    assert calls[0] == 25
    stored = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert stored["images_seen"] == 320
    assert all(value.isfinite().all() for value in stored["state_dict"].values())


def test_before_the_first_checkpoint_it_says_that_there_is_none(composed, poisoned):
    poisoned(1)
    with pytest.raises(DivergedError, match="no checkpoint yet"):
        train(composed(*OPTIONS))


@pytest.mark.parametrize(("at", "back_to"), [(25, 320), (3, 16), (1, 0)])
def test_rollback_goes_back_at_half_the_learning_rate_and_reaches_the_end(composed, poisoned, tmp_path, at, back_to):
    calls = poisoned(at)
    evaluate = train(composed(*OPTIONS, "training.on_nan=rollback")).evaluate
    run = tmp_path / "run"
    assert calls[0] == at + (640 - back_to) // 16
    stored = torch.load(run / "last.ckpt", weights_only=True)
    assert stored["images_seen"] == 640
    rates = [group["lr"] for state in stored["optimizer_states"] for group in state["param_groups"]]
    assert rates == [1e-4, 1e-4]
    assert [measurement.images for measurement in evaluate.history] == [0, 640]
    with (run / "metrics.csv").open() as file:
        images = [int(row["images"]) for row in csv.DictReader(file)]
    assert images == sorted(set(images))
    assert json.loads((run / "metrics.json").read_text())["last"]["card"]["run"]["images"] == 640


def test_rollback_gives_up_after_so_many_times(composed, monkeypatch, caplog):
    monkeypatch.setattr(NonSaturating, "discriminator", lambda self, real, fake: (real + fake).mean() * float("nan"))
    with pytest.raises(DivergedError):
        train(composed(*OPTIONS, "training.on_nan=rollback", "training.rollbacks=2"))
    assert caplog.text.count("half as fast") == 2


def test_each_attempt_from_the_same_checkpoint_is_slower(tmp_path):
    factors, last = [], tmp_path / "last.ckpt"

    def attempt(checkpoint, slower):
        factors.append((checkpoint, slower.factor))
        if len(factors) == 2:
            last.touch()
        if len(factors) < 5:
            raise DivergedError("again")

    with_rollbacks(attempt, None, last, 4)
    assert factors == [(None, 1.0), (None, 0.5), (last, 0.5), (last, 0.25), (last, 0.125)]


class Stub:
    """A trainer and a module whose samples are given."""

    def __init__(self, samples):
        self.last_step = StepResult({"generator": torch.tensor(0.5)}, {}, samples, 16)
        self.images_seen, self.device = 16, torch.device("cpu")
        self.world_size, self.global_step, self.default_root_dir = 1, 1, "nowhere"


def test_a_generator_that_becomes_constant_stops_training_but_one_that_begins_so_does_not():
    guard = DivergenceGuard(every=16)
    constant, alive = torch.full((8, 1, 4, 4), 0.3), torch.rand(8, 1, 4, 4)
    for samples in (constant, alive, alive):
        guard.on_train_batch_end(Stub(samples), Stub(samples), None, None, 0)
    other = DivergenceGuard(every=16)
    other.load_state_dict(guard.state_dict())
    with pytest.raises(DivergedError, match="the same image from every z"):
        other.on_train_batch_end(Stub(constant), Stub(constant), None, None, 0)
    tolerant = DivergenceGuard(every=16, collapse=False)
    for samples in (alive, constant):
        tolerant.on_train_batch_end(Stub(samples), Stub(samples), None, None, 0)

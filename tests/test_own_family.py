"""A second family of models, defined here with one YAML file, goes through every verb without a change in src/."""

import json
import math
from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from conftest import ROOT, verb
from torch import Tensor, nn

from zerosum.data.dataset import Batch
from zerosum.sampling import latents
from zerosum.training.module import GenerativeModule, split
from zerosum.training.settings import TrainingSettings

pytestmark = pytest.mark.slow
CONFIGS = ROOT / "tests" / "own_parts" / "conf"


class Pixels(nn.Module):
    """Mean and log deviation of each pixel."""

    def __init__(self, sample_shape: Sequence[int], start: float) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full(tuple(sample_shape), start))
        self.log_deviation = nn.Parameter(torch.zeros(tuple(sample_shape)))

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats"""
        scaled = (images - self.mean) * (-self.log_deviation).exp()
        return (-0.5 * scaled.square() - self.log_deviation - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)

    def forward(self, z: Tensor) -> Tensor:
        """(B, pixels) to (B, *sample_shape)"""
        return (self.mean + self.log_deviation.exp() * z.view(-1, *self.mean.shape)).clamp(-1, 1)


class PixelGaussian(GenerativeModule):
    """Maximum likelihood by gradient descent."""

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        training: TrainingSettings | None = None,
        seed: int = 0,
        start: float = 0.0,
    ) -> None:
        pixels = Pixels(sample_shape, start)
        super().__init__(pixels, training, seed)
        self.pixels = pixels
        self.make_optimizer = optimizer

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.make_optimizer(self.pixels.parameters())

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        self.begin_step()
        (batch,), optimizer, losses = batches, self.optimizers(use_pl_optimizer=False), []
        parts = split(batch, self.training_settings.accumulate)
        optimizer.zero_grad()
        for part in parts:
            loss = -self.pixels.log_prob(part.images).mean()
            self.backward_into(optimizer, loss / len(parts))
            losses.append(loss.detach())
        self.take_step(optimizer)
        samples = self.sample(range(len(batch.images))).detach()
        self.finish_step(self.pixels, {"model": torch.stack(losses).mean()}, {}, samples, len(batch.images))

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        average: Pixels = self.ema.network
        return average(latents(seeds, average.mean.numel()).to(self.device))


OPTIONS = [
    *["--config-dir", str(CONFIGS), "model=pixel_gaussian", "dataset=synthetic", "training.batch_size=16"],
    *[
        "training.accumulate=2",
        "features.steps=20",
        "protocol.n_fake=64",
        "optimizer.lr=0.02",
        "callbacks.samples.frames=2",
    ],
    "callbacks.curves.every=400",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run to 1,600 images; one that stopped at 800 and was resumed; one by two processes."""
    folder = tmp_path_factory.mktemp("family")
    options = [*OPTIONS, f"dataset.root={folder}/data"]

    def train(name: str, *more: str) -> str:
        return verb("train.py", *options, f"hydra.run.dir={folder}/{name}", *more, cwd=ROOT / "tests")

    printed = train("straight", "run.images=1600", "trainer=cpu")
    assert "Done: 1,600 images" in printed
    train("resumed", "run.images=800", "trainer=cpu")
    train("resumed", "run.images=1600", "trainer=cpu", f"resume={folder}/resumed", "trusted=[test_own_family]")
    train("two", "run.images=1600", "trainer=ddp", "trainer.accelerator=cpu")
    return folder


def weights(run) -> dict[str, Tensor]:
    return torch.load(run / "last.ckpt", weights_only=True)["state_dict"]


def test_it_trains_to_the_maximum_of_the_likelihood(runs):
    """The mean of the pixels of the training set, to a fifth of their deviation."""
    from zerosum.data.synthetic import Synthetic

    images = torch.cat(list(Synthetic(16).batches("train", 256))).float() / 127.5 - 1
    learned = weights(runs / "straight")["pixels.mean"]
    assert float((learned - images.mean(0)).abs().mean()) < 0.2 * float(images.std(0).mean())
    record = json.loads((runs / "straight" / "metrics.json").read_text())
    assert record["last"]["values"]["fid"] < record["history"][0]["values"]["fid"]
    assert "loss_model" in (runs / "straight" / "metrics.csv").read_text().splitlines()[0]


def test_it_resumes_bit_for_bit(runs):
    straight, resumed = weights(runs / "straight"), weights(runs / "resumed")
    assert all(torch.equal(value, resumed[name]) for name, value in straight.items())


def test_two_processes_train_as_one(runs):
    one, two = weights(runs / "straight"), weights(runs / "two")
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def test_it_is_sampled_measured_and_compared(runs):
    trusted = "trusted=[test_own_family]"
    run = f"run={runs}/straight"
    assert "trusted=[test_own_family]" in verb("sample.py", run, cwd=ROOT / "tests", fails=True)
    assert "grid.png" in verb("sample.py", run, "count=3", trusted, cwd=ROOT / "tests")
    measured = verb("evaluate.py", run, "checkpoint=last", "metrics=fid", trusted, cwd=ROOT / "tests")
    record = json.loads((runs / "straight" / "metrics.json").read_text())
    again = json.loads((runs / "straight" / "evaluation_last.json").read_text())
    assert again["values"]["fid"] == pytest.approx(record["last"]["values"]["fid"], rel=1e-6) and "n_fake" in measured
    output = f"--output={runs}/comparison"
    table = verb("compare.py", str(runs / "straight"), str(runs / "two"), output, cwd=ROOT / "tests")
    assert "| fid ↓ |" in table


def test_parts_of_a_game_are_refused(runs):
    printed = verb("train.py", *OPTIONS, "loss=hinge", f"hydra.run.dir={runs}/refused", cwd=ROOT / "tests", fails=True)
    assert "loss: PixelGaussian is not a game of two networks" in printed
    printed = verb("train.py", *OPTIONS, "game.pack=2", f"hydra.run.dir={runs}/no", cwd=ROOT / "tests", fails=True)
    assert "game: PixelGaussian is not a game of two networks" in printed

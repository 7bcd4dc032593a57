"""What a run says at its beginning."""

import logging
import re
from types import SimpleNamespace

import pytest

from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.training.callbacks.banner import Banner, describe_wandb


def test_the_banner_says_what_the_run_is_and_how_long_it_takes(tiny, caplog, tmp_path):
    config = tiny("run.images=800", "callbacks.evaluate.every=160")
    networks = build(validate(config)).module
    counts = {
        name: sum(weight.numel() for weight in getattr(networks, name).parameters())
        for name in ("discriminator", "generator")
    }
    with caplog.at_level(logging.INFO, "zerosum"):
        train(config)
    banner = [text.split(maxsplit=1) for text in caplog.messages if text.startswith("  ")][:7]
    said = dict(banner)
    assert list(said) == ["folder", "device", "networks", "data", "budget", "features", "measured"]
    assert said["folder"] == str(tmp_path / "run")
    assert said["device"].startswith("CPU, ") and said["device"].endswith("precision 32-true")
    assert said["networks"] == ", ".join(f"{name} {count:,}" for name, count in counts.items()) + " parameters"
    assert said["data"].startswith("Synthetic, ") and said["budget"] == "800 images in 50 steps of 16"
    assert said["measured"] == "fid of 64 samples (fid10k_test), every 160 images"
    assert said["features"] == "classifier"
    expected = [number for number, text in enumerate(caplog.messages) if text.startswith("Training will take ")]
    (number,) = expected
    assert re.fullmatch(
        r"Training will take .*second.*, and \d evaluations? .*second.* more\.", caplog.messages[number]
    )
    assert any(text.startswith("800/800 images") for text in caplog.messages[number:])


def test_the_expected_time_counts_the_evaluations_that_come(monkeypatch):
    """10,000 images at 100/s; evaluations at 2, 4, 6, 8, 10 thousand, of which the first came; each takes 12 s."""
    evaluate = SimpleNamespace(every=2_000, history=[])
    monkeypatch.setattr("zerosum.training.callbacks.banner.evaluation_of", lambda trainer: evaluate)
    monkeypatch.setattr("zerosum.training.callbacks.banner.budget_of", lambda trainer: 10_000)
    banner, module = Banner(), SimpleNamespace(images_seen=0, seconds_trained=0.0)
    trainer = SimpleNamespace(is_global_zero=True)
    banner.on_train_start(trainer, module)
    banner._before = 12.0
    module.images_seen = 2_000
    assert (
        banner.expect(trainer, module, 80.0)
        == "Training will take about 80 seconds, and 4 evaluations about 48 seconds more."
    )
    banner._measures_at_start = False  # resumed: nothing was timed
    assert banner.expect(trainer, module, 200.0) == "Training will take about 3 minutes."


@pytest.mark.parametrize(("mode", "advice"), [("offline", True), (None, False)])
def test_an_offline_run_says_where_it_is_and_how_to_sync_unless_that_was_said(monkeypatch, tmp_path, mode, advice):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    run = SimpleNamespace(url=None, dir=str(tmp_path / "run/wandb/offline-run-1/files"))
    said = describe_wandb(SimpleNamespace(experiment=run))
    assert "run/wandb/offline-run-1" in said and ("wandb sync" in said) == advice
    run.url = "https://wandb.example/run"
    assert describe_wandb(SimpleNamespace(experiment=run)) == run.url


@pytest.mark.parametrize("when", ["setup", "on_train_batch_end"])
def test_an_error_before_the_first_step_is_marked(tiny, monkeypatch, when):
    def fail(self, *arguments, **named):
        raise UserError("broken")

    monkeypatch.setattr(f"zerosum.training.callbacks.evaluate.Evaluate.{when}", fail)
    with pytest.raises(UserError, match="broken") as caught:
        train(tiny("run.images=64"))
    assert caught.value.before_training == (when == "setup")

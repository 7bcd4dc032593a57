"""The bar of training: all values at 80 columns, the speed of training alone, and an end at 100 %."""

import logging
import re
from types import SimpleNamespace

import pytest
from test_console import drawn, terminal  # noqa: F401 (a fixture)

from zerosum.experiment.train import train
from zerosum.training.callbacks import progress
from zerosum.training.callbacks.evaluate import Evaluate
from zerosum.training.callbacks.progress import ProgressBar, TrainingLine

LOSSES = "J_D 0.54 J_G 0.82  D(x) 0.89 D(G(z)) 0.34"
METRIC = "fid 391.1 (best 391.1)"


@pytest.fixture
def line():
    made = TrainingLine(20_032)
    made.update(18_240, 331.4, LOSSES, METRIC)
    return made


@pytest.mark.parametrize("width", [140, 80, 72])
def test_all_values_fit(line, width):
    lines = drawn(line(width), width)
    assert len(lines) == (1 if width == 140 else 2)
    assert max(map(len, lines)) <= width
    for text in ("18,240/20,032 images", "━", "331/s", LOSSES, METRIC, "0:05 left"):
        assert text in " ".join(lines)


@pytest.mark.parametrize(
    ("width", "kept", "dropped"),
    [
        (60, ["J_D 0.54 J_G 0.82", METRIC, "331/s", "0:05 left"], ["D(x)"]),
        (40, ["fid 391.1", "18,240/20,032 images", "0:05 left"], ["D(x)", "331/s"]),
        (20, ["fid 391.1", "18,240/"], ["best", "J_D", "331/s"]),
    ],
)
def test_where_it_is_narrow_the_less_important_gives_way(line, width, kept, dropped):
    lines = drawn(line(width), width)
    assert len(lines) == 2 and max(map(len, lines)) <= width
    assert all(text in " ".join(lines) for text in kept)
    assert not any(text in " ".join(lines) for text in dropped)


def test_a_name_of_a_loss_steers_no_terminal():
    made = TrainingLine(100)
    made.update(10, 1.0, "\x1b]0;title\x07 0.5", "[bold]fid 3")
    printed = "".join(drawn(made(80), 80))
    assert "\x1b" not in printed and "[bold]fid 3" in printed


def test_speed_and_time_left_are_those_of_training_alone(monkeypatch):
    """10 images in 2 s of training, however long the evaluations took; images of an earlier process do not count."""
    bar = ProgressBar()
    module = SimpleNamespace(images_seen=50, seconds_trained=0.0, headline=lambda: "loss 1")
    monkeypatch.setattr(progress, "budget_of", lambda trainer: 100)
    monkeypatch.setattr(progress, "evaluation_of", lambda trainer: None)
    bar.on_train_start(SimpleNamespace(is_global_zero=True), module)
    module.images_seen, module.seconds_trained = 60, 2.0
    bar.update(SimpleNamespace(), module)
    assert str(bar.line) == "60/100 images  5/s  loss 1  0:08 left"


def look_first(hook, screen, seen):
    def looked(*arguments):
        seen[:] = [line for line in screen.lines() if " images  " in line]
        return hook(*arguments)

    return looked


def test_the_bar_ends_at_the_whole_budget_below_all_log_lines(tiny, terminal, monkeypatch):  # noqa: F811
    """The budget is no multiple of what one second brings: without a last update the bar stays behind."""
    before_last_evaluation = []
    monkeypatch.setattr(Evaluate, "on_train_end", look_first(Evaluate.on_train_end, terminal, before_last_evaluation))
    train(tiny("run.images=330", "callbacks.evaluate.every=160"))
    assert "336/336 images" in before_last_evaluation[-1]
    lines = terminal.lines()
    bars = [number for number, line in enumerate(lines) if "/336 images" in line]
    (bar,) = bars
    assert lines[bar].startswith("336/336 images") and lines[bar].endswith("0:00 left")
    assert "fid" in lines[bar + 1] and lines[bar + 2].startswith("Done: 336 images")
    above = [line for line in lines[:bar] if re.match(r"[\d,]+ images: fid", line)]
    assert [line.split(":")[0] for line in above] == ["0 images", "160 images", "320 images", "336 images"]
    assert not any("samples  " in line for line in lines[:bar])


def test_an_error_stands_below_the_bar(tiny, terminal, monkeypatch):  # noqa: F811
    def fail(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == 5:
            raise RuntimeError("broken")

    monkeypatch.setattr("zerosum.training.callbacks.guard.DivergenceGuard.on_train_batch_end", fail)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", -1.0)
    with pytest.raises(RuntimeError, match="broken"):
        train(tiny("run.images=330"))
    logging.getLogger("zerosum").error("the error")
    lines = terminal.lines()
    assert lines[-3].startswith("64/336 images") and lines[-1] == "the error"
    assert terminal.getvalue().rstrip().endswith("the error") and "\x1b[?25h" in terminal.getvalue()


def test_without_a_terminal_a_line_is_logged_at_every_tenth(tiny, caplog):
    with caplog.at_level(logging.INFO, "zerosum"):
        train(tiny("run.images=320"))
    lines = [text for text in caplog.messages if "/320 images" in text]
    assert len(lines) == 10 and lines[-1].startswith("320/320 images") and lines[-1].endswith("0:00 left")

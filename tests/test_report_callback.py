"""The callback that keeps report.html up to date: what it draws, and that training is the same with and without it."""

import json
import logging
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from pages import read_page

from zerosum.experiment.train import train
from zerosum.sampling import interpolate
from zerosum.training.callbacks import report

SHORT = ("run.images=96", "callbacks.evaluate.every=48", "callbacks.curves.every=16")
REPORT = "callbacks.report.folder=${run.folder}"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def test_training_is_the_same_bit_for_bit_with_and_without_it(tiny, tmp_path):
    folders = [tmp_path / "with", tmp_path / "without"]
    for folder, left_out in zip(folders, ((REPORT,), ("~callbacks.report",)), strict=True):
        train(OmegaConf.merge(tiny(*SHORT, *left_out), {"run": {"folder": str(folder)}}))
    one, other = map(weights, folders)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert (folders[0] / "report.html").exists() and not (folders[1] / "report.html").exists()
    page = read_page(folders[0] / "report.html")
    assert page.problems == [] and len(page.all("img")) in (5, 6)  # real, best, last, film, nearest, interpolation
    facts = json.loads((folders[0] / "report" / "facts.json").read_text())
    assert facts["equilibrium"]["loss_discriminator"] == pytest.approx(0.693147, abs=1e-6)
    assert facts["machine"]["Device"].startswith("CPU") and set(facts["captions"]) == {
        "real",
        "nearest",
        "interpolation",
    }
    assert "Differences from the defaults" in page.text and "J_D if D cannot tell" in json.dumps(page.figures)


def test_points_have_a_report_too(made):
    page = read_page(made / "report.html")
    assert page.problems == [] and "64 of 64 real points seen" in page.text
    assert (made / "report" / "interpolation.png").exists() and not (made / "report" / "nearest.png").exists()


def test_a_report_that_cannot_be_written_is_one_warning(tiny, tmp_path, monkeypatch, caplog):
    def fail(*arguments, **named):
        raise RuntimeError("no room")

    monkeypatch.setattr(report, "save_png", fail)
    monkeypatch.setattr(logging.getLogger("zerosum"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        train(tiny(*SHORT, REPORT))
    messages = [record.getMessage() for record in caplog.records if "report.html" in record.getMessage()]
    assert messages == ["report.html could not be written (no room); training goes on."]
    assert (tmp_path / "run" / "last.ckpt").exists()


def test_it_rests_so_long_that_it_takes_a_small_share_of_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(report.time, "perf_counter", lambda: now[0])
    trainer = type("Trainer", (), {"is_global_zero": True, "callbacks": []})()
    written = []

    def write(folder):
        written.append(now[0])
        now[0] += 0.1

    callback = report.Report("nowhere", write)
    callback.attempt(trainer, lambda: write(None))
    monkeypatch.setattr(callback, "refresh", lambda *arguments: write(None))
    for count in range(1, 401):
        now[0] += 0.5
        monkeypatch.setattr(report, "count_measurements", lambda _, count=count: count)
        callback.on_train_batch_end(trainer, None, None, None, 0)
    assert len(written) > 5 and callback.seconds - 0.1 <= 0.01 * now[0]


def test_other_processes_write_nothing():
    trainer = type("Trainer", (), {"is_global_zero": False})()
    report.Report("nowhere", pytest.fail).attempt(trainer, lambda: pytest.fail("it wrote"))


def test_an_interpolation_keeps_its_ends_and_turns_by_equal_angles():
    start, end = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0))
    path = interpolate(start, end, 7)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path[-1], end)
    unit = interpolate(start / start.norm(dim=1, keepdim=True), end / end.norm(dim=1, keepdim=True), 7)
    torch.testing.assert_close(unit.norm(dim=2), torch.ones(7, 3))
    cosines = (unit[1:] * unit[:-1]).sum(2)
    torch.testing.assert_close(cosines, cosines[:1].expand_as(cosines), atol=1e-6, rtol=0)
    torch.testing.assert_close(interpolate(start, start, 3), start.expand(3, 3, 64))

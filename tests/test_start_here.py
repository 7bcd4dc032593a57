"""docs/start_here.md: what it says can be typed; and the scripts that draw its pictures and fill its block."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from zerosum.experiment.settings import validate

PAGE = (ROOT / "docs" / "start_here.md").read_text(encoding="utf-8")
OPTIONS = sorted(set(re.findall(r"`((?:[\w.]+=[\w./,\[\]-]+ ?)+)`", PAGE)))


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", OPTIONS)
def test_every_option_exists(composed, text):
    validate(composed(*text.split()))


def test_there_are_options_for_every_trouble():
    rows = re.search(r"\| sign \|.*?\n\n", PAGE, re.DOTALL)
    assert rows is not None and all("`" in row for row in rows[0].splitlines()[2:] if row)
    assert len(OPTIONS) > 25


def test_curves_are_drawn_from_a_finished_run(finished_run, tmp_path, monkeypatch):
    draw_curves = script("draw_curves")
    monkeypatch.setattr(draw_curves, "PICTURE", tmp_path / "images" / "curves.png")
    draw_curves.main(finished_run)
    with Image.open(tmp_path / "images" / "curves.png") as picture:
        assert picture.width > 1000


def test_penalties_are_subtracted_and_empty_cells_left_out(tmp_path):
    draw_curves = script("draw_curves")
    path = tmp_path / "metrics.csv"
    path.write_text(
        "images,quality/fid,game/loss_discriminator,game/regularizer/r1\n0,9.0,,\n64,,0.75,0.25\n128,,0.5,0.125\n"
    )
    images, values = draw_curves.read_curve(path, "game/loss_discriminator", draw_curves.penalties(path))
    assert images.tolist() == [64, 128] and values.tolist() == [0.5, 0.375]
    ramp = draw_curves.smooth(np.arange(20.0))
    assert ramp[4:16].tolist() == list(range(4, 16)) and ramp[0] == 2.0 and len(draw_curves.smooth(values)) == 2


def test_a_run_fills_its_block_on_the_page_that_has_it(finished_run, tmp_path, monkeypatch):
    make_results = script("make_results")
    monkeypatch.setattr(make_results, "ROOT", tmp_path)
    (tmp_path / "docs" / "images").mkdir(parents=True)
    (tmp_path / "README.md").write_text("<!-- digits: made -->\nold\n<!-- end -->\n", encoding="utf-8")
    page = tmp_path / "docs" / "start_here.md"
    page.write_text("before\n<!-- cifar10: made -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    run = Path(shutil.copytree(finished_run, tmp_path / "run"))
    make_results.main("cifar10", run)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- cifar10: made -->\n| | FID |") and text.endswith("<!-- end -->\nafter\n")
    assert "| last |" in text and "test accuracy" in text and "old" not in text
    assert "old" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "docs" / "images").iterdir()] == ["cifar10.png"]
    with pytest.raises(ValueError, match="no block is named mnist"):
        make_results.main("mnist", run)

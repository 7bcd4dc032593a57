"""The script that fills the pages of docs/applications."""

import importlib.util
import json
import shutil
import sys

import pytest
import torch
from conftest import ROOT
from PIL import Image
from test_image_to_image import SMALL

from zerosum.experiment.train import train

PAGES = ROOT / "docs" / "applications"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")  # for the script's neighbour
    spec = importlib.util.spec_from_file_location("make_applications", ROOT / "docs" / "make_applications.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_page_has_a_block_for_its_table_and_a_preset_or_a_verb(script):
    for name in [*script.PAGES, "inpainting"]:
        text = (PAGES / f"{name}.md").read_text()
        assert text.count("<!-- table -->\n") == 1
        assert f"python docs/make_applications.py {name} " in text
        assert f"]({name}.md)" in (PAGES / "index.md").read_text()
        assert name == "inpainting" or (ROOT / "conf/experiment/application" / f"{name}.yaml").exists()


def test_the_page_of_missing_pixels_has_a_block_for_classification_and_its_preset():
    text = (PAGES / "inpainting.md").read_text()
    assert text.count("<!-- classified -->\n") == 1
    assert (
        "python docs/make_applications.py missing_pixels " in text and "experiment=application/missing_pixels" in text
    )


def test_a_block_is_filled_and_the_others_are_left(script, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- table -->\nold\n<!-- end -->\nb\n<!-- classified -->\nold\n<!-- end -->\n")
    script.fill(page, "new", "classified")
    assert page.read_text() == "a\n<!-- table -->\nold\n<!-- end -->\nb\n<!-- classified -->\nnew\n<!-- end -->\n"


def test_a_condition_as_an_answer_is_enlarged_is_its_last_frame_and_is_gray(script):
    model = type("Model", (), {"conditions": None})()
    frames = torch.rand(2, 10, 16, 16)
    assert torch.equal(script.Resized(model, (1, 16, 16)).sample([0, 1], frames), frames[:, -1:])
    gray = script.Resized(model, (3, 16, 16)).sample([0, 1], frames[:, :1])
    assert torch.equal(gray, frames[:, :1].expand(-1, 3, -1, -1))
    assert script.Resized(model, (3, 32, 32)).sample([0, 1], frames[:, :3]).shape == (2, 3, 32, 32)


def test_a_table_has_a_row_for_each_model_and_blanks_where_nothing_is_measured(script):
    page = script.Page("L2 alone", ("law_distance", "fid"), answers=("left", "right"))
    values = {"a": {"law_distance": 0.12345, "fid": 12.345, "answer_share_0": 0.3}, "b": {"law_distance": 1.0}}
    assert script.table(page, values).splitlines() == [
        "| | law_distance ↓ | fid ↓ | share left | share right |",
        "|---|---:|---:|---:|---:|",
        "| a | 0.123 | 12.3 | 0.3 |  |",
        "| b | 1 |  |  |  |",
    ]


@pytest.mark.slow
def test_two_runs_fill_a_page_and_draw_its_picture(script, composed, tmp_path, monkeypatch):
    shutil.copy(PAGES / "super_resolution.md", tmp_path)
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr(sys.modules["make_tables"], "ROOT", tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    for weight in (1, 0):
        train(composed(*SMALL, f"loss.weight={weight}", f"run.folder={tmp_path}/{weight}"))
    script.main("super_resolution", tmp_path / "1", tmp_path / "0")
    text = (tmp_path / "super_resolution.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(("| bilinear", "| L1 alone", "| with adversary"))]
    assert len(rows) == 3 and "Measured by: " in text and "64 images seen, seed 0" in text
    results = json.loads((tmp_path / "benchmarks" / "results" / "application_super_resolution.json").read_text())
    assert (
        list(results) == ["L1 alone", "with adversary"] and results["L1 alone"]["last"]["card"]["run"]["images"] == 64
    )
    with Image.open(tmp_path / "super_resolution.png") as picture:
        assert picture.width > picture.height  # ten columns, five rows

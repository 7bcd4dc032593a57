"""The report of a sweep: the table, charts of options, samples and failures."""

import json
from dataclasses import replace

import pytest
from fake_runs import fake_run
from omegaconf import OmegaConf
from pages import Page, read_page
from PIL import Image

from zerosum.commands.report import write_report
from zerosum.commands.sweeps import SweepTable, note_failure
from zerosum.report import run_report, sweep_table
from zerosum.report.failures import find_reason
from zerosum.report.grouping import Setting
from zerosum.report.measured_runs import read_run
from zerosum.report.page import LARGEST_PAGE, read_plotly
from zerosum.report.parallel import numeric_options
from zerosum.report.run_report import write_run_report
from zerosum.report.sweep_files import read_sweep
from zerosum.report.sweep_report import make_sweep_page, write_sweep_report
from zerosum.training.lock import hold, is_held

EVIL = "<img src=x onerror=alert(2)></script>"


def sweep(folder, better="lower"):
    for job, (loss, gamma, fid) in enumerate([("hinge", 1, 9.0), ("hinge", 1, 7.0), ("nonsat", 10, 5.0)]):
        run = fake_run(
            folder / f"{job}_job", loss, seed=job % 2, fids=(50.0, fid),
            typed=(f"loss={loss}", f"gamma={gamma}", f"seed={job % 2}"),
            choices={"loss": loss}, gamma=gamma, optimizer__lr=gamma / 8, run={"better": {"fid": better}},
        )  # fmt: skip
        (run / "samples").mkdir()
        Image.new("RGB", (32, 32), (90 * job, 0, 0)).save(run / "samples" / "0000001000.png")
        (run / "report.html").touch()
    return folder


@pytest.mark.parametrize(("better", "first"), [("lower", "nonsat"), ("higher", "hinge")])
def test_the_best_setting_stands_first_with_mean_and_range_over_seeds(better, first, tmp_path):
    page = read_page(write_sweep_report(sweep(tmp_path, better)))
    assert page.problems == [] and page.headings().count(1) == 1
    assert "8 (7 to 9)" in page.text
    cells = [text for text in page.texts if text in ("hinge", "nonsat")]
    assert cells[0] == first
    images = page.all("img")
    assert len(images) == 3 and all("seed" in image["alt"] for image in images)
    links = [link["href"] for link in page.all("a") if link["href"].startswith("./")]
    assert sorted(links) == [f"./{job}_job/report.html" for job in range(3)]
    axes = [figure["layout"]["xaxis"] for figure in page.figures]
    titles = {axis["title"]["text"] for axis in axes if "title" in axis}
    assert titles == {"real images seen", "minutes of training"}


def test_numeric_options_that_differ_get_axes_and_copies_do_not(tmp_path):
    for job in range(4):
        fake_run(tmp_path / f"{job}", typed=(f"lr={job}",), gamma=job % 2, a__weight=job % 2, lr=job, name="same")
    runs = [read_run(tmp_path / f"{job}") for job in range(4)]
    assert numeric_options(runs) == {"lr": [0, 1, 2, 3], "gamma": [0, 1, 0, 1]}
    page = read_page(write_sweep_report(tmp_path))
    figure = next(figure for figure in page.figures if "shapes" in figure["layout"])
    assert figure["layout"]["xaxis"]["ticktext"] == ["lr", "gamma", "fid"]
    assert [trace["y"][:2] for trace in figure["data"]] == [[0, 0], [1 / 3, 1], [2 / 3, 0], [1, 1]]


def test_of_a_page_that_would_be_too_large_rows_points_and_charts_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_table, "MOST_ROWS", 40)
    monkeypatch.setattr(sweep_table, "FEWEST_ROWS", 10)
    names = {f"value{number}": 1.0 for number in range(90)}
    for gamma in (1, 2):
        run = fake_run(tmp_path / f"{gamma}", fids=(9.0,) * 1_000, typed=(f"gamma={gamma}",), gamma=gamma, lr=gamma / 3)
        record = json.loads((run / "metrics.json").read_text())
        for number, entry in enumerate(record["history"][:20]):
            entry["values"] |= {f"{name}_{number}": value for name, value in names.items()}
        (run / "metrics.json").write_text(json.dumps(record))
    small = read_sweep(tmp_path)
    runs = [replace(run, folder=tmp_path / str(number)) for number, run in enumerate(small.runs * 30)]
    settings = [Setting(f"gamma={number}", [run]) for number, run in enumerate(runs)]
    failed = {tmp_path / f"bad{number}": "reason" * 60 for number in range(90)}
    sweep = replace(small, settings=settings, failed=failed)
    whole = make_sweep_page(sweep)
    assert len(whole.encode()) <= LARGEST_PAGE
    for words in ("20 more settings", "20 more runs", "50 more failed jobs", "1,771 more values"):
        assert f"{words} are left out." in whole, words
    smaller = make_sweep_page(sweep, largest=len(whole.encode()) - 1)
    points = [len(Page(page).figures[0]["data"][0]["x"]) for page in (whole, smaller)]
    assert points == [600, 180]
    bare = make_sweep_page(sweep, largest=0)
    assert len(bare.encode()) < len(read_plotly()) + 500_000 and "<figure" not in bare
    assert bare.count("Charts are left out: the page would be too large.") == 2
    for words in ("50 more settings", "80 more failed jobs", "1,795 more values"):
        assert f"{words} are left out." in bare, words


def test_failed_jobs_are_listed_with_their_last_error_and_running_ones_are_not(tmp_path):
    fake_run(tmp_path / "0_good")
    for name, log in {
        "1_bad": f"2026-11-21 10:00:00,001 INFO fine\n2026-11-21 10:00:01,001 ERROR loss {EVIL} is NaN\n",
        "2_trace": "Traceback (most recent call last):\n  File\nRuntimeError: shapes differ\n",
        "3_silent": "2026-11-21 10:00:00,001 INFO fine\n",
        "4_running": "2026-11-21 10:00:00,001 INFO fine\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "console.log").write_text(log)
    (fake_run(tmp_path / "5_damaged") / "metrics.json").write_text("{")
    with hold(tmp_path / "4_running"):
        assert is_held(tmp_path / "4_running")
        page = read_page(write_sweep_report(tmp_path))
    assert not is_held(tmp_path / "4_running")
    assert page.problems == [] and page.scripts == 2
    for words in (f"loss {EVIL} is NaN", "RuntimeError: shapes differ", "its logs give no reason", "is damaged"):
        assert words in page.text, words
    assert "1 running, 4 failed" in page.text and "4_running" not in page.text


def test_a_job_whose_report_fails_leaves_the_others_theirs(tmp_path, monkeypatch, capsys):
    def write(folder):
        if folder.name == "0_job":
            raise ArithmeticError("damage of a new kind")
        return write_run_report(folder)

    monkeypatch.setattr(run_report, "write_run_report", write)
    assert write_report(sweep(tmp_path)) == tmp_path / "report.html"
    assert "0_job: its report could not be written (ArithmeticError: damage" in capsys.readouterr().out
    assert [(tmp_path / f"{job}_job" / "report.html").stat().st_size > 0 for job in range(3)] == [False, True, True]


def test_a_strangers_names_are_text(tmp_path):
    run = sweep(tmp_path) / "0_job"
    config = (run / "config.yaml").read_text().replace("hinge", json.dumps(EVIL)[1:-1])
    (run / "config.yaml").write_text(config)
    (tmp_path / f"7_{EVIL.replace('/', '')}").mkdir()
    (tmp_path / f"7_{EVIL.replace('/', '')}" / "console.log").touch()
    page = read_page(write_sweep_report(tmp_path))
    assert page.problems == [] and page.scripts == 2
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert "<img" not in json.dumps(page.figures)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ({"n_fake": 5}, "measured differently: n_fake 10000 against 5"),
        ({"labels": "conditioned on labels"}, "use labels differently (none against conditioned on labels)"),
    ],
)
def test_values_of_different_protocols_are_not_ranked_in_page_or_table(tmp_path, capsys, protocol, said):
    fake_run(tmp_path / "0_a")
    fake_run(tmp_path / "1_b", "Minimax", protocol=protocol)
    page = read_page(write_sweep_report(tmp_path))
    assert "may not stand in one table" in page.text and said in page.text
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    SweepTable().on_multirun_end(config)
    assert said in capsys.readouterr().out and not (tmp_path / "table.md").exists()


def test_a_job_that_fails_leaves_its_reason_in_its_log(tmp_path):
    import logging

    handler = logging.FileHandler(tmp_path / "console.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        note_failure(RuntimeError("two\nlines"))
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
    assert find_reason(tmp_path) == "RuntimeError: two lines"


def test_a_sweep_writes_it_beside_its_table(tmp_path, capsys):
    from test_sweeps import sweep as sweep_config

    fake_run(tmp_path / "0_job")
    SweepTable(["run.name"], "Table").on_multirun_end(sweep_config(tmp_path))
    assert (tmp_path / "table.md").exists() and (tmp_path / "report.html").exists()
    assert "report.html" in capsys.readouterr().out

"""The report of a run: its structure, what it says, and what a stranger's files may not do."""

import json
import math
import re
import subprocess
import sys
from itertools import pairwise

import pytest
from conftest import ROOT
from fake_runs import fake_run
from pages import read_page
from PIL import Image

from zerosum.commands.report import write_reports
from zerosum.errors import UserError
from zerosum.report.figures import Line, pool, smooth
from zerosum.report.page import LARGEST_PAGE, read_plotly
from zerosum.report.run_charts import draw_losses
from zerosum.report.run_report import make_run_page, write_run_report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!--"
ROWS = """images,game/loss_discriminator,game/loss_generator,game/regularizer/r1,game/d_real,speed/images_per_second
1000,1.5,0.5,0.25,0.75,
2000,1.25,0.75,,0.5,123
"""
HISTOGRAMS = [
    {"images": 1000, "edges": [-1.0, 0.0, 1.0], "real": [1, 3], "held_out": [2, 2], "fake": [4, 0]},
    {"images": 2000, "edges": [-2.0, 0.0, 2.0], "real": [0, 4], "held_out": None, "fake": [3, 1]},
]
FINDING = {
    "name": "vanishing_gradient",
    "sentence": "G gets almost no signal.",
    "override": "regularizer=r1",
    "evidence": {"accuracy": 0.99},
    "since": 1000,
    "until": 2000,
}


def full_run(folder, text="", **options):
    """A run with all that a report shows; `text` is put wherever a stranger could put it."""
    fake_run(folder, fids=(90.0, 3.0, 4.0), typed=("loss=hinge", f"+x={text}"), name=f"my run {text}", **options)
    (folder / "metrics.csv").write_text(ROWS.replace("r1", f"r1{text.replace(',', '')}"), encoding="utf-8")
    (folder / "logit_histograms.json").write_text(json.dumps(HISTOGRAMS))
    (folder / "samples").mkdir()
    (folder / "report").mkdir()
    for number, images in enumerate((0, 1000, 2000)):
        Image.new("RGB", (64, 64), (80 * number, 0, 0)).save(folder / "samples" / f"{images:010d}.png")
    for name in ("real", "nearest", "interpolation"):
        Image.new("RGB", (64, 32), "blue").save(folder / "report" / f"{name}.png")
    frames = [Image.new("P", (32, 32), colour) for colour in range(3)]
    frames[0].save(folder / "training.gif", save_all=True, append_images=frames[1:], duration=100)
    facts = {"machine": {"Device": f"CPU {text}"}, "equilibrium": {"loss_discriminator": 2.0}}
    facts["captions"] = {"real": f"Real images {text}"}
    (folder / "report" / "facts.json").write_text(json.dumps(facts))
    add_findings(folder, [FINDING | {"sentence": f"G gets no signal {text}", "override": f"regularizer=r1 {text}"}])
    return folder


def add_findings(folder, findings):
    record = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(record | {"findings": findings}))


def test_it_has_every_part_and_reads_well_for_machines(tmp_path):
    page = read_page(write_run_report(full_run(tmp_path / "run")))
    assert page.problems == []
    levels = page.headings()
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {name for name, _ in page.elements}
    assert page.all("html")[0]["lang"] == "en" and len(page.all("title")) == 1
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= targets
    images = page.all("img")
    assert len(images) == 6  # real, best, last, film, nearest, interpolation
    assert all(image["alt"] and image["src"].startswith("data:image/") and image["width"] for image in images)
    plots = [attributes for _, attributes in page.elements if attributes.get("class") == "plot"]
    assert len(plots) == len(page.figures) == len(page.all("figure")) - len(images)
    assert all(plot["role"] == "img" and len(plot["aria-label"]) > 20 for plot in plots)
    assert "python train.py loss=hinge" in page.text and "1234567" in page.text
    assert "regularizer=r1" in page.text and "accuracy 0.99" in page.text
    for words in ("Best fid", "at 1,000 images", "at 2,000 images", "the last", "nearest to the best"):
        assert words in page.text, words


def test_no_network_can_be_reached_from_it(tmp_path):
    page = read_page(write_run_report(full_run(tmp_path / "run")))
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe-eval" not in policy
    assert policy.split("script-src")[1].split(";")[0].count("'sha256-") == 2 == page.scripts
    sources = [attributes.get(name) for _, attributes in page.elements for name in ("src", "href", "action")]
    assert all(source is None or source.startswith(("data:image/", "#")) for source in sources)


def test_a_strangers_text_is_text(tmp_path):
    folder = full_run(tmp_path / "run", EVIL, protocol={"features": EVIL}, code={"git": EVIL})
    page = read_page(write_run_report(folder))
    assert page.problems == [] and page.scripts == 2
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert all(image["src"].startswith("data:") for image in page.all("img"))
    assert page.text.count(EVIL) >= 6  # name, command, commit, finding, override, machine, card ...
    shown = json.dumps([figure.get("data") for figure in page.figures])
    assert "<img" not in shown  # Plotly reads tags in names


def test_losses_are_without_penalties_and_beside_their_equilibrium():
    curves = {
        "game/loss_discriminator": Line("", [1.0, 2.0], [1.5, 1.25]),
        "game/regularizer/r1": Line("", [1.0], [0.25]),  # lazy: not in every row
    }
    text = draw_losses(curves, {"loss_discriminator": 2.0})
    assert "1.25 at 1 first" in text and "1.25 at 2 last" in text and "J_D if D cannot tell: 2" in text


def test_histograms_have_area_one_and_a_frame_for_each_time(tmp_path):
    page = read_page(write_run_report(full_run(tmp_path / "run")))
    frames = next(figure["frames"] for figure in page.figures if "frames" in figure)
    assert [frame["name"] for frame in frames] == ["1,000", "2,000"]
    assert [len(frame["data"]) for frame in frames] == [3, 2]
    for frame in frames:
        for trace in frame["data"]:
            widths = [high - low for low, high in zip(trace["x"], trace["x"][1:], strict=False)]
            area = sum(width * share for width, share in zip(widths, trace["y"], strict=False))
            assert area == pytest.approx(1)


DAMAGE = {
    "metrics.json": ["", "[]", "{", '{"history": []}'],
    "metrics.csv": ["", "a,b\n", "images,x\n1,<b>\n", "\x00\xff", ROWS + "garbage\n3000,1,1,1\n"],
    "logit_histograms.json": [
        "", "5", '[{"images": 1}]', '[{"images": 1, "edges": [0, NaN], "real": [1]}]',
        '[{"images": 1, "edges": [0, 1e-320, 2e-320], "real": [1, 2], "fake": [1, 2]}]',
    ],
    "report/facts.json": [
        "", "[]", '{"machine": 5}', '{"equilibrium": {"loss": "x"}}', '{"captions": {"real": []}}', '{"plural": "<b>"}',
    ],
    "training.gif": ["", "GIF89a", "<svg onload=alert(1)>"],
    "report/real.png": ["", "<script>alert(1)</script>"],
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_or_missing_file_leaves_its_part_out(name, tmp_path):
    folder = full_run(tmp_path / "run")
    for text in DAMAGE[name]:
        (folder / name).write_text(text, encoding="latin-1")
        page = read_page(write_run_report(folder))
        assert page.problems == [] and "alert" not in page.text and "my run" in page.text
        named = [text for text in page.texts if text.startswith((f"{name} cannot be read", f"{name} is damaged"))]
        assert len(named) == name.endswith((".json", ".csv")), text
    (folder / name).unlink()
    assert read_page(write_run_report(folder)).problems == []


@pytest.mark.parametrize("images", [".inf", ".nan", "-.inf"])
def test_a_budget_that_is_no_number_of_images_is_named_and_the_rest_written(images, tmp_path):
    folder = full_run(tmp_path / "run")
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("images: 2000", f"images: {images}"))
    page = read_page(write_run_report(folder))
    assert "config.yaml does not say how many images" in page.text and len(page.all("img")) == 6
    assert "2,000 real images seen." in page.texts


def test_samples_are_called_by_one_word(tmp_path):
    """Where the facts of the run say so, in the text and in every chart; numbers of the charts included."""
    folder = full_run(tmp_path / "run")
    facts = json.loads((folder / "report" / "facts.json").read_text())
    (folder / "report" / "facts.json").write_text(json.dumps({**facts, "captions": {}, "plural": "sounds"}))
    page = read_page(write_run_report(folder))
    assert page.problems == [] and "2,000 real sounds seen" in page.text and "Real sounds" in page.text
    assert {figure["layout"]["xaxis"]["title"]["text"] for figure in page.figures} <= {"real sounds seen", "logit of D"}
    assert not re.search(r"\d images|real images|images seen", page.text, re.IGNORECASE)


def test_a_run_that_has_only_begun_has_a_page(tmp_path):
    folder = fake_run(tmp_path / "run", typed=())
    (folder / "metrics.json").unlink()
    page = read_page(write_run_report(folder))
    assert "Nothing was measured yet" in page.text and "No doctor looked" in page.text
    add_findings(fake_run(tmp_path / "healthy"), [])
    assert "found no problem" in read_page(write_run_report(tmp_path / "healthy")).text


def test_values_that_are_no_numbers_break_no_chart(tmp_path):
    folder = fake_run(tmp_path / "run", fids=(math.nan, math.inf, 3.0))
    page = read_page(write_run_report(folder))
    assert [trace["y"] for trace in page.figures[0]["data"][:1]] == [[3.0]]


def test_pictures_are_not_followed_outside_of_the_folder(tmp_path):
    folder = full_run(tmp_path / "run")
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    for name in ("real", "nearest", "interpolation"):
        (folder / "report" / f"{name}.png").unlink()
        (folder / "report" / f"{name}.png").symlink_to(tmp_path / "secret.png")
    assert len(read_page(write_run_report(folder)).all("img")) == 3


def test_a_picture_that_unfolds_is_left_out(tmp_path):
    folder = full_run(tmp_path / "run")
    Image.new("1", (20_000, 20_000)).save(folder / "report" / "real.png")
    assert len(read_page(write_run_report(folder)).all("img")) == 5


def test_charts_of_many_columns_get_fewer_points_or_are_left_out_and_named(tmp_path):
    folder = fake_run(tmp_path / "run", typed=("é" * 100_000,))  # of two bytes each
    names = [f"game/{kind}/{column}" for kind in "abcd" for column in range(16)] + [f"game/k{n}" for n in range(40)]
    rows = [f"{step}," + ",".join(str(math.sin(step * column)) for column in range(104)) for step in range(1, 401)]
    (folder / "metrics.csv").write_text("\n".join([",".join(["images", *names]), *rows, ""]))
    whole = make_run_page(folder)
    assert "2 more lines are left out" in whole and "4 more charts are left out: game/k36, game/k37" in whole
    page = make_run_page(folder, largest=len(whole.encode()) - 100_000)
    assert len(page.encode()) <= len(whole.encode()) - 100_000 and page.count("<figure") == whole.count("<figure")
    bare = make_run_page(folder, largest=len(make_run_page(folder, largest=0).encode()))
    assert bare.count("Charts are left out: the page would be too large") == 2 and "<figure" not in bare


def test_of_very_many_values_and_findings_some_are_shown_and_the_others_counted(tmp_path):
    folder = full_run(tmp_path / "run")
    record = json.loads((folder / "metrics.json").read_text())
    for part in ("best", "last"):
        record[part]["values"] |= {f"{part}{number}": 1.0 for number in range(99)}
    record["floor"] = {f"floor{number}": 1.0 for number in range(100)}
    record["history"][-1] = record["last"]
    (folder / "metrics.json").write_text(json.dumps(record))
    evidence = {"x" * 60_000: 1.0} | {f"number{number}": 2.0 for number in range(99)}
    add_findings(folder, [FINDING | {"since": n, "until": n, "evidence": evidence} for n in range(100)])
    text = make_run_page(folder)
    assert len(text.encode()) <= LARGEST_PAGE < 100 * 60_000 + len(read_plotly())
    page = read_page(write_run_report(folder))
    assert page.problems == [] and len(page.all("img")) == 6
    assert "80 more findings are left out." in page.texts and "From 99 to 99 images." in page.text
    assert "number8 2, 90 more." in page.text and "number9" not in page.text
    assert "199 more values are left out." in page.texts  # of fid, twice 99 and 100


def test_a_part_that_alone_is_very_large_is_left_out_of_the_smallest_page(tmp_path):
    folder = fake_run(tmp_path / "run", typed=("'" * 100_000,))  # each takes thirty bytes
    assert len(make_run_page(folder).encode()) > len(read_plotly()) + 3_000_000
    page = make_run_page(folder, largest=0)
    assert len(page.encode()) < len(read_plotly()) + 100_000 and "This part is left out: the page" in page


@pytest.mark.slow
def test_a_page_stays_small_and_says_what_it_leaves_out(tmp_path):
    folder = full_run(tmp_path / "run")
    for name in ("report/real", "report/nearest", "report/interpolation", "samples/0000001000", "samples/0000002000"):
        Image.effect_noise((900, 900), 90).save(folder / f"{name}.png")
    frames = [Image.effect_noise((400, 400), 90).quantize(64) for _ in range(12)]
    frames[0].save(folder / "training.gif", save_all=True, append_images=frames[1:])
    assert (folder / "training.gif").stat().st_size > 1_200_000
    whole = make_run_page(folder)
    assert len(whole) < 10_000_000 and whole.count("<img") == 6
    bare = len(make_run_page(folder, largest=0))
    small = make_run_page(folder, largest=bare + 300_000)
    assert len(small) <= bare + 300_000 and "training.gif, is left out" in small


def test_thousands_of_points_are_pooled_and_means_move():
    line = Line("a", [float(x) for x in range(1000)], [float(x) for x in range(1000)])
    pooled = pool(line, 100)
    assert len(pooled.y) == 100 and pooled.y[0] == pytest.approx(4.5) and pooled.x == pooled.y
    assert smooth(Line("a", [0.0, 1.0, 2.0], [3.0, 0.0, 6.0]), 1).y == [1.5, 3.0, 3.0]


@pytest.mark.parametrize(
    ("name", "message"), [("nix", "there is no such folder"), ("empty", "holds no run and no sweep")]
)
def test_bad_paths_get_one_sentence(name, message, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        write_reports([str(tmp_path / name)])


def test_the_command_prints_the_path_and_imports_no_torch(tmp_path):
    run = str(full_run(tmp_path / "run"))
    done = subprocess.run([sys.executable, str(ROOT / "report.py"), run], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip().endswith("report.html"), done.stderr
    heavy = "{'torch', 'matplotlib', 'plotly', 'lightning'} & set(sys.modules)"
    script = f"import sys; from zerosum.commands.report import write_reports as w; w([{run!r}]); print({heavy})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
    done = subprocess.run(
        [sys.executable, str(ROOT / "report.py"), "nix"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("error: nix: there is no such folder")

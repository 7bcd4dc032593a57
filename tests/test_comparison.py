"""Runs side by side, from files made by hand: grouping, names, means, refusals, chart."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from omegaconf import OmegaConf
from PIL import Image

from zerosum.report import compare as comparison
from zerosum.report.chart import picture
from zerosum.report.curves import curves
from zerosum.report.run_names import differences
from zerosum.report.measured_runs import COURSE, read, shared_protocol
from zerosum.report.grouping import settings
from zerosum.errors import UserError

CARD = {"protocol": "frechet", "n_fake": 10_000, "features_hash": "abc", "weights": "ema"}
R1 = {"r1": {"_target_": "zerosum.gan.regularizers.R1", "weight": 1.0}}
R2 = {"r2": {"_target_": "zerosum.gan.regularizers.R2", "weight": 1.0}}


def fake(folder: Path, loss="Hinge", seed=0, fids=(100.0, 4.0), card=None, floor=1.0, regularizer=None, **keys) -> Path:
    """A run folder as train.py leaves it, measured every 1,000 images and 2 minutes."""
    folder.mkdir(parents=True)
    config = {
        "loss": {"_target_": f"zerosum.gan.losses.{loss}"},
        "regularizer": regularizer or {},
        "callbacks": {"samples": {"folder": str(folder), "title": folder.name}},
        "logger": {"csv": {"folder": str(folder)}},
        "dataset": {"root": str(folder.parent / f"data{seed}")},
        "run": {"images": 1000 * (len(fids) - 1), "name": folder.name, "folder": str(folder)},
        "seed": seed,
        "resume": None,
    }
    for key, value in keys.items():
        OmegaConf.update(found := OmegaConf.create(config), key.replace("__", "."), value)
        config = OmegaConf.to_container(found)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    history = [
        {
            "values": {} if fid is None else {"fid": fid},
            "card": {**CARD, "images": 1000 * step, "seed": seed, "seconds": seed / 3, **(card or {})},
            "minutes": 2.0 * step,
        }
        for step, fid in enumerate(fids)
    ]
    best = min(history, key=lambda entry: entry["values"].get("fid", math.inf))
    report = {"best": best, "last": history[-1], "floor": floor and {"fid": floor}, "history": history}
    (folder / "metrics.json").write_text(json.dumps(report))
    return folder


def rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")][2:]


def named(*folders: Path) -> list[str]:
    return [setting.name for setting in settings(read(folders)[0])[0]]


def test_a_row_is_mean_and_range_over_seeds_of_best_and_of_last(tmp_path):
    middle, last, best = [3.0, 9.0, 2.0], [5.0, 7.5, 4.0], [3.0, 7.5, 2.0]
    for seed in range(3):
        fake(tmp_path / f"hinge{seed}", seed=seed, fids=(90.0, middle[seed], last[seed]))
    fake(tmp_path / "minimax", "Minimax", fids=(90.0, 11.25))
    text = comparison.main([str(tmp_path)])
    mean = [f"{np.mean(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})" for values in (best, last)]
    assert rows(text) == [
        ["loss=Hinge, run.images=2_000", "3", "best", mean[0], "1,333 (1,000 to 2,000)", "2.67 (2 to 4)"],
        ["loss=Hinge, run.images=2_000", "3", "last", mean[1], "2,000", "4"],
        ["loss=Minimax, run.images=1_000", "1", "best", "11.2", "1,000", "2"],
        ["loss=Minimax, run.images=1_000", "1", "last", "11.2", "1,000", "2"],
        ["floor", "", "", "1", "", ""],
    ]
    assert (tmp_path / "comparison.md").read_text() in text and "n_fake 10,000" in text and "seconds" not in text


def test_runs_that_differ_in_seed_folder_and_name_only_are_one_setting(tmp_path):
    same = [fake(tmp_path / "a", seed=0), fake(tmp_path / "b", seed=1, resume=str(tmp_path / "b"))]
    found, _ = settings(read(same)[0])
    assert [(setting.name, setting.seeds) for setting in found] == [("a", 2)]
    other = fake(tmp_path / "c", loss__margin=2)
    assert len(settings(read([*same, other])[0])[0]) == 2
    assert len(read([*same, same[0], tmp_path])[0]) == 3, "a folder that is named twice counts once"


def test_a_setting_is_named_by_what_differs_in_words(tmp_path):
    assert named(
        fake(tmp_path / "a", "NonSaturating", regularizer=R1),
        fake(tmp_path / "b", "Hinge", regularizer={**R1, **R2}),
        fake(tmp_path / "c", "Hinge", game__pack=2),
    ) == [
        "loss=NonSaturating, regularizer=r1",
        "loss=Hinge, regularizer=r1+r2",
        "loss=Hinge, regularizer=none, game.pack=2",
    ]


def test_classes_speak_for_their_parameters_and_copies_are_said_once():
    def config(kind, weight, lr, **model):
        parts = {part: {"_target_": f"zerosum.models.{kind}.{part}", **model} for part in ("Generator", "Critic")}
        adam = {"_target_": "torch.optim.Adam", "lr": lr}
        r1 = {"r1": {"_target_": "zerosum.gan.regularizers.R1", "weight": weight}}
        optimizer = {"lr": lr, "generator": adam, "discriminator": adam}
        return {"model": {**model, **parts}, "optimizer": optimizer, "regularizer": r1, "gamma": weight}

    assert differences([config("mlp", 1.0, 0.1, width=8), config("dcgan", 1, 0.1, channels=4)]) == (
        ["model=mlp", "model=dcgan"],
        "",
    )
    names, usual = differences([config("mlp", gamma, 0.1, width=width) for gamma, width in [(1, 8), (1, 16), (0.5, 8)]])
    assert names == ["gamma=1, model.width=8", "model.width=16", "gamma=0.5"]
    assert usual == "gamma=1, model.width=8"
    assert differences([config("mlp", 1, 0.1), config("mlp", 1, 0.2)])[0] == ["optimizer.lr=0.1", "optimizer.lr=0.2"]
    assert differences([{"augment": {}}, {"augment": {"_target_": "zerosum.gan.augment.ADA", "p": 1}}])[0] == [
        "augment=none",
        "augment=ADA",
    ]


def test_names_that_are_given_are_used_and_told_apart_by_folder_where_they_are_alike(tmp_path):
    runs, _ = read(
        [
            fake(tmp_path / name, loss, game__pack=pack)
            for name, loss, pack in [("a", "Hinge", 1), ("b", "Hinge", 2), ("c", "Minimax", 1)]
        ]
    )
    assert [setting.name for setting in settings(runs, ["loss._target_"])[0]] == ["Hinge (a)", "Hinge (b)", "Minimax"]
    assert [setting.name for setting in settings(runs, ["game.pack", "loss"])[0]] == [
        "1, Hinge",
        "1, Minimax",
        "2, Hinge",
    ]


@pytest.mark.parametrize("field", sorted({*CARD, "resize"}))
def test_values_of_another_protocol_are_not_put_in_one_column(tmp_path, field):
    fake(tmp_path / "a")
    fake(tmp_path / "b", card={field: "other"})
    known = CARD.get(field, "unknown")
    with pytest.raises(UserError, match=rf"a and .*b were measured differently: {field} {known} against other: "):
        comparison.main([str(tmp_path)])
    assert not (tmp_path / "comparison.md").exists()


def test_a_runs_own_course_is_no_protocol(tmp_path):
    fake(tmp_path / "a")
    fake(
        tmp_path / "b",
        seed=1,
        card={field: {"torch": "2.11"} if field in ("versions", "left_out") else 7 for field in COURSE},
    )
    assert shared_protocol(read([tmp_path])[0]) == CARD
    said = "Not the same for all runs: git unknown"
    assert said in comparison.main([str(tmp_path)])


def test_a_run_that_changed_its_protocol_is_refused(tmp_path):
    report = json.loads((fake(tmp_path / "a") / "metrics.json").read_text())
    report["history"][0]["card"]["n_fake"] = 5
    (tmp_path / "a" / "metrics.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match="a was measured in two ways along its course: n_fake 10000 against 5"):
        comparison.main([str(tmp_path)])


def test_what_is_missing_is_said(tmp_path):
    fake(tmp_path / "0_a", fids=(9.0, 6.0))
    fake(tmp_path / "1_b", seed=1, fids=(9.0, None), floor=None, card={"left_out": {"fid": "no features"}})
    fake(tmp_path / "2_c", "Minimax", fids=(None, math.nan, None), floor=None, run__images=3000)
    (tmp_path / "3_d").mkdir()
    (tmp_path / "3_d" / "config.yaml").write_text("seed: 0\n")
    text = comparison.main([str(tmp_path)])
    assert [row[3] for row in rows(text)] == ["7.5 (6 to 9)", "6, 1 of 2", "–", "–", "1"]
    assert f"Failed, and left out: 1 ({tmp_path / '3_d'})." in text
    assert "Not measured everywhere: fid: no features." in text
    assert f"Not finished: {tmp_path / '2_c'} (2,000 of 3,000 images)." in text


def test_jobs_are_ordered_by_number(tmp_path):
    for number in (10, 9, 0):
        fake(tmp_path / f"{number}_job", seed=number)
    assert [run.folder.name for run in read([tmp_path])[0]] == ["0_job", "9_job", "10_job"]


def bad_inputs(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    for name in ("empty", "failed", "bare"):
        (tmp_path / name).mkdir()
    (tmp_path / "failed" / "console.log").touch()
    (tmp_path / "bare" / "metrics.json").write_bytes((fake(tmp_path / "run") / "metrics.json").read_bytes())
    for name, text in {"torn": '{"best": {', "other": '{"best": {}}', "list": "[]"}.items():
        (fake(tmp_path / name) / "metrics.json").write_text(text)
    fake(tmp_path / "nan", fids=(math.nan, None))
    config = (fake(tmp_path / "keyless") / "config.yaml").read_text()
    (tmp_path / "keyless" / "config.yaml").write_text(config.replace("images:", "pictures:"))
    return {
        "missing": (tmp_path / "nix", "nix: there is no such folder"),
        "empty": (tmp_path / "empty", "empty holds no run and no sweep"),
        "failed": (tmp_path / "failed", "nothing was measured in .*failed"),
        "no config": (tmp_path / "bare", "bare holds no run .there is no .*config.yaml"),
        "no run": (tmp_path / "keyless", "keyless/config.yaml is damaged .it has no 'images'"),
        "torn": (tmp_path / "torn", "metrics.json is damaged"),
        "other": (tmp_path / "other", "metrics.json is damaged .it has no 'last'"),
        "list": (tmp_path / "list", "metrics.json is damaged"),
        "nan": (tmp_path / "nan", "nothing was measured in .*nan: no value is a number"),
    }


def test_bad_input_is_answered_by_one_sentence(tmp_path):
    for path, message in bad_inputs(tmp_path).values():
        with pytest.raises(UserError, match=message) as raised:
            comparison.main([str(path), "--output", str(tmp_path / "out")])
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_value_that_was_not_measured_is_answered_with_those_that_were(tmp_path):
    with pytest.raises(UserError, match=r"--value fit was not measured: choose one of fid. Did you mean fid\?"):
        comparison.main([str(fake(tmp_path / "a")), "--value", "fit", "--output", str(tmp_path)])


def test_curves_are_means_of_the_runs_that_went_as_far_as_the_farthest(tmp_path):
    fake(tmp_path / "a", fids=(100.0, 10.0, 4.0))
    fake(tmp_path / "b", seed=1, fids=(200.0, 30.0, 8.0))
    fake(tmp_path / "c", seed=2, fids=(300.0, 1.0), run__images=2000)
    (curve,) = curves(settings(read([tmp_path])[0])[0], "fid")
    assert curve.name == "a (2 of 3 runs)"
    assert curve.images.tolist() == [0, 1000, 2000] and curve.minutes.tolist() == [0, 2, 4]
    assert curve.mean.tolist() == [150, 20, 6]
    assert curve.low.tolist() == [100, 10, 4] and curve.high.tolist() == [200, 30, 8]


def chart(tmp_path: Path, count: int, start: float = 100.0):
    """The loss of number n ends at 4 + n with seed 0, and at 5 + n with seed 1."""
    folders = [
        fake(tmp_path / f"{number}_{seed}", f"Loss{number}", seed, (start, 4.0 + number + seed))
        for number in range(count)
        for seed in (0, 1)
    ]
    return picture(curves(settings(read(folders)[0])[0], "fid"), "fid", 1.0, "Measured by: a protocol.")


def test_the_chart_has_a_line_for_each_setting_and_is_logarithmic_where_values_are_far_apart(tmp_path):
    figure = chart(tmp_path / "far", 3)
    left, right = figure.axes
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_xlabel() == "real images shown to the discriminator"
    assert right.get_xlabel() == "minutes of training"
    names = ["loss=Loss2", "loss=Loss1", "loss=Loss0", "floor: real data in the generator's place"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names, "as the lines end"
    assert right.lines[1].get_xdata().tolist() == [0, 2] and right.lines[1].get_ydata().tolist() == [100, 5.5]
    assert len(left.collections) == 3, "a band for each"
    assert chart(tmp_path / "near", 3, start=20.0).axes[0].get_yscale() == "linear"


def test_many_settings_look_different_and_the_legend_covers_no_data(tmp_path):
    figure = chart(tmp_path, 26)
    lines = figure.axes[0].lines[:26]
    assert len({(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in lines}) == 26
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= 0 and legend.x0 >= 0 and legend.x1 <= figure.bbox.width
    assert legend.y1 <= figure.axes[0].xaxis.label.get_window_extent().y0


def test_the_command_writes_table_and_chart_without_torch_and_fails_with_one_sentence(tmp_path):
    runs = [str(fake(tmp_path / name, seed=seed)) for seed, name in enumerate("ab")]
    command = [sys.executable, str(ROOT / "compare.py")]
    done = subprocess.run([*command, *runs], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "| a | 2 | best | 4 |" in done.stdout, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "outputs" / "comparison" / "comparison.png").convert("RGB"))
    blue = (np.abs(pixels.astype(int) - (0, 114, 178)).sum(2) < 30).sum()
    assert pixels.shape[1] > 1000 and blue > 500
    done = subprocess.run([*command, "nowhere"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: nowhere: there is no such folder") and done.stderr.count("\n") == 1
    script = f"import sys; from zerosum import comparison; comparison.main({runs!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True).returncode == 0

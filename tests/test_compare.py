"""compare.py: the whole comparison of runs that were written by hand, and its refusals."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from fake_runs import fake_run, table_rows
from PIL import Image

from zerosum.errors import UserError
from zerosum.report import compare


def test_a_row_is_mean_and_range_over_seeds_of_best_and_of_last(tmp_path):
    middle, last, best = [3.0, 9.0, 2.0], [5.0, 7.5, 4.0], [3.0, 7.5, 2.0]
    for seed in range(3):
        fake_run(tmp_path / f"hinge{seed}", seed=seed, fids=(90.0, middle[seed], last[seed]))
    fake_run(tmp_path / "minimax", "Minimax", fids=(90.0, 11.25))
    text = compare.main([str(tmp_path)])
    mean = [f"{np.mean(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})" for values in (best, last)]
    assert table_rows(text) == [
        ["loss=Hinge, run.images=2_000", "3", "best", mean[0], "1,333 (1,000 to 2,000)", "2.67 (2 to 4)"],
        ["loss=Hinge, run.images=2_000", "3", "last", mean[1], "2,000", "4"],
        ["loss=Minimax, run.images=1_000", "1", "best", "11.2", "1,000", "2"],
        ["loss=Minimax, run.images=1_000", "1", "last", "11.2", "1,000", "2"],
        ["floor", "", "", "1", "", ""],
    ]
    assert (tmp_path / "comparison.md").read_text(encoding="utf-8") in text
    assert "n_fake 10,000" in text and "seconds" not in text


def test_typed_settings_that_all_runs_share_stand_below_the_table(tmp_path):
    for loss in ("hinge", "nonsat"):
        fake_run(tmp_path / loss, loss, typed=("regularizer=r1", f"loss={loss}"), choices={"loss": loss})
    text = compare.main([str(tmp_path)])
    assert [row[0] for row in table_rows(text)[:4:2]] == ["loss=hinge", "loss=nonsat"]
    assert "\n\nAll runs: regularizer=none.\n\n" in text


def test_every_line_is_printable_whatever_a_strangers_files_say(tmp_path):
    code = "\x1b]0;owned\x07\n| forged | row |"
    run = fake_run(
        tmp_path / f"0_{code.replace('|', '')}",
        name=code,
        run={"left_out": {"kid": code}},
        protocol={"features": code},
        code={"git": code},
    )
    fake_run(
        tmp_path / "1", "Minimax", typed=(f"loss={code}", code), choices={"loss": code}, protocol={"features": code}
    )
    (run.parent / f"2_{code}").mkdir()
    (run.parent / f"2_{code}" / "console.log").touch()
    for paths in ([run], [tmp_path / "1"], [tmp_path]):
        text = compare.main([*map(str, paths), "--output", str(tmp_path / f"out{code}")])
        assert all(line.isprintable() for line in text.split("\n"))
        assert r"\x1b]0;owned\x07\n" in text and not any(row[0] == "forged" for row in table_rows(text))


def bad_inputs(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    for name in ("empty", "failed", "bare"):
        (tmp_path / name).mkdir()
    (tmp_path / "failed" / "console.log").touch()
    (tmp_path / "bare" / "metrics.json").write_bytes((fake_run(tmp_path / "run") / "metrics.json").read_bytes())
    for name, text in {"torn": '{"best": {', "other": '{"best": {}}', "list": "[]"}.items():
        (fake_run(tmp_path / name) / "metrics.json").write_text(text)
    report = json.loads((fake_run(tmp_path / "partial") / "metrics.json").read_text())
    del report["history"][0]["card"]["protocol"]
    (tmp_path / "partial" / "metrics.json").write_text(json.dumps(report))
    fake_run(tmp_path / "nan", fids=(math.nan, math.nan))
    config = (fake_run(tmp_path / "keyless") / "config.yaml").read_text()
    (tmp_path / "keyless" / "config.yaml").write_text(config.replace("images:", "pictures:"))
    return {
        "missing": (tmp_path / "nix", "nix: there is no such folder"),
        "empty": (tmp_path / "empty", "empty holds no run and no sweep"),
        "failed": (tmp_path / "failed", "nothing was measured in .*failed"),
        "no config": (tmp_path / "bare", "bare holds no run .there is no .*config.yaml"),
        "no run": (tmp_path / "keyless", "keyless/config.yaml is damaged .it has no 'images'"),
        "torn": (tmp_path / "torn", "metrics.json is damaged"),
        "other": (tmp_path / "other", "metrics.json is damaged .it has no 'history'"),
        "list": (tmp_path / "list", "metrics.json is damaged"),
        "partial": (tmp_path / "partial", "metrics.json is damaged .it has no 'protocol'"),
        "nan": (tmp_path / "nan", "nothing was measured in .*nan: no value is a number"),
        "huge": (fake_run(tmp_path / "huge", fids=(1e308, 2.0)), "metrics.json is damaged .a number is larger than"),
        "huge int": (
            fake_run(tmp_path / "int", run={"images": 10**400}),
            "metrics.json is damaged",
        ),
        "no reason": (fake_run(tmp_path / "reason", run={"left_out": {"fid": 5}}), "metrics.json is damaged .left_out"),
        "command": (fake_run(tmp_path / "cmd", command=5), "config.yaml is damaged .its command has no list"),
        "choices": (
            fake_run(tmp_path / "choices", command={"overrides": [], "choices": [1]}),
            "config.yaml is damaged .its command has no list",
        ),
    }


def test_bad_input_is_answered_by_one_sentence(tmp_path):
    for path, message in bad_inputs(tmp_path).values():
        with pytest.raises(UserError, match=message) as raised:
            compare.main([str(path), "--output", str(tmp_path / "out")])
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_value_that_was_not_measured_is_answered_with_those_that_were(tmp_path):
    run = fake_run(tmp_path / "a")
    with pytest.raises(UserError, match=r"--value fit was not measured: choose one of fid. Did you mean fid\?"):
        compare.main([str(run), "--value", "fit", "--output", str(tmp_path)])


def test_the_command_writes_table_and_chart_and_fails_with_one_sentence(tmp_path):
    runs = [str(fake_run(tmp_path / name, seed=seed)) for seed, name in enumerate("ab")]
    command = [sys.executable, str(ROOT / "compare.py")]
    done = subprocess.run([*command, *runs], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "| a | 2 | best | 4 |" in done.stdout, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "outputs" / "comparison" / "comparison.png").convert("RGB"))
    blue = (np.abs(pixels.astype(int) - (0, 114, 178)).sum(2) < 30).sum()
    assert pixels.shape[1] > 1000 and blue > 500
    done = subprocess.run([*command, "nowhere"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: nowhere: there is no such folder") and done.stderr.count("\n") == 1


def test_the_command_refuses_runs_that_use_labels_differently(tmp_path):
    kinds = {"none": {}, "semi": {"labels": "trained with labels"}, "asked": {"labels": "conditioned on labels"}}
    for name, protocol in kinds.items():
        fake_run(tmp_path / name, protocol=protocol)
    command = [sys.executable, str(ROOT / "compare.py")]
    for one, other, uses in (
        ("none", "asked", "none against conditioned on labels"),
        ("asked", "semi", "conditioned on labels against trained with labels"),
    ):
        done = subprocess.run([*command, one, other], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"error: {one} and {other} use labels differently ({uses})"), done.stderr
        assert done.stderr.count("\n") == 1 and not (tmp_path / "outputs").exists()


def test_comparing_imports_no_torch(tmp_path):
    run = str(fake_run(tmp_path / "a"))
    script = (
        f"import sys; from zerosum.report import compare; compare.main([{run!r}]); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Figures, and the notes below the table."""

import math

import pytest
from fake_runs import fake_run, table_rows

from zerosum.report import compare
from zerosum.report.table import format_protocol, format_range


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([2.0, 4.0], "3 (2 to 4)"),
        ([2.0, 2.0], "2"),
        ([2.0, None, math.nan], "2, 1 of 3"),
        ([None, math.inf], "–"),
        ([1234.5, 12_345.6], "6,790 (1,234 to 12,346)"),
        ([0.012345], "0.0123"),
    ],
)
def test_a_range_is_short_and_counts_what_was_measured(values, text):
    assert format_range(values) == text


def test_a_protocol_is_one_line_with_nested_fields():
    protocol = {"protocol": "fid", "n_fake": 10_000, "accuracy": 0.98765, "kid": {"subsets": 100}}
    assert format_protocol(protocol) == "protocol fid, n_fake 10,000, accuracy 0.9877, kid.subsets 100"


def test_failed_unfinished_and_unmeasured_runs_are_noted(tmp_path):
    fake_run(tmp_path / "0_a", fids=(9.0, 6.0))
    fake_run(tmp_path / "1_b", seed=1, fids=(9.0, None), floor=None, run={"left_out": {"fid": "no features"}})
    fake_run(tmp_path / "2_c", "Minimax", fids=(None, math.nan, None), floor=None, run__images=3000)
    (tmp_path / "3_d").mkdir()
    (tmp_path / "3_d" / "config.yaml").write_text("seed: 0\n")
    text = compare.main([str(tmp_path)])
    assert [row[3] for row in table_rows(text)] == ["7.5 (6 to 9)", "6, 1 of 2", "–", "–", "1"]
    assert f"Failed, and left out: 1 ({tmp_path / '3_d'})." in text
    assert "Not measured everywhere: fid: no features." in text
    assert f"Not finished: {tmp_path / '2_c'} (2,000 of 3,000 images)." in text


def test_other_commits_and_versions_are_noted(tmp_path):
    for number, version in enumerate(("2.15", "2.15", "2.11")):
        fake_run(tmp_path / str(number), seed=number, code={"versions": {"torch": version, "numpy": "2.1"}})
    text = compare.main([str(tmp_path)])
    note = f"versions.torch 2.15 ({tmp_path / '0'} and 1 more), 2.11 ({tmp_path / '2'})"
    assert f"Not the same for all runs: {note}." in text


def test_a_bar_in_a_name_opens_no_column(tmp_path):
    text = compare.main([str(fake_run(tmp_path / "a", name="x | y"))])
    assert r"| x \| y | 1 | best | 4 |" in text


def test_likelihoods_of_several_kinds_are_told_apart(tmp_path):
    fake_run(tmp_path / "0_a", run={"likelihood": "exact"})
    fake_run(tmp_path / "1_b", "Minimax", run={"likelihood": "bound, by noise"})
    fake_run(tmp_path / "2_c", "Wasserstein")
    text = compare.main([str(tmp_path)])
    assert "Likelihoods: exact (loss=Hinge); bound, by noise (loss=Minimax)." in text

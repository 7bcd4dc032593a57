"""What is read from run folders, and which measurements may stand in one table."""

import json

import pytest
from fake_runs import PROTOCOL, fake_run

from zerosum.errors import UserError
from zerosum.report import compare
from zerosum.report.measured_runs import better_directions, read_runs, shared_protocol


@pytest.mark.parametrize("field", sorted({*PROTOCOL, "resize"}))
def test_values_of_another_protocol_are_not_put_in_one_column(tmp_path, field):
    fake_run(tmp_path / "a")
    fake_run(tmp_path / "b", protocol={field: "other"})
    expected = PROTOCOL.get(field, "unknown")
    with pytest.raises(UserError, match=rf"a and .*b were measured differently: {field} {expected} against other: "):
        compare.main([str(tmp_path)])
    assert not (tmp_path / "comparison.md").exists()


def test_the_refusal_names_the_nested_field_that_differs(tmp_path):
    fake_run(tmp_path / "a", protocol={"kid": {"subsets": 100, "size": 1000}})
    fake_run(tmp_path / "b", protocol={"kid": {"subsets": 50, "size": 1000}})
    with pytest.raises(UserError, match=r"measured differently: kid\.subsets 100 against 50: "):
        shared_protocol(read_runs([tmp_path])[0])


def test_the_run_and_code_parts_of_a_card_do_not_decide_comparability(tmp_path):
    fake_run(tmp_path / "a")
    fake_run(
        tmp_path / "b", seed=1, run={"seconds": 7.0, "checkpoint": "x"}, code={"git": "2", "versions": {"torch": "2"}}
    )
    assert shared_protocol(read_runs([tmp_path])[0]) == {**PROTOCOL, "labels": "none"}


def test_a_run_that_changed_its_protocol_is_refused(tmp_path):
    report = json.loads((fake_run(tmp_path / "a") / "metrics.json").read_text())
    report["history"][0]["card"]["protocol"]["n_fake"] = 5
    (tmp_path / "a" / "metrics.json").write_text(json.dumps(report))
    with pytest.raises(UserError, match="a was measured in two ways during training: n_fake 10000 against 5"):
        compare.main([str(tmp_path)])


def test_jobs_are_ordered_by_number(tmp_path):
    for number in (10, 9, 0):
        fake_run(tmp_path / f"{number}_job", seed=number)
    assert [run.folder.name for run in read_runs([tmp_path])[0]] == ["0_job", "9_job", "10_job"]


def test_a_folder_that_is_named_twice_counts_once(tmp_path):
    runs = [fake_run(tmp_path / name) for name in "ab"]
    assert len(read_runs([*runs, runs[0], tmp_path])[0]) == 2


def test_classifiers_of_two_machines_are_refused_with_what_to_do(tmp_path):
    fake_run(tmp_path / "a", protocol={"features": "classifier", "features_hash": "1"})
    fake_run(tmp_path / "b", protocol={"features": "classifier", "features_hash": "2"})
    with pytest.raises(UserError, match=r"copy the classifier-\*\.pt of one into the cache/"):
        shared_protocol(read_runs([tmp_path])[0])


def test_better_directions_come_from_cards_and_only_as_one_of_two_words(tmp_path):
    fake_run(tmp_path / "a", run={"better": {"fid": "lower", "y": "sideways"}})
    fake_run(tmp_path / "b", seed=1)
    assert better_directions(read_runs([tmp_path])[0]) == {"fid": "lower"}
    text = compare.main([str(tmp_path)])
    assert "| setting | seeds | step | fid ↓ | images | minutes |" in text

"""Which runs share a row."""

import pytest
from fake_runs import R1, fake_run, row_names

from zerosum.report.grouping import group_by_setting
from zerosum.report.measured_runs import read_runs


def test_runs_that_differ_in_seed_folder_name_and_command_only_are_one_setting(tmp_path):
    same = [
        fake_run(tmp_path / "a", seed=0, typed=("seed=0", "loss=hinge"), choices={"loss": "hinge"}),
        fake_run(tmp_path / "b", seed=1, typed=("seed=1",), resume=str(tmp_path / "b"), trusted=["mine"]),
        fake_run(tmp_path / "c", seed=2, game__pack=None),
    ]
    settings, _ = group_by_setting(read_runs(same)[0])
    assert [(setting.seeds, len(setting.runs)) for setting in settings] == [(3, 3)]


def test_draws_of_the_labelled_images_share_a_row(tmp_path):
    """The term `labelled` has the run's seed."""
    term = {"_target_": "zerosum.gan.labels.labelled.Labelled", "count": 100, "weight": 1.0}
    runs = [fake_run(tmp_path / f"{s}", seed=s, regularizer={"labelled": {**term, "seed": s}}) for s in (0, 1)]
    settings, _ = group_by_setting(read_runs(runs)[0])
    assert [setting.seeds for setting in settings] == [2]


@pytest.mark.parametrize("other", [{"loss": "Minimax"}, {"loss__margin": 2}, {"run__images": 5}, {"regularizer": R1}])
def test_runs_that_differ_in_anything_else_are_several(tmp_path, other):
    runs, _ = read_runs([fake_run(tmp_path / "a"), fake_run(tmp_path / "b", seed=1, **other)])
    assert len(group_by_setting(runs)[0]) == 2


def test_names_that_are_given_are_used_and_duplicates_are_told_apart_by_folder(tmp_path):
    cases = [("a", "Hinge", 1), ("b", "Hinge", 2), ("c", "Minimax", 1)]
    runs, _ = read_runs([fake_run(tmp_path / name, loss, game__pack=pack) for name, loss, pack in cases])

    def names(*keys):
        return [setting.name for setting in group_by_setting(runs, list(keys))[0]]

    assert names("loss._target_") == ["Hinge (a)", "Hinge (b)", "Minimax"]
    assert names("game.pack", "loss", "no.key") == ["1, Hinge, none", "1, Minimax, none", "2, Hinge, none"]


def test_given_names_are_the_chosen_options_where_the_command_is_known(tmp_path):
    run = fake_run(tmp_path / "a", typed=(), choices={"loss": "hinge"})
    assert [group_by_setting(read_runs([run])[0], [key])[0][0].name for key in ("loss", "loss._target_")] == [
        "hinge",
        "Hinge",
    ]


def test_settings_without_a_name_have_their_runs_own_and_duplicates_their_folder(tmp_path):
    long = {f"loss__a_rather_long_parameter_{number}": number for number in range(1, 9)}
    other = {key: value + 0.5 for key, value in long.items()}
    assert row_names(fake_run(tmp_path / "a", **long), fake_run(tmp_path / "b", **other)) == ["a", "b"]
    same = {"name": "test"}
    assert row_names(fake_run(tmp_path / "c", **long, **same), fake_run(tmp_path / "d", **other, **same)) == [
        "test (c)",
        "test (d)",
    ]

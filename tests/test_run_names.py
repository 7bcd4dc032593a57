"""Rows are named by what was typed, or by what differs between configs."""

import pytest
from fake_runs import R1, R2, fake_run, row_names

from zerosum.report.measured_runs import read_runs
from zerosum.report.run_names import format_value, name_runs


def typed_run(folder, *typed, loss="hinge", regularizer="none", **keys):
    """A run started by a command with these overrides."""
    choices = {"loss": loss, "regularizer": regularizer, "model": "dcgan", "experiment": None}
    return fake_run(folder, loss.capitalize(), typed=typed, choices=choices, **keys)


def names_of(*folders):
    return name_runs(read_runs(folders)[0])


def test_typed_options_that_differ_name_the_rows_and_those_in_common_are_returned_apart(tmp_path):
    assert names_of(
        typed_run(tmp_path / "a", "model=dcgan", "loss=nonsat", "regularizer=r1", loss="nonsat", regularizer="r1"),
        typed_run(tmp_path / "b", "model=dcgan", "regularizer=r1", regularizer="r1"),
        typed_run(tmp_path / "c", "model=dcgan", "game.pack=2", game__pack=2),
    ) == (
        ["loss=nonsat, regularizer=r1", "loss=hinge, regularizer=r1", "loss=hinge, regularizer=none, game.pack=2"],
        "model=dcgan",
    )


def test_a_run_that_typed_nothing_is_named_by_its_defaults(tmp_path):
    first = typed_run(tmp_path / "a", "loss=minimax", "gamma=1e1", loss="minimax", gamma=10.0)
    second = typed_run(tmp_path / "b", gamma=0.5)
    third = typed_run(tmp_path / "c", gamma=None)
    assert names_of(first, second, third)[0] == [
        "loss=minimax, gamma=10",
        "loss=hinge, gamma=0.5",
        "loss=hinge, gamma=none",
    ]


def test_seeds_folders_hydra_and_resume_options_are_never_part_of_a_name(tmp_path):
    own = ("seed=1", "run.name=x", "run.folder=y", "hydra.run.dir=z", "hydra/launcher=process", "resume=auto")
    own += ("resume_force=true", "trusted=[mine]", "dataset.root=data", "objective=fid")
    names, shared = names_of(typed_run(tmp_path / "a", *own), typed_run(tmp_path / "b", "+gamma=3", gamma=3))
    assert (names, shared) == (["", "gamma=3"], "")


def test_a_part_that_was_taken_out_is_named(tmp_path):
    guard = {"_target_": "zerosum.training.callbacks.guard.DivergenceGuard"}
    names, _ = names_of(
        typed_run(tmp_path / "a", "~callbacks.guard"), typed_run(tmp_path / "b", callbacks__guard=guard)
    )
    assert names == ["callbacks.guard=none", "callbacks.guard=DivergenceGuard"]


def test_a_group_without_one_choice_is_named_by_its_entries(tmp_path):
    metrics = {name: {"_target_": f"zerosum.{name}"} for name in ("fid", "kid")}
    names, _ = names_of(
        typed_run(tmp_path / "a", "metrics=[fid,kid]", metrics=metrics), typed_run(tmp_path / "b", metrics={})
    )
    assert names == ["metrics=fid+kid", "metrics=none"]


def test_choices_then_configs_name_runs_whose_commands_are_equal(tmp_path):
    first, second = typed_run(tmp_path / "a"), typed_run(tmp_path / "b", loss="minimax")
    assert names_of(first, second) == (["loss=hinge", "loss=minimax"], "")
    assert names_of(first, typed_run(tmp_path / "c", game__pack=2)) == (["", "game.pack=2"], "")
    resumed = typed_run(tmp_path / "d", run__images=5000)
    assert names_of(first, resumed) == (["run.images=1_000", "run.images=5_000"], "")


def test_runs_trained_from_python_are_named_by_the_difference_of_their_configs(tmp_path):
    first = fake_run(tmp_path / "a", "NonSaturating", regularizer=R1)
    second = fake_run(tmp_path / "b", "Hinge", regularizer={**R1, **R2})
    assert row_names(first, second) == ["loss=NonSaturating", "loss=Hinge, regularizer.r2=R2, regularizer.r2.weight=1"]
    command = typed_run(tmp_path / "c", "loss=minimax", loss="minimax")
    assert row_names(fake_run(tmp_path / "d"), command) == ["loss=Hinge", "loss=Minimax"]
    assert row_names(fake_run(tmp_path / "e"), fake_run(tmp_path / "f", seed=1)) == ["e"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        (200_000.0, "200_000"),
        (0.5, "0.5"),
        (2e-4, "0.0002"),
        (float("inf"), "inf"),
        ([0.0, 0.99], "[0,0.99]"),
        ("a" * 50, "..." + "a" * 37),
    ],
)
def test_values_are_written_as_on_the_command_line(value, text):
    assert format_value(value) == text

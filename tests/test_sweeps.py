"""One table of a sweep, from what its jobs left."""

import re

import pytest
from fake_runs import fake_run, table_rows
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from zerosum.commands.sweeps import SweepTable


def sweep(folder):
    return OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}, "mode": RunMode.MULTIRUN}})


def test_seeds_share_a_row_that_the_given_keys_name_and_failures_are_counted(tmp_path, capsys):
    fake_run(tmp_path / "0_job", "Hinge", 0, (50.0, 9.0))
    fake_run(tmp_path / "1_job", "Hinge", 1, (50.0, 7.0))
    fake_run(tmp_path / "2_job", "Minimax", 0, (50.0, 5.0))
    (tmp_path / "3_job").mkdir()
    (tmp_path / "3_job" / "console.log").touch()
    SweepTable(["loss._target_"], "Losses").on_multirun_end(sweep(tmp_path))
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert [row[:4] for row in table_rows(text)] == [
        ["Hinge", "2", "best", "8 (7 to 9)"],
        ["Hinge", "2", "last", "8 (7 to 9)"],
        ["Minimax", "1", "best", "5"],
        ["Minimax", "1", "last", "5"],
        ["floor", "", "", "1"],
    ]
    assert text.startswith("# Losses\n") and "Failed, and left out: 1" in text
    assert "![fid over training](table.png)" in text
    assert (tmp_path / "table.png").stat().st_size > 10_000
    assert text in capsys.readouterr().out


def test_a_sweep_with_nothing_measured_ends_with_a_sentence(tmp_path, capsys):
    table = SweepTable(["run.name"], "Nothing")
    table.on_multirun_end(sweep(tmp_path))
    assert "holds no run" in capsys.readouterr().out
    (tmp_path / "0_job").mkdir()
    (tmp_path / "0_job" / "console.log").touch()
    table.on_job_end(sweep(tmp_path), JobReturn(status=JobStatus.FAILED))
    assert capsys.readouterr().out == ""
    table.on_multirun_end(sweep(tmp_path))
    assert "nothing was measured" in capsys.readouterr().out


def test_the_table_is_there_although_a_job_failed(tmp_path, capsys):
    """Hydra raises the first job's failure and never says that the sweep has ended."""
    fake_run(tmp_path / "0_job")
    SweepTable(["run.name"], "Half").on_job_end(sweep(tmp_path), JobReturn(status=JobStatus.FAILED))
    assert table_rows((tmp_path / "table.md").read_text(encoding="utf-8"))[0][:2] == ["0_job", "1"]
    assert "table.md" in capsys.readouterr().out


def test_only_the_first_process_of_a_job_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    fake_run(tmp_path / "0_job")
    SweepTable(["run.name"], "Table").on_job_end(sweep(tmp_path), JobReturn(status=JobStatus.COMPLETED))
    assert not (tmp_path / "table.md").exists()


METRICS = {"modes": {"_target_": "zerosum.evaluation.mode_coverage.Modes"}}


def optimizing(objective, *typed):
    return OmegaConf.create(
        {
            "objective": objective,
            "metrics": METRICS,
            "hydra": {"sweeper": {"direction": "minimize"}, "overrides": {"hydra": list(typed)}},
        }
    )


def test_the_sweeper_is_told_which_way_the_objective_is_better(capsys):
    config = optimizing("modes")
    SweepTable().on_multirun_start(config)
    assert config.hydra.sweeper.direction == "maximize" and "will maximize it" in capsys.readouterr().out
    plain = OmegaConf.create({"objective": "modes", "metrics": METRICS, "hydra": {"sweeper": {"params": None}}})
    SweepTable().on_multirun_start(plain)
    assert plain.hydra.sweeper == {"params": None}  # a sweeper that tries everything


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (optimizing("modess"), "objective=modess is not measured: choose one of .*Did you mean modes"),
        (optimizing("modes", "hydra.sweeper.direction=minimize"), "higher modes is better, so leave it out"),
    ],
)
def test_an_objective_that_cannot_be_optimized_ends_the_sweep_before_its_first_job(config, message, capsys):
    with pytest.raises(SystemExit):
        SweepTable().on_multirun_start(config)
    assert re.search(message, capsys.readouterr().err)


def test_a_single_run_gets_no_table(tmp_path):
    fake_run(tmp_path / "0_job")
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}, "mode": RunMode.RUN}})
    SweepTable().on_job_end(config, JobReturn(status=JobStatus.COMPLETED))
    assert not (tmp_path / "table.md").exists()

"""Weights & Biases: what W&B's own reader finds in the files of offline runs."""

import csv
import json

import pytest
import wandb
from conftest import ROOT, SMALL_POINTS, verb
from safetensors.torch import load_file
from wandb_records import files, records, rows

from zerosum.training.csv_logger import CSVLogger
from zerosum.training.loggers import wandb_logger
from zerosum.training.wandb_logger import start


def values_of(row):
    """The numbers in a row that metrics.csv has too."""
    return {name: value for name, value in row.items() if name != "_step" and not name.startswith("samples/")}


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # earlier tests of this process may have begun a run elsewhere


def test_all_parts_of_a_resumed_run_have_each_row_of_the_curves_once(logged_run):
    first, second = files(logged_run)
    assert first.stem == second.stem == f"run-{(logged_run / 'wandb' / 'id.txt').read_text()}"
    logged = [*rows(first), *rows(second)]
    steps = [row["_step"] for row in logged]
    assert steps == sorted(set(steps)) and steps == [row["images"] for row in logged]
    with (logged_run / "metrics.csv").open(newline="") as file:
        curves = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    timed = {name for row in curves for name in row if name.startswith("speed/")}
    by_images = {row["images"]: values_of(row) for row in logged if values_of(row).keys() != {"images"}}
    for row in curves:
        for name in row.keys() - timed:
            assert by_images[row["images"]][name] == pytest.approx(row[name]), (name, row["images"])
    assert by_images.keys() == {row["images"] for row in curves}


def test_images_are_the_axis_and_summaries_are_best_and_last(logged_run):
    first, _ = files(logged_run)
    defined = {metric.get("glob_name") or metric["name"]: metric for metric in records(first, "metric")}
    assert {metric["step_metric"] for metric in defined.values()} == {"images"}
    assert defined["quality/fid"]["summary"] == {"min": True, "last": True}
    measured = [entry["values"]["fid"] for entry in json.loads((logged_run / "metrics.json").read_text())["history"]]
    summaries = [summary["update"].get("quality/fid") for summary in records(first, "summary")]
    assert [summary for summary in summaries if summary][-1] == pytest.approx(
        {"min": min(measured), "last": measured[-1]}
    )


def test_samples_and_the_film_are_media_at_their_images(logged_run):
    first, _ = files(logged_run)
    pictures = [row for row in rows(first) if row.get("samples/fixed_seeds._type") == "images/separated"]
    frames = sorted((logged_run / "samples").glob("*.png"))
    assert [row["images"] for row in pictures] == [int(frame.stem) for frame in frames]
    assert [row["samples/fixed_seeds.captions"] for row in pictures][-1] == ["160 images seen"]
    (film,) = [row for row in rows(first) if row.get("samples/training._type") == "videos"]
    path = first.parent / "files" / film["samples/training.videos"][0]["path"]
    assert film["images"] == 160 and path.read_bytes() == (logged_run / "training.gif").read_bytes()
    assert any(row.get("game/logits/fake/histogram._type") == "histogram" for row in rows(first))


def test_the_config_is_logged_once_with_commit_name_group_and_tags(logged_run):
    first, _ = files(logged_run)
    (run,) = records(first, "run")
    assert not records(first, "config")
    config = run["config"]["update"]
    assert (
        config["protocol"]["features"] == "${features}" and config["callbacks"]["evaluate"]["protocol"] == "${protocol}"
    )
    assert config["training"]["batch_size"] == 16 and len(config["commit"].rstrip("+")) == 40
    assert (run["display_name"], run["run_group"], run["job_type"]) == (
        "dataset=synthetic, gamma=1.0",
        "my_sweep",
        "sweep",
    )
    assert run["tags"] == ["synthetic", "dcgan", "nonsat"]


def test_the_best_weights_are_an_artifact_with_their_card(logged_run):
    import torch

    (artifact,) = records(files(logged_run)[0], "artifact")
    paths = {entry["path"]: entry["local_path"] for entry in artifact["manifest"]["contents"]}
    assert paths.keys() == {"weights.safetensors", "card.json", "config.yaml"}
    assert all(path.startswith(str(logged_run)) for path in paths.values())
    weights = load_file(paths["weights.safetensors"])
    saved = torch.load(logged_run / "best.ckpt", weights_only=True)["state_dict"]
    assert weights and all(torch.equal(value, saved[f"ema.network.{name}"]) for name, value in weights.items())
    best = json.loads((logged_run / "metrics.json").read_text())["best"]
    assert json.loads((logged_run / "wandb" / "best" / "card.json").read_text()) == best


@pytest.mark.slow
def test_rows_that_a_kill_has_lost_come_from_metrics_csv(tmp_path, offline):
    curves, first = CSVLogger(str(tmp_path)), wandb_logger(str(tmp_path))
    for images in (10, 20, 30, 40):
        curves.log_metrics({"images": images, "game/x": images / 2})
        if images < 30:
            first.log_metrics({"images": images, "game/x": images / 2})
    first.finalize("failed")
    second = wandb_logger(str(tmp_path))
    second.log_metrics({"images": 50, "game/x": 25.0})
    second.finalize("success")
    logged = [row for path in files(tmp_path) for row in rows(path)]
    assert [(row["images"], row["game/x"]) for row in logged] == [(n, n / 2) for n in (10, 20, 30, 40, 50)]


def test_values_of_lightnings_callbacks_stand_at_the_images_of_their_step(tmp_path, offline):
    logger = wandb_logger(str(tmp_path))
    logger.log_hyperparams({"images_per_step": 16})
    logger.log_metrics({"note": 7.0}, step=3)
    logger.alert("collapse", "all samples are alike")
    logger.finalize("success")
    (path,) = files(tmp_path)
    assert rows(path) == [{"_step": 48, "images": 48, "note": 7}]
    assert [alert["title"] for alert in records(path, "alert")] == ["collapse"]


def test_a_server_that_does_not_answer_means_offline_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logger = wandb_logger(str(tmp_path))
    logger.log_metrics({"images": 16, "fid": 2.0}, step=16)
    logger.finalize("success")
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert "W&B logs offline" in caplog.text and f"wandb sync {tmp_path}" in caplog.text


def test_the_id_that_an_agent_of_a_sweep_chose_is_kept(tmp_path, monkeypatch, offline):
    """W&B ignores every other id in a sweep; a run that is resumed continues by the id in its folder."""
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep123")
    monkeypatch.setenv("WANDB_RUN_ID", "agent123")
    run = start(tmp_path, "offline", {"project": "x"})
    run.finish()
    wandb.teardown()
    assert (tmp_path / "wandb" / "id.txt").read_text() == "agent123"


@pytest.mark.slow
def test_each_job_of_a_sweep_is_a_run_of_its_own_in_one_group(tmp_path):
    options = [*SMALL_POINTS, "~callbacks.samples", "logger=wandb", f"hydra.sweep.dir={tmp_path}/sweep"]
    options = [option for option in options if not option.startswith("callbacks.samples")]
    verb("train.py", "-m", *options, "seed=0,1")
    started = [records(path, "run") for path in sorted((tmp_path / "sweep").rglob("run-*.wandb"))]
    assert [len(runs) for runs in started] == [1, 1]
    (first,), (second,) = started
    assert first["run_id"] != second["run_id"] and first["run_group"] == second["run_group"] == "sweep"
    names = [first["display_name"], second["display_name"]]  # run.name: what was typed is too long for a name
    assert names == ["ring_mlp_nonsat_seed0", "ring_mlp_nonsat_seed1"]


def test_the_command_of_the_sweep_file_composes(composed):
    """W&B's own function makes words of an agent's choice."""
    import yaml
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    sweep = yaml.safe_load((ROOT / "docs" / "sweep.yaml").read_text(encoding="utf-8"))
    chosen = {
        name: {"value": (node.get("values") or [node.get("min")])[-1]} for name, node in sweep["parameters"].items()
    }
    macros = create_sweep_command_args({"args": chosen})
    words = create_sweep_command(sweep["command"])
    assert sweep["program"] == "train.py" and words[-1] == "${args_no_hyphens}"
    typed = [word for word in words if "=" in word] + macros["args_no_hyphens"]
    config = validate(composed(*[word for word in typed if not word.startswith("logger=")]))
    assert build(config).run.images == 50_000 and config["seed"] == 2 and config["gamma"] == 0.01
    assert "wandb" in composed(*typed)["logger"]

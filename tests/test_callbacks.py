"""What a run leaves behind: curves, pictures, film, figures, checkpoints."""

import csv
import itertools
import json
import shutil
import signal

import pytest
import torch
from lightning import Callback
from PIL import Image

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs.load import load
from zerosum.commands.sample import sample
from zerosum.commands.evaluate import evaluate
from zerosum.runs import resume
from zerosum.training.callbacks.checkpoint import Checkpoint, save
from zerosum.training.callbacks.samples import Samples
from zerosum.errors import UserError
from zerosum.files import save_whole
from zerosum.training.loggers import CSVLogger, run_id, wandb_logger


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One finished run of a tiny DCGAN: 320 images, evaluated every 160."""
    from conftest import ROOT, TINY
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    folder = tmp_path_factory.mktemp("finished")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(
            "config", [*TINY, "run.images=320", "callbacks.evaluate.every=160", "callbacks.curves.every=80"]
        )
    config.run = {"images": 320, "name": "test", "folder": str(folder / "run")}
    config.dataset.root = str(folder / "data")
    train(OmegaConf.create(config))
    return folder / "run"


def test_the_folder_holds_all_that_was_promised(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {"config.yaml", "metrics.csv", "metrics.json", "last.ckpt", "best.ckpt", "samples", "training.gif"}
    assert not [name for name in names if "partial" in name]


def test_curves_have_images_first_and_no_row_twice(run):
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert next(iter(rows[0])) == "images"
    images = [int(row["images"]) for row in rows]
    assert images == [0, 80, 160, 240, 320]
    assert [row["fid"] != "" for row in rows] == [True, False, True, False, True]
    assert all(0 < float(row["d_real"]) < 1 for row in rows[1:])


def test_figures_say_what_they_are(run):
    report = json.loads((run / "metrics.json").read_text())
    assert [entry["card"]["images"] for entry in report["history"]] == [0, 160, 320]
    assert report["last"] == report["history"][-1]
    assert report["best"]["values"]["fid"] == min(entry["values"]["fid"] for entry in report["history"])
    expected = {
        "n_fake": 64,
        "n_real": 256,
        "split": "test",
        "features": "classifier",
        "resize": "none",
        "weights": "ema",
    }
    assert expected.items() <= report["last"]["card"].items()
    assert report["last"]["card"]["seed"] == 0 and 0 < report["floor"]["fid"] < report["best"]["values"]["fid"]


def test_checkpoints_open_without_running_code_and_hold_no_metric_network(run):
    stored = torch.load(run / "last.ckpt", weights_only=True)
    assert stored["images_seen"] == 320
    assert {name.split(".")[0] for name in stored["state_dict"]} == {"generator", "discriminator", "ema"}


def test_pictures_start_before_training_and_end_in_a_film(run):
    frames = sorted((run / "samples").glob("*.png"))
    assert next(int(frame.stem) for frame in frames) == 0 and int(frames[-1].stem) == 320
    with Image.open(run / "training.gif") as film:
        assert film.n_frames == len(frames)


def test_evaluate_gives_the_same_numbers_again(run):
    report = json.loads((run / "metrics.json").read_text())
    evaluate(run, "last")
    again = json.loads((run / "evaluation_last.json").read_text())
    assert again["values"] == report["last"]["values"]
    assert {**again["card"], "seconds": 0} == {**report["last"]["card"], "seconds": 0, "checkpoint": "last"}
    assert again["floor"] == report["floor"]


def test_evaluate_measures_the_generator_itself_and_by_other_metrics(run):
    fid = {"fid": {"_target_": "zerosum.evaluation.distribution_metrics.FID"}}
    kid = {"kid": {"_target_": "zerosum.evaluation.distribution_metrics.KID"}}
    near = {"memorization": {"_target_": "zerosum.evaluation.neighbour_metrics.Memorization"}}
    evaluate(run, "last", "raw", {"metrics": {**fid, **kid, **near}})
    raw = json.loads((run / "evaluation_last_raw.json").read_text())
    average = json.loads((run / "metrics.json").read_text())["last"]
    assert list(raw["values"]) == ["fid", "kid", "kid_std", "memorization"] and raw["card"]["weights"] == "raw"
    assert raw["values"]["fid"] != average["values"]["fid"]
    with Image.open(run / "evaluation_last_raw_nearest.png") as sheet:
        assert sheet.width > sheet.height
    with pytest.raises(UserError, match="best, last or previous"):
        evaluate(run, "newest")


def test_samples_are_functions_of_their_seeds(run, tmp_path):
    sample(run, "last", 5, 0, str(tmp_path / "five"))
    sample(run, "last", 2, 3, str(tmp_path / "two"))
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["000003.png", "000004.png", "grid.png"]
    for name in ("000003.png", "000004.png"):
        assert Image.open(tmp_path / "five" / name).tobytes() == Image.open(tmp_path / "two" / name).tobytes()


def test_resuming_a_finished_run_says_so(run):
    with pytest.raises(UserError, match="is finished: it has seen 320 of 320 images"):
        resume.resume(run, ["resume=x"])


def test_resuming_lists_what_differs_and_refuses(run, tiny):
    overrides = ["loss=minimax", "optimizer.lr=0.5", "training.batch_size=16"]
    composed_again = tiny(*overrides, "run.images=640")
    with pytest.raises(UserError) as refusal:
        resume.prepared(run, ["resume=x", *overrides, "run.images=640"], (), composed_again)
    message = str(refusal.value)
    assert "loss._target_=zerosum.gan.losses.Minimax instead of zerosum.gan.losses.NonSaturating" in message
    assert "optimizer.lr=0.5 instead of 0.0002" in message
    assert "resume_force=true" in message and "batch_size" not in message


def test_resuming_with_force_takes_the_new_config(run, tiny):
    overrides = ["loss=minimax", "run.images=640"]
    typed = resume.prepared(run, overrides, (), tiny(*overrides), force=True)
    assert typed["loss"]["_target_"].endswith("Minimax") and typed["run"]["images"] == 640


def test_a_preset_is_compared_as_a_whole(run, tiny):
    with pytest.raises(UserError, match=r"regularizer\.r1\.weight=1\.0 instead of None"):
        resume.prepared(run, ["experiment=digits"], (), tiny("regularizer=r1"))


@pytest.fixture
def copied(run, tmp_path):
    """The finished run's folder, to be damaged."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    return copy


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_from_a_damaged_last_checkpoint_the_one_before_it_is_used(copied, damage, caplog):
    last, previous = copied / "last.ckpt", copied / "previous.ckpt"
    shutil.copy(last, previous)
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    if damage == "gone":
        last.unlink()
    options = ["run.images=640", f"dataset.root={copied.parent / 'data'}"]
    assert resume.prepared(copied, options)["run"]["images"] == 640
    assert f"Going on from {previous}, at 320 images" in caplog.text
    assert resume.put_in_place(copied) == previous
    assert (copied / "damaged.ckpt").exists() == (damage == "cut")
    assert not last.exists() and previous.read_bytes() == whole


def test_two_checkpoints_are_kept_and_none_of_broken_weights(tiny, tmp_path, caplog):
    trained = tmp_path / "run"
    train(tiny("run.images=64", "callbacks.checkpoint.every=32", "~callbacks.evaluate"))
    seen = [torch.load(trained / f"{name}.ckpt", weights_only=True)["images_seen"] for name in ("previous", "last")]
    assert seen == [32, 64]
    before = (trained / "last.ckpt").read_bytes()
    built = build(validate(tiny("run.images=64")))
    with torch.no_grad():
        next(built.module.generator.parameters()).fill_(float("nan"))
    Checkpoint(str(trained)).save_last(built.trainer, built.module)
    assert (trained / "last.ckpt").read_bytes() == before
    assert "no checkpoint is saved" in caplog.text


def test_a_run_is_not_overwritten_but_a_failed_start_may_be(run, tmp_path):
    with pytest.raises(UserError, match="already holds a run"):
        resume.refuse_to_overwrite(run)
    (tmp_path / "config.yaml").write_text("")
    resume.refuse_to_overwrite(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named(run, tmp_path, content):
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (tmp_path / "best.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"best.ckpt cannot be read .* damaged"):
        load(tmp_path)


def test_a_checkpoint_of_another_model_is_named(run, tmp_path):
    config = (run / "config.yaml").read_text().replace("base_channels: 8", "base_channels: 4")
    (tmp_path / "config.yaml").write_text(config)
    (tmp_path / "best.ckpt").write_bytes((run / "best.ckpt").read_bytes())
    with pytest.raises(UserError, match="holds another model"):
        load(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load(tmp_path)


def test_ctrl_c_stops_after_the_step_and_the_run_resumes_to_the_same_end(tiny, tmp_path):
    straight, stopped = (tiny("run.images=160", "~callbacks.evaluate") for _ in range(2))
    straight.run.folder, stopped.run.folder = str(tmp_path / "straight"), str(tmp_path / "stopped")
    train(straight)
    typed = validate(stopped)
    typed["callbacks"]["interrupt"] = {"_target_": f"{__name__}.Interrupt"}
    built_before = signal.getsignal(signal.SIGINT)
    train(typed)
    assert signal.getsignal(signal.SIGINT) == built_before
    assert torch.load(tmp_path / "stopped/last.ckpt", weights_only=True)["images_seen"] == 64
    config = (tmp_path / "stopped/config.yaml").read_text()
    (tmp_path / "stopped/config.yaml").write_text(config.replace(f"{__name__}.Interrupt", "lightning.Callback"))
    resume.resume(tmp_path / "stopped", [f"dataset.root={tmp_path / 'data'}"], trusted="lightning")
    one, other = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("straight", "stopped"))
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


class Interrupt(Callback):
    """Presses Ctrl-C in the fourth step."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 3:
            signal.raise_signal(signal.SIGINT)


def test_frames_are_dense_at_first():
    times = Samples("x", frames=10).times(10_000)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert times[0] == 0 and times[-1] == 10_000
    assert gaps == sorted(gaps) and gaps[-1] > 20 * gaps[0]


def test_resumed_curves_drop_what_came_after_the_checkpoint(tmp_path):
    first = CSVLogger(str(tmp_path))
    for images in (100, 200, 300):
        first.log_metrics({"images": images, "loss": images / 100})
    resumed = CSVLogger(str(tmp_path))
    resumed.log_metrics({"images": 250, "loss": 9, "fid": 1})
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [(row["images"], row["loss"], row["fid"]) for row in rows] == [
        ("100", "1.0", ""),
        ("200", "2.0", ""),
        ("250", "9", "1"),
    ]


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("good")

    def full(partial):
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device.*make room"):
        save_whole(path, full)
    assert path.read_text() == "good" and list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    class Trainer:
        is_global_zero = True

        def save_checkpoint(self, path):
            path.write_text("half")
            raise OSError(28, "No space left on device")

    (tmp_path / "last.ckpt").write_text("good")
    with pytest.raises(UserError, match="could not be written"):
        save(Trainer(), tmp_path / "last.ckpt")
    assert (tmp_path / "last.ckpt").read_text() == "good"


def test_a_wandb_server_that_does_not_answer_means_offline_without_a_question(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logger = wandb_logger(str(tmp_path))
    logger.log_metrics({"images": 16, "fid": 2.0}, step=16)
    logger.finalize("success")
    assert list((tmp_path / "wandb").glob("offline-run-*"))


def test_a_resumed_run_goes_on_with_its_wandb_run(tmp_path):
    first = run_id(tmp_path / "wandb" / "id.txt")
    assert run_id(tmp_path / "wandb" / "id.txt") == first != run_id(tmp_path / "other" / "id.txt")


def test_wandb_logs_offline_against_images(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    train(tiny("run.images=64", "logger=wandb", "callbacks.curves.every=32"))
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert list(folder.glob("*.wandb")) and list(folder.rglob("samples*.png"))
    assert (tmp_path / "run" / "metrics.csv").exists()

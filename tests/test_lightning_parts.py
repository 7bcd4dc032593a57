"""Lightning's own callbacks and loggers are entries of `callbacks` and `logger` like zerosum's."""

import csv
import re
from pathlib import Path

import pytest
import wandb
from lightning import Callback
from lightning.fabric.utilities.logger import _flatten_dict

from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import start_loggers

RING = [
    *["dataset=ring", "training.batch_size=16", "protocol.n_fake=64", "callbacks.samples.frames=1", "trainer=cpu"],
    *["callbacks.evaluate.every=320", "callbacks.curves.every=160", "run.images=1600", "+trainer.log_every_n_steps=10"],
]
CALLBACKS = {
    "LearningRateMonitor": {},
    "DeviceStatsMonitor": {"cpu_stats": False},
    "RichProgressBar": {},
    "TQDMProgressBar": {},
    "ModelSummary": {},
    "Timer": {},
    "EarlyStopping": {"monitor": "high_quality", "mode": "max", "patience": 1},
    "ModelCheckpoint": {"monitor": "modes", "mode": "max", "dirpath": "${run.folder}/lightning"},
}
LOGGERS = {
    "CSVLogger": {"save_dir": "${run.folder}/lightning"},
    "TensorBoardLogger": {"save_dir": "${run.folder}/lightning"},
    "WandbLogger": {"save_dir": "${run.folder}", "offline": True},
}


class Note(Callback):
    """Logs by the module, as any LightningModule can."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        pl_module.log("note", 7.0)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def fit(composed, *overrides: str):
    config = composed(*RING, *overrides)
    built = build(validate(config))
    for logger in built.trainer.loggers:
        logger.log_hyperparams({"images_per_step": 16})
    built.trainer.fit(built.module, datamodule=built.data)
    return built, Path(config.run.folder)


def options(name: str, values: dict) -> str:
    return ",".join(f"{key}: {value}" for key, value in ({"_target_": name} | values).items())


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_of_lightnings_runs_beside_ours(composed, name, tmp_path):
    entry = options(f"lightning.pytorch.callbacks.{name}", CALLBACKS[name]).replace("${run.folder}", str(tmp_path))
    built, folder = fit(composed, f"+callbacks.further={{{entry}}}")
    assert built.module.images_seen == 1600 or name == "EarlyStopping"
    images = [int(row["images"]) for row in rows(folder)]
    assert images == sorted(set(images)) and images[0] == 0


def test_early_stopping_acts_on_evaluations(composed):
    """Nothing is learned at learning rate 0, so the second evaluation after the first is no better."""
    entry = options("lightning.pytorch.callbacks.EarlyStopping", CALLBACKS["EarlyStopping"])
    built, _ = fit(composed, f"+callbacks.further={{{entry}}}", "optimizer.lr=0.0")
    assert built.module.images_seen < 1600


@pytest.mark.parametrize("name", ["EarlyStopping", "ModelCheckpoint"])
def test_a_value_that_is_not_measured_cannot_be_monitored(composed, name, tmp_path):
    entry = options(f"lightning.pytorch.callbacks.{name}", {"monitor": "mode", "mode": "max"})
    with pytest.raises(UserError, match=f"{name} monitors mode, which is not measured: choose .*Did you mean modes"):
        fit(composed, f"+callbacks.further={{{entry}}}")


def test_what_a_module_logs_stands_in_the_row_of_its_images(composed):
    _, folder = fit(composed, "+callbacks.note._target_=test_lightning_parts.Note")
    noted = {int(row["images"]): row["note"] for row in rows(folder) if row["note"]}
    assert set(noted.values()) == {"7.0"} and set(noted) == set(range(160, 1601, 160))


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_of_lightnings_logs_beside_ours(composed, name, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # earlier tests of this process may have begun a run elsewhere
    entry = options(f"lightning.pytorch.loggers.{name}", LOGGERS[name]).replace("${run.folder}", str(tmp_path / "own"))
    _, folder = fit(composed, f"+logger.further={{{entry}}}")
    wandb.finish()  # Lightning's logger leaves its run open
    assert rows(folder) and any((tmp_path / "own").rglob("*"))


def test_names_of_options_hold_only_what_mlflow_takes(composed, tmp_path):
    """Letters, figures and _-. :/ alone, as mlflow.utils.validation has it."""
    entry = options("lightning.pytorch.loggers.CSVLogger", {"save_dir": str(tmp_path / "own")})
    config = composed(*RING, f"+logger.further={{{entry}}}")
    typed = validate(config) | {"command": {"overrides": [], "choices": {"model/discriminator@model": "mlp"}}}
    built = build(typed)
    start_loggers(typed, built)
    names = _flatten_dict(built.trainer.loggers[-1].experiment.hparams)
    assert "command/choices/model/discriminator.model" in names
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in names)

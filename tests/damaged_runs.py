"""A run with one damaged file, and the outcome of everything that reads it."""

import csv
import io
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from conftest import ROOT
from damage import Draw, damaged_bytes, damaged_config, damaged_lines, damaged_report
from damaged_checkpoints import damaged_record, damaged_state, damaged_weights
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor

from zerosum.errors import UserError
from zerosum.experiment.train import train
from zerosum.report.measured_runs import read_runs
from zerosum.runs import resume
from zerosum.runs.load import load, load_dataset
from zerosum.training.csv_logger import CSVLogger

OPTIONS = (
    *("dataset=ring", "model=mlp", "protocol=points10k", "metrics=mode_coverage", "protocol.n_fake=32"),
    *("training.batch_size=16", "trainer=cpu"),
)
SMALL = [f"model.{player}.{option}" for player in ("generator", "discriminator") for option in ("width=8", "depth=1")]
FILES = {
    "config.yaml": ("load best", "load_dataset", "resume", "compare"),
    "last.ckpt": ("load last", "resume"),
    "best.ckpt": ("load best",),
    "metrics.json": ("compare",),
    "metrics.csv": ("curves",),
}
"""Files that are damaged, and what reads each"""
IMAGES = 64


def made(folder: Path) -> Path:
    """A finished run of a tiny MLP on a ring."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*OPTIONS, *SMALL, "callbacks.samples.frames=1"])
    config.run = {"images": IMAGES, "name": "test", "folder": str(folder)}
    train(OmegaConf.create(config))
    return folder


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def outcome(opening: Callable[[], bool]) -> str:
    """refused with one printable line, equal, or wrong; any other exception is raised."""
    try:
        return "equal" if opening() else "wrong"
    except UserError as error:
        return "refused" if str(error) and str(error).isprintable() else "wrong"


class Folder:
    """A run, its undamaged files, and a folder for damaged copies."""

    def __init__(self, folder: Path) -> None:
        run = made(folder / "run")
        self.files = {name: (run / name).read_bytes() for name in FILES}
        self.whole = {name: load(run, name).cpu().state_dict() for name in ("best", "last")}
        self.run = folder / "damaged"

    def opened(self, name: str, content: bytes) -> dict[str, str]:
        """The outcome of each of its readers, with one file's content replaced."""
        shutil.rmtree(self.run, ignore_errors=True)  # a resumed run left more
        self.run.mkdir()
        for other, written in {**self.files, name: content}.items():
            (self.run / other).write_bytes(written)
        openings = self.openings()
        return {reader: outcome(openings[reader]) for reader in FILES[name]}

    def openings(self) -> dict[str, Callable[[], bool]]:
        """Everything that reads a run folder, each saying whether it read what was written."""
        run = self.run
        return {
            "load best": lambda: equal(load(run, "best").cpu().state_dict(), self.whole["best"]),
            "load last": lambda: equal(load(run, "last").cpu().state_dict(), self.whole["last"]),
            "load_dataset": lambda: bool(load_dataset(run).sample_shape),
            "resume": lambda: self.is_resumable(),
            "compare": lambda: len(read_runs([run])[0]) == 1,
            "curves": lambda: self.continues_curves(),
        }

    def is_resumable(self) -> bool:
        """Whether all checks before training pass."""
        typed = resume.configure(self.run, [f"run.images={2 * IMAGES}"])
        return resume.prepare(typed, self.run, ()) == (IMAGES, 2 * IMAGES)

    def continues_curves(self) -> bool:
        """Whether rows rise and go on; a changed digit cannot be noticed."""
        CSVLogger(str(self.run)).log_metrics({"images": IMAGES + 16, "loss": 1.0})
        with (self.run / "metrics.csv").open(newline="", encoding="utf-8") as file:
            images = [int(row["images"]) for row in csv.DictReader(file)]
        return images == sorted(set(images)) and images[-1] == IMAGES + 16

    def stored(self) -> dict[str, Any]:
        """The content of the undamaged last.ckpt."""
        return torch.load(io.BytesIO(self.files["last.ckpt"]), weights_only=True)


def saved(stored: dict[str, Any]) -> bytes:
    """A checkpoint's file, its checksums right whatever it holds."""
    file = io.BytesIO()
    torch.save(stored, file)
    return file.getvalue()


def any_bytes(name: str, draw: Draw, folder: Folder) -> bytes:
    return damaged_bytes(draw, folder.files[name])


KINDS: dict[str, tuple[str, Callable[[Draw, Folder], bytes]]] = {
    **{f"bytes of {name}": (name, partial(any_bytes, name)) for name in FILES},
    "one byte of a weight in best.ckpt": (
        "best.ckpt",
        lambda draw, folder: damaged_record(draw, folder.files["best.ckpt"]),
    ),
    "values of config.yaml": ("config.yaml", lambda draw, folder: damaged_config(draw, folder.files["config.yaml"])),
    "lines of config.yaml": ("config.yaml", lambda draw, folder: damaged_lines(draw, folder.files["config.yaml"])),
    "values of metrics.json": ("metrics.json", lambda draw, folder: damaged_report(draw, folder.files["metrics.json"])),
    "weights of last.ckpt": ("last.ckpt", lambda draw, folder: saved(damaged_weights(draw, folder.stored()))),
    "the rest of last.ckpt": ("last.ckpt", lambda draw, folder: saved(damaged_state(draw, folder.stored()))),
}
"""Each kind of damage: the file that is damaged, and how."""

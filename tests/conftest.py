"""What tests share: small configs, and the real data where it is there."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

import zerosum.experiment.compose  # noqa: F401 (registers the resolvers of conf/)

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

torch.set_num_threads(1)

TINY = (
    "dataset=synthetic",
    "model.base_channels=8",
    "model.latent_dim=8",
    "training.batch_size=16",
    "features.steps=20",
    "protocol.n_fake=64",
    "callbacks.samples.count=4",
    "callbacks.samples.frames=2",
    "trainer=cpu",
)
"""A DCGAN that trains in a second."""


def verb(*arguments: str, cwd: Path = ROOT, fails: bool = False) -> str:
    """Run a verb in a process of its own; its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    script, *options = arguments
    command = [sys.executable, str(ROOT / script), *options]
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode != 0) == fails, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def run_two_processes(script: str, folder: Path) -> str:
    """Run a script of tests/ twice at once, as the two processes of one training; what the first one printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        place |= {"LOCAL_WORLD_SIZE": 2, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": 1}
        environment = {**os.environ, **{name: str(value) for name, value in place.items()}}
        command = [sys.executable, str(ROOT / "tests" / script), str(folder)]
        output = subprocess.PIPE if rank == 0 else subprocess.DEVNULL
        started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True))
    printed, _ = started[0].communicate(timeout=280)
    assert [process.wait(timeout=20) for process in started] == [0, 0], printed
    return printed


@pytest.fixture
def composed(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Compose conf/ with overrides, as train.py does; the run folder and all caches lie in tmp_path.

    Only tests that name it get the callback `report`.
    """

    def compose_config(*overrides: str) -> dict[str, Any]:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("config", list(overrides))
        OmegaConf.update(config, "run.name", "test")
        if OmegaConf.select(config, "run.folder", throw_on_resolution_failure=False) is None:
            OmegaConf.update(config, "run.folder", str(tmp_path / "run"))
        if "root" in config.dataset:
            OmegaConf.update(config, "dataset.root", str(tmp_path / "data"))
        if config.get("callbacks") and not any("report" in override for override in overrides):
            with open_dict(config.callbacks):
                config.callbacks.pop("report", None)  # each would take as long as the training
        return config

    return compose_config


@pytest.fixture
def tiny(composed: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A DCGAN on synthetic images that trains in a second."""
    return lambda *overrides: composed(*TINY, *overrides)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An empty folder for images."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MNIST, Fashion-MNIST and CIFAR-10 as torchvision reads them; skips where they are not at hand."""
    if not (SHARED_DATA / "unpack").exists():
        pytest.skip("the real data sets are not on this machine")
    folder = tmp_path_factory.mktemp("shared")
    subprocess.run([sys.executable, SHARED_DATA / "unpack", folder, "mnist", "fashion-mnist"], check=True)
    return folder


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset.root with 200 + 100 digits of scikit-learn as MNIST and as Fashion-MNIST, in their IDX files."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.kron(digits.images * (255 / 16), np.ones((3, 3))).round().astype(np.uint8)  # (1797, 24, 24)
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.uint8)
    root = tmp_path_factory.mktemp("small")
    for start, name in ((0, "MNIST"), (300, "FashionMNIST")):
        folder = root / name / "raw"
        folder.mkdir(parents=True)
        for split, part in (("train", slice(start, start + 200)), ("t10k", slice(start + 200, start + 300))):
            write_idx(folder / f"{split}-images-idx3-ubyte", images[part])
            write_idx(folder / f"{split}-labels-idx1-ubyte", labels[part])
    return root


def write_idx(path: Path, array: np.ndarray) -> None:
    """A uint8 array in the IDX format of MNIST (LeCun's page): 0, 0, 8, dimensions, big-endian sizes, bytes."""
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes()
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny DCGAN: 320 images, evaluated every 160; to be read, not changed."""
    from zerosum.experiment.train import train

    folder = tmp_path_factory.mktemp("finished")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        options = ["run.images=320", "callbacks.evaluate.every=160", "callbacks.curves.every=80"]
        config = compose("config", [*TINY, *options])
    config.run = {"images": 320, "name": "test", "folder": str(folder / "run")}
    config.dataset.root = str(folder / "data")
    train(OmegaConf.create(config))
    return folder / "run"


SMALL_POINTS = (
    *("dataset=ring", "model=mlp", "protocol=points10k", "metrics=mode_coverage", "protocol.n_fake=32"),
    *("training.batch_size=16", "trainer=cpu", "model.generator.width=8", "model.generator.depth=1"),
    *("model.discriminator.width=8", "run.images=64", "callbacks.samples.frames=1"),
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run: 64 images of a ring."""
    from zerosum.experiment.train import train

    folder = tmp_path_factory.mktemp("made") / "run"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", list(SMALL_POINTS))
    config.run = {"images": 64, "name": "test", "folder": str(folder)}
    train(OmegaConf.create(config))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run on the ring that a test may tamper with, somewhere else."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "last.ckpt", "best.ckpt"):
        (folder / name).write_bytes((made / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def logged_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 160 images with all loggers that was resumed at 128 images: the last 32 were trained twice."""
    from zerosum.experiment.train import train
    from zerosum.runs.resume import resume

    folder = tmp_path_factory.mktemp("logged") / "run"
    options = [
        "run.images=160",
        "callbacks.evaluate.every=64",
        "callbacks.curves.every=16",
        "callbacks.logits.every=64",
    ]
    options += ["callbacks.checkpoint.every=64", "logger=[csv,wandb,tensorboard]", "logger.wandb.artifacts=true"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.create(compose("config", [*TINY, *options]))
    config.run = {"images": 160, "name": "test", "folder": str(folder)}
    config.dataset.root = str(folder.parent / "data")
    choices = {"dataset": "synthetic", "model": "dcgan", "loss": "nonsat"}
    command = {
        "overrides": ["dataset=synthetic", "run.images=160", "gamma=1.0"],
        "choices": choices,
        "sweep": "my_sweep",
    }
    OmegaConf.update(config, "command", command, force_add=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        train(config)
        (folder / "last.ckpt").write_bytes((folder / "previous.ckpt").read_bytes())
        resume(folder, [f"dataset.root={folder.parent / 'data'}", "logger.wandb.mode=offline"])
    return folder

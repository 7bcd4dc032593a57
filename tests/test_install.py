"""The wheel, installed into an environment of its own, trains in an empty folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

SMALL = [
    *["dataset=digits", "model.base_channels=8", "features.steps=20", "protocol.n_fake=64", "run.images=300"],
    *["callbacks.samples.frames=1", "trainer=cpu"],
]


def run(*command: str | Path, cwd: Path, fails: bool = False) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**environment, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode != 0) == fails and "Traceback" not in done.stdout, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The environment's folder; other packages than zerosum are those of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder / "wheel", ROOT, cwd=folder)
    (wheel,) = (folder / "wheel").glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": folder / "env", "platbase": folder / "env"}))
    own = folder / "env" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", own, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    # A folder in a .pth file is searched last; .pth files inside of it, such as that of this checkout, are not read.
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "env"


def test_the_wheel_holds_every_config(installed):
    (wheel,) = (installed.parent / "wheel").glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("zerosum/conf/")}
    assert shipped == {f"zerosum/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}


@pytest.mark.slow
def test_it_trains_samples_and_compares_in_an_empty_folder(installed, tmp_path):
    zerosum = installed / "bin" / "zerosum"
    where = run(installed / "bin" / "python", "-c", "import zerosum; print(zerosum.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed)
    assert "zerosum train" in run(zerosum, "--help", cwd=tmp_path)
    assert "Did you mean train" in run(zerosum, "trian", cwd=tmp_path, fails=True)
    printed = run(zerosum, "train", *SMALL, "run.name=own", "hydra.run.dir=outputs/own", cwd=tmp_path)
    assert "Done: 320 images" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"outputs", "data"}
    assert "grid.png" in run(zerosum, "sample", "run=outputs/own", "count=2", cwd=tmp_path)
    assert "| fid ↓ |" in run(zerosum, "compare", "outputs/own", cwd=tmp_path)
    sampled = "import zerosum; print(tuple(zerosum.load('outputs/own').sample(seeds=range(16)).shape))"
    assert "(16, 1, 32, 32)" in run(installed / "bin" / "python", "-c", sampled, cwd=tmp_path)


@pytest.mark.slow
def test_own_configs_and_classes_are_found_from_the_working_directory(installed, tmp_path):
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "mine.yaml").write_text("_target_: mine.Mine\n")
    (tmp_path / "mine.py").write_text("from zerosum.gan.losses import Hinge\n\nclass Mine(Hinge):\n    pass\n")
    options = ["--config-dir", "conf", *SMALL, "loss=mine", "hydra.run.dir=outputs/mine"]
    printed = run(installed / "bin" / "zerosum", "train", *options, cwd=tmp_path)
    assert "Done: 320 images" in printed
    assert "mine.Mine" in (tmp_path / "outputs" / "mine" / "config.yaml").read_text()

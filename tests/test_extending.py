"""Every example of docs/extending.md is written to the files that it names, and its commands run."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT, verb

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", PAGE, re.M | re.S)
COMMANDS = [line.strip() for line in re.findall(r"^    (zerosum train .*)$", PAGE, re.M) if "loss=mine" not in line]
SMALL = {
    "dataset": "synthetic",
    "model.base_channels": "8",
    "features.steps": "20",
    "protocol.n_fake": "64",
    "run.images": "300",
    "callbacks.samples.frames": "1",
    "trainer": "cpu",
}


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name, content in BLOCKS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def small(words: list[str]) -> list[str]:
    """What the command does not say itself; a model of one's own has no base_channels."""
    given = {word.split("=")[0] for word in words}
    return [f"{key}={value}" for key, value in SMALL.items() if key not in given and key.split(".base")[0] not in given]


def test_the_page_has_all_that_can_be_added():
    assert len(BLOCKS) == 14 and len(COMMANDS) == 8


IN_FAST_TESTS = ("dataset=stripes",)
"""The slow tests run every command"""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=[] if any(part in command for part in IN_FAST_TESTS) else pytest.mark.slow)
        for command in COMMANDS
    ],
)
def test_every_command_trains(project, command, tmp_path):
    words = shlex.split(command)[2:]
    printed = verb("train.py", *words, *small(words), f"hydra.run.dir={tmp_path}/run", cwd=project)
    assert "Done: 320 images" in printed
    assert '"history"' in (tmp_path / "run" / "metrics.json").read_text()
    if "brightness" in command:
        assert len((project / "brightness.txt").read_text().splitlines()) == 5
    if "lightning_csv" in command:
        assert "fid" in next(project.glob("curves/mine/*/metrics.csv")).read_text()


@pytest.mark.slow
def test_python_trains_loads_and_samples(project):
    done = subprocess.run(
        [sys.executable, "five_lines.py"], cwd=project, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (project / "outputs" / "mine" / "last.ckpt").exists()

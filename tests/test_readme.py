"""What the README says can be typed."""

import re
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT

from zerosum.commands.seeds import MULTIRUN, expand_seeds
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    python (\w+)\.py (.*?)(?:\s{2,}#.*)?$", README, flags=re.M)
OPTIONS = re.findall(r"`((?:[\w.]+=[\w./,-]+ ?)+)`", README)


def overrides(text: str) -> list[str]:
    """The words of a command line that are config overrides; of a sweep, the first of each choice."""
    words = [word for word in expand_seeds(shlex.split(text)) if word not in MULTIRUN]
    return [word if "[" in word else word.split(",")[0] for word in words]


@pytest.mark.parametrize("text", [text for verb, text in COMMANDS if verb == "train" and "resume=" not in text])
def test_every_training_command_composes_and_builds(composed, text):
    words = [word.replace("trainer=gpu", "trainer=cpu") for word in overrides(text)]
    build(validate(composed(*words)))


def test_there_are_commands_for_all_verbs():
    assert {verb for verb, _ in COMMANDS} == {
        "train",
        "sample",
        "evaluate",
        "export",
        "explore",
        "compare",
        "report",
        "theory",
    }
    assert len(COMMANDS) >= 9


@pytest.mark.parametrize("text", [text for text in OPTIONS if "outputs" not in text and "=path" not in text])
def test_every_option_that_is_named_exists(composed, text):
    validate(composed(*overrides(text.replace("logger=wandb", "logger=csv"))))


def test_the_makefile_has_the_two_targets():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}: install" in makefile for target in ("train", "test"))


def test_every_file_that_is_linked_is_there():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_catalogue_is_up_to_date():
    subprocess.run([sys.executable, "docs/make_catalogue.py", "--check"], cwd=ROOT, check=True)

"""Options read from source files are those that inspect finds once the classes are imported."""

import subprocess
import sys
from inspect import Parameter
from typing import Any, get_args

import pytest
from omegaconf import OmegaConf
from test_configs import CONF

from zerosum.errors import UserError
from zerosum.experiment.schema import check, describe, import_options, members, yaml_type
from zerosum.experiment.source import evaluate_name, read_options


def targets(node: Any) -> set[str]:
    """Every `_target_` in a config."""
    if isinstance(node, list):
        return set().union(*map(targets, node))
    if not isinstance(node, dict):
        return set()
    own = {node["_target_"]} if "_target_" in node else set()
    return own.union(*map(targets, node.values()))


CONFIGS = [OmegaConf.to_container(OmegaConf.load(path), resolve=False) for path in sorted(CONF.rglob("*.yaml"))]
SHIPPED = sorted(set().union(*map(targets, CONFIGS)))
PARTS = [target for target in SHIPPED if not target.startswith(("hydra_plugins.", "zerosum.commands."))]
LIGHTNING = [f"lightning.pytorch.callbacks.{name}" for name in ("EarlyStopping", "ModelCheckpoint", "Timer")]


def is_known(annotation: Any) -> bool:
    """Whether no part of the annotation is `Any`."""
    return all(option is not Any and all(map(is_known, get_args(option))) for option in members(annotation))


@pytest.mark.parametrize("target", [*PARTS, *LIGHTNING, "torch.optim.Adagrad"])
def test_the_source_says_what_the_imported_class_says(target):
    read, found = read_options(target), import_options(target, "part")
    assert read is not None
    for name, parameter in found.parameters.items():
        ours, theirs = read.parameters[name], parameter
        assert ours.kind.description.split()[-1] == theirs.kind.description.split()[-1]
        assert (ours.default is Parameter.empty) == (theirs.default is Parameter.empty)
        annotation = found.hints.get(name, Any)
        if is_known(read.hints[name]) and annotation is not Any:
            assert describe(read.hints[name]) == describe(annotation)
            assert repr(yaml_type(read.hints[name])) == repr(yaml_type(annotation))
    assert list(read.parameters) == list(found.parameters)


def test_most_types_are_known():
    every = [hint for target in PARTS for hint in (read_options(target) or pytest.fail(target)).hints.values()]
    assert sum(map(is_known, every)) > 0.9 * len(every)


MINE = """
from typing import Optional, Union
from .names import Color as Tint, Nested
class Base:
    def __init__(self, size: int, *, tint: Tint = "red"): ...
class Child(Base):
    pass
class Strange(Base, dict):
    pass
class Endless:
    def __init__(self, nested: "Nested"): ...
class Meta(metaclass=type):
    def __init__(self): ...
@decorated
def function(x): ...
def plain(x: Optional[Union[int, "str"]], *rest, y: unknown.Thing = 3, **options) -> None: ...
if True:
    twice = int
else:
    twice = str
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A package whose import would fail."""
    folder = tmp_path / "my_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("from my_parts.parts import Child\nraise RuntimeError('imported')\n")
    (folder / "parts.py").write_text(MINE)
    (folder / "names.py").write_text(
        "from typing import Literal, Union\nColor = Literal['red', 'blue']\nNested = Union[int, list['Nested']]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "my_parts"


def test_inheritance_imports_and_aliases_are_followed_without_running_anything(mine):
    options = read_options(f"{mine}.Child")
    assert {name: describe(hint) for name, hint in options.hints.items()} == {
        "size": "a whole number",
        "tint": "red or blue",
    }
    assert options.parameters["size"].default is Parameter.empty and options.parameters["tint"].default is None
    plain = read_options(f"{mine}.parts.plain")
    assert describe(plain.hints["x"]) == "a whole number, text or null" and plain.hints["y"] is Any
    assert plain.takes_any and evaluate_name(f"{mine}.parts", "twice") is Any


@pytest.mark.parametrize("name", ["Strange", "Meta", "Endless", "function", "nothing", "Base.size"])
def test_what_is_unusual_is_left_to_the_full_check(mine, name):
    target = f"{mine}.parts.{name}"
    assert read_options(target) is None
    assert check({"_target_": target, "any": 1}, "part", read_options) == {"_target_": target, "any": 1}


@pytest.mark.parametrize("target", ["nowhere.at.All", "", "x", "sys.exit", "os.path.join", "zerosum.gan.losses.Nope"])
def test_what_has_no_readable_source_is_unknown(target):
    assert read_options(target) is None


def test_a_broken_source_is_unknown(tmp_path, monkeypatch):
    (tmp_path / "broken_parts.py").write_text("class Broken(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert read_options("broken_parts.Broken") is None


def test_a_wrong_option_is_refused_as_by_the_full_check(mine):
    with pytest.raises(UserError, match=r"part\.tint='green': expected red or blue"):
        check({"_target_": f"{mine}.Child", "size": 1, "tint": "green"}, "part", read_options)
    with pytest.raises(UserError, match=r"part\.size is missing"):
        check({"_target_": f"{mine}.Child"}, "part", read_options)


def test_a_whole_config_is_checked_and_values_are_refused_without_torch():
    script = """
import sys, zerosum
from zerosum.errors import UserError
from zerosum.experiment.early_checks import check_first
check_first(zerosum.compose("run.folder=x"))
for override in sys.argv[1:]:
    try:
        check_first(zerosum.compose("run.folder=x", *override.split()))
    except UserError as error:
        print(error)
print({"torch", "lightning", "numpy"} & sys.modules.keys())
"""
    refused = {
        "model.base_channels=0": "model.base_channels=0: choose 1 or more",
        "optimizer.lr=-1": "optimizer.lr=-1: choose a learning rate of 0 or more",
        "game.pack=3": "game.pack=3 times training.accumulate=1 does not divide training.batch_size=64",
        "dataset=ar2 model=recurrent protocol.futures=1": "protocol.futures=1: choose 2 or more",
        "dataset=edges model=image_to_image dataset.condition.threshold=-1": "dataset.condition.threshold=-1",
    }
    done = subprocess.run([sys.executable, "-c", script, *refused], capture_output=True, text=True)
    *lines, loaded = done.stdout.splitlines()
    assert all(line.startswith(said) for line, said in zip(lines, refused.values(), strict=True)), done.stderr
    assert loaded == "set()", done.stderr

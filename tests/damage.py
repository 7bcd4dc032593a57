"""Damage of every kind to the files of a run, drawn by Hypothesis, and what becomes of opening them."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor

from zerosum import experiment, resuming
from zerosum.comparison import runs
from zerosum.errors import UserError

OPTIONS = ("dataset=ring", "model=mlp", "protocol=modes", "protocol.n_fake=32", "game.batch_size=16", "trainer=cpu")
SMALL = [f"model.{player}.{option}" for player in ("generator", "discriminator") for option in ("width=8", "depth=1")]
FILES = {
    "config.yaml": ("load best", "load_dataset", "resume", "compare"),
    "last.ckpt": ("load last", "resume"),
    "best.ckpt": ("load best",),
    "metrics.json": ("compare",),
}
"""What is damaged, and who reads it."""
IMAGES = 64

Draw = Callable[[st.SearchStrategy[Any]], Any]
Opened = dict[str, dict[str, Tensor]]


def made(folder: Path) -> Path:
    """A finished run of a tiny MLP on a ring."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*OPTIONS, *SMALL, "callbacks.samples.frames=1"])
    config.run = {"images": IMAGES, "name": "test", "folder": str(folder)}
    experiment.train(OmegaConf.create(config))
    return folder


# Bytes


def damaged_bytes(draw: Draw, content: bytes) -> bytes:
    """One to three places flipped, cut off, cut out, repeated, zeroed or written over."""
    for _ in range(draw(st.integers(1, 3))):
        content = DAMAGES[draw(st.sampled_from(sorted(DAMAGES)))](draw, content)
    return content


def place(draw: Draw, content: bytes) -> int:
    return draw(st.integers(0, max(0, len(content) - 1)))


def span(draw: Draw, content: bytes) -> tuple[int, int]:
    start = place(draw, content)
    return start, start + draw(st.integers(1, 64))


def flipped(draw: Draw, content: bytes) -> bytes:
    at, bit = place(draw, content), draw(st.integers(0, 7))
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :] if content else content


def cut_out(draw: Draw, content: bytes) -> bytes:
    start, stop = span(draw, content)
    return content[:start] + content[stop:]


def repeated(draw: Draw, content: bytes) -> bytes:
    start, stop = span(draw, content)
    return content[:stop] + content[start:]


def zeroed(draw: Draw, content: bytes) -> bytes:
    start, stop = span(draw, content)
    return content[:start] + bytes(len(content[start:stop])) + content[stop:]


def written_over(draw: Draw, content: bytes) -> bytes:
    start, other = place(draw, content), draw(st.binary(min_size=1, max_size=16))
    return content[:start] + other + content[start + len(other) :]


def inserted(draw: Draw, content: bytes) -> bytes:
    start = place(draw, content)
    return content[:start] + draw(st.binary(min_size=1, max_size=16)) + content[start:]


DAMAGES: dict[str, Callable[[Draw, bytes], bytes]] = {
    "flipped": flipped,
    "cut off": lambda draw, content: content[: place(draw, content)],
    "cut out": cut_out,
    "repeated": repeated,
    "zeroed": zeroed,
    "written over": written_over,
    "inserted": inserted,
}


# Values


HUGE = (10**5, 2**31, 2**63 - 1, 2**63, 10**18, 10**40, -1, -(10**9), 0)
FLOATS = (math.nan, math.inf, -math.inf, 1e308, -1.0, 0.5, 1e-320)
WORDS = (
    *("", "???", "null", "~", "a", "\0", "\n", "../..", "/", "cpu", "x" * 3000, "\U0001f600", "1e9", "[", "${seed}"),
    *("${oc.env:HOME}", "${", "$", "os.system", "builtins.eval", "zerosum.losses.Hinge", "zerosum.files.os.system"),
    *("zerosum.models.mlp.Generator", "zerosum.models.dcgan.Generator", "torch.optim.SGD", "zerosum.data.digits.Digits"),
    *("zerosum.experiment.make", "lightning.Trainer", "zerosum.data.mixtures.Grid", "functools.partial", "16-true"),
)
KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "folder", "width", "x", "", "1", "a.b", "${seed}")


def values() -> st.SearchStrategy[Any]:
    """Anything that YAML can say."""
    leaf = st.one_of(st.sampled_from([*HUGE, *FLOATS, *WORDS, True, False, None]), st.integers(), st.floats(), st.text())
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner))


def owners(node: Any) -> list[tuple[Any, Any]]:
    """Each dictionary or list below the node with each of its keys."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [pair for key in keys for pair in [(node, key), *owners(node[key])]]


def damaged_tree(draw: Draw, tree: Any) -> Any:
    """One to three entries of a nested structure removed, renamed, replaced or put in another's place."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        pairs = owners(tree)
        if not pairs:
            return tree
        owner, key = pairs[draw(st.integers(0, len(pairs) - 1))]
        how = draw(st.sampled_from(["remove", "rename", "replace", "replace", "move", "add"]))
        if how == "remove":
            del owner[key]
        elif how == "rename" and isinstance(owner, dict):
            owner[draw(st.sampled_from(KEYS))] = owner.pop(key)
        elif how == "add" and isinstance(owner, dict):
            owner[draw(st.sampled_from(KEYS))] = draw(values())
        elif how == "move":
            other, name = pairs[draw(st.integers(0, len(pairs) - 1))]
            owner[key] = copy.deepcopy(other[name])
        else:
            owner[key] = draw(values())
    return tree


LINES = (
    *("a: &a [1]", "b: *a", "<<: {seed: 1}", "x: !!python/object/apply:os.system [true]", "x: !!python/name:os.system"),
    *("x: !!binary AAAA", "x: !!set {a}", "x: !!omap [a: 1]", "x: 2020-01-01", "x: 0x7f", "x: 1:30", "x: 1e1000", "---"),
    *("...", "%YAML 9.9", "- x", "? {a: 1}", "\tx: 1", "x: |", "x: >-", "x: " + 99 * "[", "x: " + 9999 * "9", "\ufeff"),
    *("x: ${oc.env:HOME}", "seed: 1", "model: {}", "model:", "  width: 3", "run: {folder: /}", "x: @", "x: `", "x: '"),
)


def damaged_lines(draw: Draw, content: bytes) -> bytes:
    """A line or three that YAML means something by, anywhere in the file."""
    lines = content.decode().splitlines()
    for _ in range(draw(st.integers(1, 3))):
        line = " " * draw(st.sampled_from([0, 2, 4])) + draw(st.sampled_from(LINES))
        lines.insert(draw(st.integers(0, len(lines))), line)
    return "\n".join(lines).encode()


def damaged_config(draw: Draw, content: bytes) -> bytes:
    """Other values in the place of some."""
    return yaml.safe_dump(damaged_tree(draw, yaml.safe_load(content)), sort_keys=False).encode(errors="surrogatepass")


def damaged_report(draw: Draw, content: bytes) -> bytes:
    """The same of metrics.json."""
    return json.dumps(damaged_tree(draw, json.loads(content))).encode()


# Weights


TENSORS: dict[str, Callable[[Tensor], Any]] = {
    "transposed": lambda value: value.T if value.dim() == 2 and value.shape[0] != value.shape[1] else value[None],
    "longer": lambda value: torch.cat([value, value]),
    "scalar": lambda value: value.sum(),
    "empty": lambda value: value[:0],
    "expanded": lambda value: torch.zeros(1).expand(10**12),
    "half": lambda value: value.half(),
    "double": lambda value: value.double(),
    "whole numbers": lambda value: value.long(),
    "complex": lambda value: value.to(torch.complex64),
    "NaN": lambda value: torch.full_like(value, math.nan),
    "infinite": lambda value: torch.full_like(value, math.inf),
    "sparse": lambda value: value.to_sparse(),
    "meta": lambda value: value.to("meta"),
    "list": lambda value: value.tolist(),
    "number": lambda value: 1.0,
    "none": lambda value: None,
}


def damaged_weights(draw: Draw, stored: dict[str, Any]) -> dict[str, Any]:
    """One to three tensors of the state dict missing, under another name, or of another form, type or content."""
    stored = copy.deepcopy(stored)
    weights = stored["state_dict"]
    for name in draw(st.lists(st.sampled_from(sorted(weights)), min_size=1, max_size=3, unique=True)):
        how = draw(st.sampled_from(["missing", "renamed", *TENSORS]))
        value = weights.pop(name)
        if how == "renamed":
            weights[name + draw(st.sampled_from([".x", "_", "0"]))] = value
        elif how != "missing":
            weights[name] = TENSORS[how](value)
    return stored


def damaged_state(draw: Draw, stored: dict[str, Any]) -> dict[str, Any]:
    """Entries of a checkpoint other than the weights removed, renamed, replaced or moved."""
    rest = {key: value for key, value in stored.items() if key != "state_dict"}
    return {**damaged_tree(draw, rest), "state_dict": stored["state_dict"]}


# What becomes of it


def weights_of(run: Path) -> Opened:
    """The weights of both checkpoints, as opened."""
    return {name: experiment.load(run, name).cpu().state_dict() for name in ("best", "last")}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def outcome(opening: Callable[[], bool]) -> str:
    """refused with one printable line, equal, or wrong; any other exception is raised."""
    try:
        return "equal" if opening() else "wrong"
    except UserError as error:
        return "refused" if str(error) and str(error).isprintable() else "wrong"


def openings(run: Path, whole: Opened) -> dict[str, Callable[[], bool]]:
    """Everything that reads a run folder, each saying whether it read what was written."""
    return {
        "load best": lambda: equal(experiment.load(run, "best").state_dict(), whole["best"]),
        "load last": lambda: equal(experiment.load(run, "last").state_dict(), whole["last"]),
        "load_dataset": lambda: bool(experiment.load_dataset(run).image_shape),
        "resume": lambda: isinstance(resuming.prepared(run, [f"run.images={2 * IMAGES}"]), dict),
        "compare": lambda: len(runs.read([run])[0]) == 1,
    }

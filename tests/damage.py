"""Damage of every kind to the files of a run, drawn by Hypothesis."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]


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


HUGE = (10**5, 2**31, 2**63 - 1, 2**63, 10**18, 10**40, -1, -(10**9), 0)
FLOATS = (math.nan, math.inf, -math.inf, 1e308, -1.0, 0.5, 1e-320)
WORDS = (
    *("", "???", "null", "~", "a", "\0", "\n", "../..", "/", "cpu", "x" * 3000, "\U0001f600", "1e9", "[", "${seed}"),
    *("${oc.env:HOME}", "${", "$", "os.system", "builtins.eval", "functools.partial", "zerosum.files.os.system"),
    *("zerosum.models.mlp.Generator", "zerosum.models.dcgan.Generator", "zerosum.gan.losses.Hinge", "torch.optim.SGD"),
    *("zerosum.experiment.build.make", "zerosum.data.digits.Digits", "zerosum.data.mixtures.Grid", "lightning.Trainer"),
)
KEYS = ("_target_", "_args_", "_partial_", "_convert_", "_recursive_", "folder", "width", "x", "", "1", "a.b", "${x}")


def values() -> st.SearchStrategy[Any]:
    """Anything that YAML can say."""
    known = st.sampled_from([*HUGE, *FLOATS, *WORDS, True, False, None])
    leaf = st.one_of(known, st.integers(), st.floats(), st.text())
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
    *("a: &a [1]", "b: *a", "<<: {seed: 1}", "x: !!python/object/apply:os.system [true]"),
    *(
        "x: !!python/name:os.system",
        "x: !!binary AAAA",
        "x: !!set {a}",
        "x: !!omap [a: 1]",
        "x: 2020-01-01",
        "x: 0x7f",
        "x: 1:30",
        "x: 1e1000",
        "---",
    ),
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

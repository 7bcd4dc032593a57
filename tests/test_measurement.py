"""Measurements and metrics.json: read back as written, and nothing else is read."""

import json
import math
import os
import pickle
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from zerosum.evaluation.measurement import Card, Measurement, Record, measure, read_record, write_record

BROKEN = (OSError, ValueError, KeyError, TypeError, RecursionError)
"""The errors that `read_record` promises"""


def measured(images=100, **values):
    card = Card(
        {"protocol": "fid10k_test", "n_fake": 10}, {"images": images, "left_out": {"kid": "why"}}, {"git": "a+"}
    )
    return Measurement(values or {"fid": 1.5, "modes": 3}, card, minutes=0.25)


@pytest.fixture
def node():
    return measured().to_dict()


def test_a_measurement_survives_its_dictionary_json_and_pickle(node):
    assert Measurement.from_dict(node) == measured()
    assert Measurement.from_dict(json.loads(json.dumps(node))) == measured()
    assert Measurement.from_dict(pickle.loads(pickle.dumps(node))) == measured()
    assert measured(images=7).images == 7


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = Record([measured(), measured(200, fid=1.0), measured(300, fid=2.0)], measured(200, fid=1.0), {"fid": 0.5})
    write_record(tmp_path / "metrics.json", record)
    assert read_record(tmp_path / "metrics.json") == record
    assert record.last.images == 300
    content = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert content["last"] == content["history"][-1]
    without = Record([measured()], measured())
    write_record(tmp_path / "metrics.json", without)
    assert read_record(tmp_path / "metrics.json") == without


def changed(node, *path, to):
    """A copy of the node with another value at the path; `to` gets the old one."""
    node = dict(node)
    key, *rest = path
    node[key] = changed(node[key], *rest, to=to) if rest else to(node.get(key))
    return node


NESTED = "x"
for _ in range(34):
    NESTED = [NESTED, NESTED]  # 2^34 words, in 35 objects


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("values",), {}),
        (("values",), [1.0]),
        (("values", "fid"), "1"),
        (("values", "fid"), None),
        (("values", "fid"), NESTED),
        (("values", "fid"), 10**400),
        (("values", "\x1b]0;title\x07"), 1.0),
        (("values", "x" * 81), 1.0),
        (("values", 3), 1.0),
        (("values",), {f"v{i}": 1.0 for i in range(101)}),
        (("card",), []),
        (("card",), None),
        (("card", "protocol"), NESTED),
        (("card", "protocol", "n_fake"), NESTED),
        (("card", "protocol", "n_fake"), {"a": {"b": 1}}),
        (("card", "protocol", "name"), "x" * 10_001),
        (("card", "run", "images"), -1),
        (("card", "run", "images"), 1.5),
        (("card", "run", "images"), True),
        (("card", "run", "images"), 10**5000),
        (("card", "code", "versions"), {"torch": NESTED}),
        (("card", "code"), {f"a{i}": {f"b{j}": 1 for j in range(11)} for i in range(10)}),
        (("minutes",), math.nan),
        (("minutes",), "1"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_measurement_is_refused_at_once(node, path, value):
    start = time.perf_counter()
    with pytest.raises((ValueError, KeyError, TypeError)):
        Measurement.from_dict(changed(node, *path, to=lambda _: value))
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("part", ["values", "card", "minutes"])
def test_a_part_that_is_missing_is_a_key_error(node, part):
    del node[part]
    with pytest.raises(KeyError):
        Measurement.from_dict(node)


def test_a_history_that_shares_its_parts_is_refused_and_does_not_unfold(node):
    """By 20 kB of pickle it took 85 s and all memory."""
    start = time.perf_counter()
    for history in (NESTED, [node] * 10_000, {"0": node}, None, [NESTED]):
        with pytest.raises((ValueError, TypeError)):
            Measurement.history_from(history)
    assert time.perf_counter() - start < 1
    assert Measurement.history_from([node, measured(200).to_dict()]) == [measured(), measured(200)]


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda content: b"",
        lambda content: b"[" * 100_000,
        lambda content: b"null",
        lambda content: b"[]",
        lambda content: b"{}",
        lambda content: b"\xff" + content,
        lambda content: content.replace(b"fid", b"\x1b[2J"),
        lambda content: content.replace(b'"floor": null', b'"floor": 3'),
        lambda content: content.replace(b'"images": 100', b'"images": ' + b"9" * 5000),
        lambda content: json.dumps({**json.loads(content), "history": []}).encode(),
        lambda content: json.dumps({**json.loads(content), "best": None}).encode(),
    ],
)
def test_a_damaged_record_raises_what_its_readers_expect(tmp_path, damage):
    path = tmp_path / "metrics.json"
    write_record(path, Record([measured()], measured()))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BROKEN):
        read_record(path)


def test_a_pipe_a_folder_and_a_large_file_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**26 + 1)
    for name in ("pipe", "large", "", "nothing"):
        with pytest.raises((OSError, ValueError)):
            read_record(tmp_path / name)


def test_the_card_says_what_was_measured_of_which_model_by_which_code():
    protocol = SimpleNamespace(card=lambda: {"n_fake": 5}, notes=lambda: {"reference_hash": "ab"})
    model = SimpleNamespace(images_seen=64, seed=3)
    found = measure(protocol, model, lambda: {"fid": 1.0}, "raw", {"checkpoint": "best"})
    assert found.values == {"fid": 1.0}
    assert found.card.protocol == {"n_fake": 5, "weights": "raw", "labels": "none"}
    seconds = found.card.run["seconds"]
    assert found.card.run == {
        "images": 64, "seed": 3, "seconds": seconds, "reference_hash": "ab", "checkpoint": "best"
    }  # fmt: skip
    assert "torch" in found.card.code["versions"]


def test_measurements_are_read_without_torch():
    """compare.py answers at once."""
    code = "import sys, zerosum.evaluation.measurement; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"

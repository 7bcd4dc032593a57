"""A run that is killed and goes on ends as one that was not; the soak of many kills is benchmarks/interruptions.py."""

import random
import sys

import torch
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import interruptions


def test_a_run_killed_twice_ends_as_if_it_had_not_been(tmp_path):
    game = interruptions.GAMES["mlp, relativistic + r1_r2 + lecam, ada"]
    outcome = interruptions.interrupted(tmp_path, 3200, game, 2, random.Random(0))
    assert outcome.kills >= 1
    assert outcome.differences == []


def test_the_comparison_sees_a_single_bit():
    one = {"a": [torch.ones(3)], "minutes": 1}
    other = {"a": [torch.ones(3)], "minutes": 2}
    assert interruptions.unequal(one, other) == []
    other["a"][0][1] += 1e-7
    assert interruptions.unequal(one, other) == [".a.0"]


def test_what_a_killed_process_had_begun_to_write_is_cleared_when_the_run_goes_on(tmp_path):
    from zerosum.files import clear_partial

    (tmp_path / "samples").mkdir()
    for name in (".last.ckpt.7.partial", "samples/.one.png.7.partial", "last.ckpt"):
        (tmp_path / name).touch()
    clear_partial(tmp_path)
    clear_partial(tmp_path / "not there")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["last.ckpt"]

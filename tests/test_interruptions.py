"""A run that is killed and resumed ends as one that was not; benchmarks/interruptions.py kills more often."""

import random
import sys

import pytest
import torch
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import interruptions


@pytest.mark.slow
def test_a_run_killed_in_training_and_in_its_last_evaluation_ends_as_if_it_had_not_been(tmp_path):
    game = interruptions.GAMES["mlp, relativistic + r1_r2 + lecam, ada"]
    outcome = interruptions.interrupted(tmp_path, 3200, game, 1, random.Random(0))
    assert outcome.in_last_evaluation
    assert outcome.differences == []


def test_the_comparison_sees_a_single_bit():
    one = {"a": [torch.ones(3)], "minutes": 1}
    other = {"a": [torch.ones(3)], "minutes": 2}
    assert interruptions.unequal(one, other) == []
    other["a"][0][1] += 1e-7
    assert interruptions.unequal(one, other) == [".a.0"]

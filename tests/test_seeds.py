"""seeds=3 on the command line."""

import pytest
from conftest import verb

from zerosum.commands.seeds import expand_seeds
from zerosum.errors import UserError


@pytest.mark.parametrize(
    ("words", "expanded"),
    [
        (["loss=hinge"], ["loss=hinge"]),
        (["seeds=3"], ["--multirun", "seed=0,1,2"]),
        (["-m", "loss=hinge,nonsat", "seeds=2"], ["-m", "loss=hinge,nonsat", "seed=0,1"]),
        (["experiment=ring_losses", "+seeds=1"], ["--multirun", "experiment=ring_losses", "seed=0"]),
    ],
)
def test_seeds_are_an_axis(words, expanded):
    assert expand_seeds(words) == expanded


@pytest.mark.parametrize("count", ["0", "x", "", "-1", "1.5", "²", "1e9", "100000"])
def test_what_is_no_number_of_seeds_is_one_sentence(count):
    with pytest.raises(UserError, match=r"how many, from 1 to 10,000, as seeds=3"):
        expand_seeds([f"seeds={count}"])


@pytest.mark.parametrize("words", [["seeds=2", "seed=1"], ["seeds=2", "seeds=3"]])
def test_seeds_are_named_once(words):
    with pytest.raises(UserError, match="say it once"):
        expand_seeds(words)


def test_a_wrong_number_ends_the_command(tmp_path):
    assert "error: seeds=x: how many" in verb("train.py", "seeds=x", cwd=tmp_path, fails=True)
    assert list(tmp_path.iterdir()) == []

"""A damaged run folder is refused with a sentence, or opened as what it was: never a crash, never another model.

ZEROSUM_FUZZ=1000 draws so many of each kind, others each time; `python benchmarks/fuzz.py` counts what becomes of them.
"""

import os

import damaged_runs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

fuzzed = settings(
    max_examples=int(os.environ.get("ZEROSUM_FUZZ", "20")),
    derandomize="ZEROSUM_FUZZ" not in os.environ,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("fuzz")
        patch.chdir(place)
        yield damaged_runs.Folder(place)


def test_an_undamaged_run_opens_as_it_was(folder):
    for name, content in folder.files.items():
        assert set(folder.opened(name, content).values()) == {"equal"}
    assert set(folder.opened("last.ckpt", damaged_runs.saved(folder.stored())).values()) == {"equal"}


@pytest.mark.parametrize("kind", damaged_runs.KINDS)
@fuzzed
@given(data=st.data())
def test_a_damaged_file_is_refused_or_opened_as_it_was(folder, kind, data):
    name, change = damaged_runs.KINDS[kind]
    outcomes = set(folder.opened(name, change(data.draw, folder)).values())
    assert outcomes <= ({"refused"} if "weight" in kind else {"refused", "equal"})

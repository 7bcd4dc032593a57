"""A damaged run folder is refused with a sentence, or opened as what it was: never a crash, never another model.

ZEROSUM_FUZZ=1000 draws so many examples a test instead of a few; `python benchmarks/fuzz.py` counts what becomes of them.
"""

import io
import os

import damage
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("ZEROSUM_FUZZ", "25"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="ZEROSUM_FUZZ" not in os.environ,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Folder:
    """A run, what it holds undamaged, and the place where damage is done."""

    def __init__(self, folder):
        run = damage.made(folder / "run")
        self.files = {name: (run / name).read_bytes() for name in damage.FILES}
        self.whole = damage.weights_of(run)
        self.run = folder / "damaged"
        self.run.mkdir()

    def opened(self, name, content):
        """The outcome of each of its readers, with one file's content replaced."""
        for other, written in {**self.files, name: content}.items():
            (self.run / other).write_bytes(written)
        openings = damage.openings(self.run, self.whole)
        return {reader: damage.outcome(openings[reader]) for reader in damage.FILES[name]}

    def saved(self, stored):
        """The same for last.ckpt saved anew, so that its checksums are right."""
        torch.save(stored, self.run / "last.ckpt")
        return self.opened("last.ckpt", (self.run / "last.ckpt").read_bytes())

    def stored(self):
        """What last.ckpt holds undamaged."""
        return torch.load(io.BytesIO(self.files["last.ckpt"]), weights_only=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("fuzz")
    before = os.getcwd()
    os.chdir(place)
    yield Folder(place)
    os.chdir(before)


def test_an_undamaged_run_opens_as_it_was(folder):
    assert set(folder.opened("config.yaml", folder.files["config.yaml"]).values()) == {"equal"}
    assert set(folder.saved(folder.stored()).values()) == {"equal"}


@pytest.mark.parametrize("name", damage.FILES)
@fuzzed
@given(data=st.data())
def test_changed_bytes(folder, name, data):
    assert "wrong" not in folder.opened(name, damage.damaged_bytes(data.draw, folder.files[name])).values()


@pytest.mark.parametrize("change", [damage.damaged_config, damage.damaged_lines])
@fuzzed
@given(data=st.data())
def test_a_changed_config(folder, change, data):
    assert "wrong" not in folder.opened("config.yaml", change(data.draw, folder.files["config.yaml"])).values()


@fuzzed
@given(data=st.data())
def test_changed_figures(folder, data):
    content = damage.damaged_report(data.draw, folder.files["metrics.json"])
    assert "wrong" not in folder.opened("metrics.json", content).values()


@fuzzed
@given(data=st.data())
def test_changed_weights(folder, data):
    stored = damage.damaged_weights(data.draw, folder.stored())
    assert set(folder.saved(stored).values()) == {"refused"}


@fuzzed
@given(data=st.data())
def test_a_changed_state_of_training(folder, data):
    stored = damage.damaged_state(data.draw, folder.stored())
    assert "wrong" not in folder.saved(stored).values()

"""Training reaches what the README says: a change that only makes training worse fails here."""

import json

import pytest
from conftest import verb


@pytest.mark.slow
def test_the_ring_finds_all_eight_modes(tmp_path):
    """1.5 of the preset's 3 million images, at the seed of the preset."""
    run = tmp_path / "ring"
    options = ["run.images=1_500_000", "callbacks.samples.frames=1", "trainer=cpu", f"hydra.run.dir={run}"]
    verb("train.py", "experiment=ring", *options)
    record = json.loads((run / "metrics.json").read_text())
    assert record["history"][0]["values"]["modes"] < 8
    assert record["last"]["values"]["modes"] == 8
    assert record["last"]["values"]["high_quality"] > 0.75

"""Values that each process has its own of."""

import json

import pytest
from conftest import TINY, verb


@pytest.mark.slow
def test_metrics_of_two_processes_with_batch_norm_are_those_of_the_checkpoint(tmp_path):
    """Each process samples half of the images, by the running statistics of rank 0, which the checkpoint holds.

    With statistics of its own in each process the values differed by a ten-thousandth.
    """
    options = [*(option for option in TINY if option != "trainer=cpu"), "trainer=ddp", "trainer.accelerator=cpu"]
    options += ["run.images=160", f"dataset.root={tmp_path}/data", f"hydra.run.dir={tmp_path}/run"]
    verb("train.py", *options, "protocol.n_fake=200", "callbacks.samples.frames=1")
    verb("evaluate.py", f"run={tmp_path}/run", "metrics=fid", "checkpoint=last")
    trained = json.loads((tmp_path / "run" / "metrics.json").read_text())["last"]
    alone = json.loads((tmp_path / "run" / "evaluation_last.json").read_text())
    assert trained["card"]["run"]["images"] == alone["card"]["run"]["images"] == 160
    assert trained["values"]["fid"] == pytest.approx(alone["values"]["fid"], rel=1e-6)
    assert trained["card"]["protocol"] == alone["card"]["protocol"]
    assert trained["card"]["run"]["selection"].startswith("chosen by fid on the split test")

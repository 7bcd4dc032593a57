"""What tests do to a run that a stranger could have made."""

import pytest
import torch
import yaml

from zerosum.commands.evaluate import evaluate
from zerosum.commands.sample import Asked, sample
from zerosum.errors import UserError
from zerosum.runs import resume
from zerosum.runs.load import load, load_dataset, load_protocol


def tamper(run, change):
    """Change the run's config."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def openings(run):
    """All that opens a run, each with more images to resume to."""
    return [
        lambda: load(run),
        lambda: load_dataset(run),
        lambda: load_protocol(run),
        lambda: sample(run, "last", Asked(1, 0), None),
        lambda: evaluate(run, "last", "ema", {}),
        lambda: resume.resume(run, ["run.images=128"]),
    ]


def refused(run, message):
    """Check that each of them is refused with this message."""
    for opening in openings(run):
        with pytest.raises(UserError, match=message):
            opening()


def edit(run, change):
    """Change the content of the run's last.ckpt."""
    stored = torch.load(run / "last.ckpt", weights_only=True)
    change(stored)
    torch.save(stored, run / "last.ckpt")

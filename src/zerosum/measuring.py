"""A run's figures again, from its checkpoint."""

import json
from pathlib import Path

from zerosum import experiment
from zerosum.callbacks.evaluate import described, entry
from zerosum.files import saved_whole
from zerosum.quiet import hush


def write(run: Path, checkpoint: str) -> str:
    """Measure a checkpoint by the run's own protocol, into evaluation_<checkpoint>.json; returns the values."""
    hush()
    gan = experiment.load(run, checkpoint)
    protocol = experiment.load_protocol(run)
    measured = entry(protocol, gan)
    path = run / f"evaluation_{checkpoint}.json"
    saved_whole(path, lambda partial: partial.write_text(json.dumps(measured, indent=1)))
    card = "\n".join(f"  {name:18} {value}" for name, value in measured["card"].items())
    return f"{described(measured['values'])}\n{card}\nwritten to {path}"

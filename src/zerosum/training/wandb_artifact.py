"""The best weights of a run and their card, as an artifact of Weights & Biases."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from zerosum.errors import one_line
from zerosum.evaluation.measurement import read_record
from zerosum.files import save_whole

log = logging.getLogger("zerosum")

AVERAGE = "ema.network."
"""Prefix of the weights that samples are drawn from"""


def log_best(run: Any, folder: Path) -> None:
    """Add weights.safetensors, card.json and config.yaml to the run; a line in the log if there is no best model."""
    import wandb

    try:
        best = read_record(folder / "metrics.json").best.to_dict()
        stored = torch.load(folder / "best.ckpt", weights_only=True, map_location="cpu")
        weights = {name.removeprefix(AVERAGE): value for name, value in stored["state_dict"].items() if AVERAGE in name}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        log.warning("There is no best model to upload to W&B (%s).", one_line(error))
        return
    made = folder / "wandb" / "best"
    tensors = {name: value.contiguous() for name, value in weights.items()}
    save_whole(made / "weights.safetensors", lambda partial: save_file(tensors, partial))
    save_whole(made / "card.json", lambda partial: partial.write_text(json.dumps(best, indent=1), encoding="utf-8"))
    artifact = wandb.Artifact(f"best-{run.id}", "model", metadata={**best["values"], "images": stored["images_seen"]})
    for path in (made / "weights.safetensors", made / "card.json", folder / "config.yaml"):
        artifact.add_file(str(path), policy="immutable")  # else W&B copies it to a folder of its own
    run.log_artifact(artifact, aliases=["best"])

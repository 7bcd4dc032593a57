"""Going on with a run, and never overwriting one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zerosum.callbacks.evaluate import Evaluate
from zerosum.checkpoints import read_checkpoint, refuse_unresumable
from zerosum.errors import UserError
from zerosum.experiment import rebuilt, saved_config, train
from zerosum.settings import Game, Run, plain
from zerosum.vetting import refuse_elsewhere, refuse_root

EXTENDABLE = ("run.images", "trainer.", "callbacks.", "hydra.", "objective", "dataset.root")


def resume(run: Path, overrides: list[str], trusted: str | Sequence[str] = ()) -> Evaluate | None:
    """Go on with the run in the folder, to its budget or to a larger run.images."""
    return train(prepared(run, overrides, trusted), run / "last.ckpt")


def prepared(run: Path, overrides: list[str], trusted: str | Sequence[str] = ()) -> dict[str, Any]:
    """The config to go on with, after all has been checked that can be before training."""
    given = dict(override.partition("=")[::2] for override in overrides)
    saved = saved_config(run, trusted)
    refuse_elsewhere(saved, run, given)
    refuse_root(saved, run, given)
    typed = plain(extended(saved, run, given))
    checkpoint, rules = run / "last.ckpt", Game(**typed["game"])
    stored = read_checkpoint(checkpoint)
    seen, budget = stored["images_seen"], Run(**typed["run"]).images
    if seen >= budget:
        raise UserError(
            f"{run} is finished: it has seen {seen:,} of {budget:,} images; for more, add run.images={2 * budget:_}"
        )
    gan = rebuilt(typed, stored, checkpoint, trusted)
    refuse_unresumable(gan, stored, rules.batch_size * rules.critic_steps, checkpoint)
    return typed


def extended(saved: dict[str, Any], run: Path, given: dict[str, str]) -> dict[str, Any]:
    """The saved config with what the command line may change."""
    config = OmegaConf.create(saved)
    for key, value in given.items():
        if key in ("resume", "trusted"):
            continue
        if not key.startswith(EXTENDABLE):
            raise UserError(f"resume={run} goes on with the run's own config: leave out {key}={value}")
        OmegaConf.update(config, key, OmegaConf.from_dotlist([f"value={value}"]).value)
    return config  # type: ignore[return-value]


def refuse_to_overwrite(folder: Path) -> None:
    """A folder that already holds a run's results is left alone; the processes that join a run find their own."""
    results = [name for name in ("last.ckpt", "best.ckpt", "metrics.csv") if (folder / name).exists()]
    if int(os.environ.get("LOCAL_RANK", 0)) == 0 and results:
        raise UserError(f"{folder} already holds a run: go on with resume={folder}, or choose another hydra.run.dir")

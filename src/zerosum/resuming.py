"""Going on with a run, and never overwriting one."""

import os
from pathlib import Path

from omegaconf import OmegaConf

from zerosum.callbacks.evaluate import Evaluate
from zerosum.errors import UserError
from zerosum.experiment import read_checkpoint, saved_config, train
from zerosum.settings import Run, plain

EXTENDABLE = ("run.images", "trainer.", "callbacks.", "hydra.", "objective")


def resume(run: Path, overrides: list[str]) -> Evaluate | None:
    """Go on with the run in the folder, to its budget or to a larger run.images."""
    config = OmegaConf.create(saved_config(run))
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "resume":
            continue
        if not key.startswith(EXTENDABLE):
            raise UserError(f"resume={run} goes on with the run's own config: leave out {override}")
        OmegaConf.update(config, key, OmegaConf.from_dotlist([f"value={value}"]).value)
    typed = plain(config)
    checkpoint = run / "last.ckpt"
    seen, budget = read_checkpoint(checkpoint)["images_seen"], Run(**typed["run"]).images
    if seen >= budget:
        raise UserError(
            f"{run} is finished: it has seen {seen:,} of {budget:,} images; for more, add run.images={2 * budget:_}"
        )
    return train(typed, checkpoint)


def refuse_to_overwrite(folder: Path) -> None:
    """A folder that already holds a run's results is left alone; the processes that join a run find their own."""
    results = [name for name in ("last.ckpt", "best.ckpt", "metrics.csv") if (folder / name).exists()]
    if int(os.environ.get("LOCAL_RANK", 0)) == 0 and results:
        raise UserError(f"{folder} already holds a run: go on with resume={folder}, or choose another hydra.run.dir")

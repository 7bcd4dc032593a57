"""resume=auto: one command that starts a run, goes on with it, and does nothing once it is finished."""

import json
import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from zerosum.callbacks.evaluate import Evaluate
from zerosum.checkpoints import newest, refuse_unresumable
from zerosum.errors import UserError
from zerosum.experiment import make, rebuilt, saved_config, train
from zerosum.resuming import EXTENDABLE, leaves, put_in_place
from zerosum.settings import Game, plain

log = logging.getLogger("zerosum")

MAY_DIFFER = (*EXTENDABLE, "resume", "resume_force", "trusted")


def start_or_go_on(config: DictConfig) -> Evaluate | None:
    """Whether the folder holds last.ckpt decides: the first process writes it only once all have decided.

    What a run that has no checkpoint yet left behind is written over.
    """
    typed, folder = plain(config), Path(config.run.folder)
    if not any((folder / name).exists() for name in ("last.ckpt", "previous.ckpt")):
        return train(typed)
    refuse_another(plain(saved_config(folder, typed["trusted"])), typed, folder)
    (checkpoint, stored), budget, rules = newest(folder), typed["run"]["images"], Game(**typed["game"])
    seen = stored["images_seen"]
    if seen >= budget:
        log.info("%s is finished: it has seen %s of %s images.", folder, f"{seen:,}", f"{budget:,}")
        return measured(typed, folder)
    gan = rebuilt(typed, stored, checkpoint, typed["trusted"])
    refuse_unresumable(gan, stored, rules.batch_size * rules.critic_steps, checkpoint)
    return train(typed, put_in_place(folder))


def refuse_another(saved: dict[str, Any], typed: dict[str, Any], folder: Path) -> None:
    """A UserError where the command line describes another run than the folder holds."""
    theirs, ours = dict(leaves(saved)), dict(leaves(typed))
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key) and not key.startswith(MAY_DIFFER):
            raise UserError(
                f"{folder} holds a run with {key}={theirs.get(key)}, not {ours.get(key)}: resume=auto goes on with the"
                " same command; for another run choose another hydra.run.dir"
            )


def measured(typed: dict[str, Any], folder: Path) -> Evaluate | None:
    """What a finished run was found to be, for sweepers; None where nothing was measured."""
    if "evaluate" not in typed["callbacks"] or not (folder / "metrics.json").exists():
        return None
    evaluate: Evaluate = make(typed["callbacks"]["evaluate"])
    evaluate.load_state_dict(json.loads((folder / "metrics.json").read_text()))
    return evaluate

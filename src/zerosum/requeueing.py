"""resume=auto: one command that starts a run, goes on with it, and does nothing once it is finished."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from zerosum.callbacks.evaluate import Evaluate
from zerosum.checkpoints import read_checkpoint, refuse_unresumable
from zerosum.errors import UserError
from zerosum.experiment import make, rebuilt, saved_config, train
from zerosum.resuming import EXTENDABLE
from zerosum.settings import Game, plain

log = logging.getLogger("zerosum")

MAY_DIFFER = (*EXTENDABLE, "resume", "trusted")


def start_or_go_on(config: DictConfig) -> Evaluate | None:
    """Whether the folder holds last.ckpt decides: the first process writes it only once all have decided.

    What a run that has no checkpoint yet left behind is written over.
    """
    typed, folder = plain(config), Path(config.run.folder)
    checkpoint = folder / "last.ckpt"
    if not checkpoint.exists():
        return train(typed)
    refuse_another(plain(saved_config(folder, typed["trusted"])), typed, folder)
    stored, budget, rules = read_checkpoint(checkpoint), typed["run"]["images"], Game(**typed["game"])
    seen = stored["images_seen"]
    if seen >= budget:
        log.info("%s is finished: it has seen %s of %s images.", folder, f"{seen:,}", f"{budget:,}")
        return measured(typed, folder)
    gan = rebuilt(typed, stored, checkpoint, typed["trusted"])
    refuse_unresumable(gan, stored, rules.batch_size * rules.critic_steps, checkpoint)
    return train(typed, checkpoint)


def refuse_another(saved: dict[str, Any], typed: dict[str, Any], folder: Path) -> None:
    """A UserError where the command line describes another run than the folder holds."""
    theirs, ours = dict(leaves(saved)), dict(leaves(typed))
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key) and not key.startswith(MAY_DIFFER):
            raise UserError(
                f"{folder} holds a run with {key}={theirs.get(key)}, not {ours.get(key)}: resume=auto goes on with the"
                " same command; for another run choose another hydra.run.dir"
            )


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of all that is no dictionary."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def measured(typed: dict[str, Any], folder: Path) -> Evaluate | None:
    """What a finished run was found to be, for sweepers; None where nothing was measured."""
    if "evaluate" not in typed["callbacks"] or not (folder / "metrics.json").exists():
        return None
    evaluate: Evaluate = make(typed["callbacks"]["evaluate"])
    evaluate.load_state_dict(json.loads((folder / "metrics.json").read_text()))
    return evaluate

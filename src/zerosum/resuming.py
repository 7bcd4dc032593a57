"""Going on with a run, and never overwriting one."""

import copy
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning import Callback
from omegaconf import DictConfig, OmegaConf

from zerosum.callbacks.evaluate import Evaluate
from zerosum.checkpoints import newest, refuse_unresumable
from zerosum.errors import UserError, one_line
from zerosum.experiment import make, rebuilt, saved_config, train
from zerosum.settings import Game, Run, plain
from zerosum.vetting import refuse_elsewhere, refuse_root

EXTENDABLE = ("run.images", "trainer.", "callbacks.", "hydra.", "objective", "dataset.root")
ABOUT_RESUMING = ("resume", "resume_force", "trusted", "hydra")
PRESETS = ("experiment", "recipe")

log = logging.getLogger("zerosum")


def resume(
    run: Path,
    overrides: list[str],
    trusted: str | Sequence[str] = (),
    composed: DictConfig | None = None,
    force: bool = False,
) -> Evaluate | None:
    """Go on with the run in the folder, to its budget or to a larger run.images.

    `composed` is the config of the whole command line, which says what an override such as loss=hinge stands for;
    `force` takes what differs from the run's own config.
    """
    typed = prepared(run, overrides, trusted, composed, force)
    return train(typed, put_in_place(run))


def prepared(
    run: Path,
    overrides: list[str],
    trusted: str | Sequence[str] = (),
    composed: DictConfig | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """The config to go on with, after all has been checked that can be before training."""
    given = dict(override.partition("=")[::2] for override in overrides)
    saved = saved_config(run, trusted)
    refuse_elsewhere(saved, run, given)
    refuse_root(saved, run, given)
    typed = plain(extended(saved, run, wanted(given, composed), force))
    rules, (checkpoint, stored) = Game(**typed["game"]), newest(run)
    seen, budget = stored["images_seen"], Run(**typed["run"]).images
    if seen >= budget:
        raise UserError(
            f"{run} is finished: it has seen {seen:,} of {budget:,} images; for more, add run.images={2 * budget:_}"
        )
    gan = rebuilt(typed, stored, checkpoint, trusted)
    refuse_unresumable(gan, stored, rules.batch_size * rules.critic_steps, checkpoint)
    refuse_states([make(node) for node in typed["callbacks"].values()], stored["callbacks"], checkpoint)
    return typed


def refuse_states(callbacks: list[Callback], states: dict[str, Any], path: Path) -> None:
    """A UserError where a callback cannot take what the checkpoint says it was."""
    for callback in callbacks:
        try:
            callback.load_state_dict(copy.deepcopy(states.get(callback.state_key) or callback.state_dict()))
        except UserError:
            raise
        except Exception as error:  # each looks for what is its own
            name = type(callback).__name__
            raise UserError(
                f"{path} has no state that {name} can go on with ({one_line(error)}): take another"
            ) from error


def put_in_place(run: Path) -> Path:
    """The checkpoint to go on from; a damaged last.ckpt is set aside, so that it takes no good one's place."""
    checkpoint, _ = newest(run)
    if checkpoint.name != "last.ckpt":
        with suppress(FileNotFoundError):  # another process did it, or there was none
            (run / "last.ckpt").rename(run / "damaged.ckpt")
    return checkpoint


def wanted(given: dict[str, str], composed: DictConfig | None) -> dict[str, Any]:
    """Keys of the config with dots, and what the command line wants of them; a preset wants the whole config."""
    keys = [key for key in given if key.split(".")[0] not in ABOUT_RESUMING]
    if composed is None:
        return {key: OmegaConf.from_dotlist([f"value={given[key]}"]).value for key in keys}
    resolved = OmegaConf.create(OmegaConf.to_container(composed, resolve=True))
    if any(key in PRESETS for key in keys):
        keys = [str(key) for key in resolved if key not in ABOUT_RESUMING and key != "run"]
    found = {key.lstrip("+~"): OmegaConf.select(resolved, key.lstrip("+~")) for key in keys}
    return {key: OmegaConf.to_container(node) if OmegaConf.is_config(node) else node for key, node in found.items()}


def extended(saved: dict[str, Any], run: Path, changes: dict[str, Any], force: bool = False) -> dict[str, Any]:
    """The saved config with what the command line changes, which beyond EXTENDABLE it must insist on."""
    config, refused = OmegaConf.create(saved), list[str]()
    for key, value in changes.items():
        old = OmegaConf.select(config, key)
        old = OmegaConf.to_container(old) if OmegaConf.is_config(old) else old
        if not key.startswith(EXTENDABLE):
            refused += differences(key, old, value)
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    if refused and not force:
        raise UserError(
            f"resume={run} goes on with the run's own config, from which this differs: {'; '.join(refused)}."
            " Leave that out, or insist with resume_force=true"
        )
    for change in refused:
        log.warning("Going on with another config: %s.", change)
    if any(change.startswith("optimizer") for change in refused):
        log.warning("The optimizers keep the settings that are in the checkpoint.")
    return config  # type: ignore[return-value]


def differences(key: str, old: Any, new: Any) -> list[str]:
    """Where two values differ, each as 'key=new instead of old'."""
    before, after = dict(leaves(old, key)), dict(leaves(new, key))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}={after.get(name)} instead of {before.get(name)}" for name in changed]


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of all that is no dictionary."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}".lstrip("."))
    else:
        yield path, node


def refuse_to_overwrite(folder: Path) -> None:
    """A folder that already holds a run's results is left alone; the processes that join a run find their own."""
    results = [name for name in ("last.ckpt", "best.ckpt", "metrics.csv") if (folder / name).exists()]
    if int(os.environ.get("LOCAL_RANK", 0)) == 0 and results:
        raise UserError(f"{folder} already holds a run: go on with resume={folder}, or choose another hydra.run.dir")

"""Continues a run; never overwrites one."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zerosum.errors import UserError
from zerosum.evaluation.measurement import read_record
from zerosum.experiment.build import make, make_each
from zerosum.experiment.settings import Run, flatten, validate
from zerosum.experiment.train import Outcome, train
from zerosum.runs.checkpoints import read_newest
from zerosum.runs.folder import LARGEST_CONFIG
from zerosum.runs.load import rebuild, saved_config
from zerosum.runs.resumable import check_resumable
from zerosum.runs.trust import refuse_elsewhere, refuse_machines, refuse_root
from zerosum.training.callbacks.evaluate import Evaluate
from zerosum.training.lock import hold, is_first_process

EXTENDABLE = ("run.images.", "trainer.", "callbacks.", "logger.", "hydra.", "objective.", "dataset.root.")
"""Keys that may differ from the saved config without resume_force=true"""
ABOUT_RESUMING = ("resume", "resume_force", "trusted", "hydra")
"""Keys that are no settings of the run"""
OF_ONE_START = (*EXTENDABLE, "resume.", "resume_force.", "trusted.", "data.", "command.")
"""Keys that may differ between two starts of one run"""
PRESETS = ("experiment", "recipe")
"""Groups that set keys of every other group"""
CHECKPOINTS = ("last.ckpt", "previous.ckpt")
RESULTS = ("best.ckpt", "metrics.csv", "metrics.json", "samples", "training.gif")

log = logging.getLogger("zerosum")


def resume(
    run: Path,
    overrides: list[str],
    trusted: str | Sequence[str] = (),
    composed: DictConfig | None = None,
    force: bool = False,
) -> Outcome:
    """Continue the run in the folder, to its budget or to a larger run.images.

    `composed` is the config of the whole command line, which an override such as loss=hinge takes its values from;
    `force` accepts differences from the run's own config.
    """
    typed = configure(run, overrides, trusted, composed, force)
    with hold(run):
        seen, budget = prepare(typed, run, trusted)
        if seen >= budget:
            raise UserError(
                f"{run} is finished: it has seen {seen:,} of {budget:,} images; for more, add run.images={2 * budget:_}"
            )
        return train(typed, put_in_place(run))


def configure(
    run: Path,
    overrides: list[str],
    trusted: str | Sequence[str] = (),
    composed: DictConfig | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """The saved config with the overrides; UserError if the run may not be resumed with them."""
    given = dict(override.partition("=")[::2] for override in overrides)
    saved = saved_config(run, trusted)
    refuse_elsewhere(saved, run, given)
    refuse_root(saved, run, given)
    refuse_machines(saved, given)
    stay_offline(saved, given)
    return validate(extend(saved, run, changes_of(given, composed), force))


def start_or_resume(config: DictConfig) -> Outcome:
    """Resume if the folder has a checkpoint, else start over what is there; do nothing if the run is finished."""
    typed, folder = validate(config), Path(config.run.folder)
    trusted = [*typed["trusted"], *targets_of(typed)]  # this command names them itself
    with hold(folder):
        if not any((folder / name).exists() for name in CHECKPOINTS):
            return train(typed)
        refuse_another(validate(saved_config(folder, trusted)), typed, folder)
        seen, budget = prepare(typed, folder, trusted)
        if seen >= budget:
            log.info("%s is finished: it has seen %s of %s images.", folder, f"{seen:,}", f"{budget:,}")
            return Outcome(finished_evaluation(typed, folder))
        return train(typed, put_in_place(folder))


def targets_of(node: dict[str, Any]) -> list[str]:
    """Every class that a config names."""
    return sorted({str(value) for key, value in flatten(node).items() if key.endswith("_target_")})


def prepare(typed: dict[str, Any], run: Path, trusted: str | Sequence[str]) -> tuple[int, int]:
    """Check everything that can be checked before training; returns images seen and the budget."""
    checkpoint, stored = read_newest(run)
    seen, budget = stored["images_seen"], Run(**typed["run"]).images
    if seen < budget:
        module = rebuild(with_data(typed, run, trusted), stored, checkpoint, trusted)
        images_per_step = typed["training"]["batch_size"] * module.batches_per_step
        check_resumable(module, make_each(typed["callbacks"]).values(), stored, images_per_step, checkpoint)
    return seen, budget


def with_data(typed: dict[str, Any], run: Path, trusted: str | Sequence[str]) -> dict[str, Any]:
    """The config with the sample shape that the run saved."""
    return {**typed, "data": saved_config(run, trusted).get("data") or {}}


def stay_offline(saved: dict[str, Any], given: dict[str, str]) -> None:
    """Keep W&B offline unless the command line asks for it: the saved config may be a stranger's."""
    keys = {key.lstrip("+~") for key in given}
    for name, node in (saved.get("logger") or {}).items():
        asked = "logger" in keys or any(f"{key}.".startswith(f"logger.{name}.") for key in keys)
        if not asked and isinstance(node, dict) and str(node.get("_target_")).endswith(".wandb_logger"):
            node["mode"] = "offline"
            log.warning("W&B stays offline for a resumed run; to go online add logger.%s.mode=online.", name)


def put_in_place(run: Path) -> Path:
    """The checkpoint to resume from; a damaged last.ckpt is renamed to damaged.ckpt."""
    checkpoint, _ = read_newest(run)
    if checkpoint.name != "last.ckpt":
        with suppress(FileNotFoundError):  # there was none, or another process of this run has renamed it
            (run / "last.ckpt").rename(run / "damaged.ckpt")
    return checkpoint


def changes_of(given: dict[str, str], composed: DictConfig | None) -> dict[str, Any]:
    """Overridden keys and their new values; a preset overrides every key but those of `run`."""
    keys = [key for key in given if key.split(".")[0] not in ABOUT_RESUMING]
    if composed is None:
        return {key: OmegaConf.from_dotlist([f"value={given[key]}"]).value for key in keys}
    resolved = OmegaConf.create(OmegaConf.to_container(composed, resolve=True))
    if any(key in PRESETS for key in keys):
        of_run = [key for key in keys if key.lstrip("+~").startswith("run.")]
        keys = [*(str(key) for key in resolved if key not in ABOUT_RESUMING and key != "run"), *of_run]
    found = {key.lstrip("+~"): OmegaConf.select(resolved, key.lstrip("+~")) for key in keys}
    return {key: OmegaConf.to_container(node) if OmegaConf.is_config(node) else node for key, node in found.items()}


def extend(saved: dict[str, Any], run: Path, changes: dict[str, Any], force: bool = False) -> dict[str, Any]:
    """The saved config with the changes; those outside EXTENDABLE need `force`."""
    config, refused = OmegaConf.create(saved), list[str]()
    for key, value in changes.items():
        old = OmegaConf.select(config, key)
        old = OmegaConf.to_container(old) if OmegaConf.is_config(old) else old
        if not f"{key}.".startswith(EXTENDABLE):
            refused += differences(key, old, value)
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    if refused and not force:
        raise UserError(
            f"resume={run} continues with the run's own config, from which this differs: {'; '.join(refused)}."
            " Leave that out, or insist with resume_force=true"
        )
    for change in refused:
        log.warning("Continuing with another config: %s.", change)
    if any(change.startswith("optimizer") for change in refused):
        log.warning("The optimizers keep the settings that are in the checkpoint.")
    return config  # type: ignore[return-value]


def differences(key: str, old: Any, new: Any) -> list[str]:
    """Where two values differ, each as 'key=new instead of old'."""
    before, after = flatten(old, key), flatten(new, key)
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}={after.get(name)} instead of {before.get(name)}" for name in changed]


def refuse_another(saved: dict[str, Any], typed: dict[str, Any], folder: Path) -> None:
    """UserError if the folder holds another run than the command line describes."""
    theirs, ours = flatten(saved), flatten(typed)
    for key in [*ours, *theirs]:
        if theirs.get(key) != ours.get(key) and not f"{key}.".startswith(OF_ONE_START):
            raise UserError(
                f"{folder} holds a run with {key}={theirs.get(key)}, not {ours.get(key)}: resume=auto continues with"
                " the same command; for another run choose another hydra.run.dir"
            )


def finished_evaluation(typed: dict[str, Any], folder: Path) -> Evaluate | None:
    """The measurements of a finished run, for sweepers; None if there are none."""
    if "evaluate" not in typed["callbacks"] or not (folder / "metrics.json").exists():
        return None
    evaluate: Evaluate = make(typed["callbacks"]["evaluate"])
    evaluate.restore(read_record(folder / "metrics.json").history)
    return evaluate


def refuse_to_overwrite(folder: Path) -> None:
    """UserError if the folder already holds a run's results; further processes of a run find its own."""
    results = [name for name in (*CHECKPOINTS, *RESULTS) if (folder / name).exists()]
    if not is_first_process():
        return
    if (folder / "config.yaml").exists() and not is_config_of_run(folder / "config.yaml"):
        raise UserError(f"{folder} has a config.yaml that is no run's: choose another hydra.run.dir")
    if not results:
        return
    if any(name in CHECKPOINTS for name in results):
        advice = f"continue it with resume={folder}"
    else:
        advice = f"it has {results[0]} and no checkpoint, so start it again by adding resume=auto"
    raise UserError(f"{folder} already holds a run: {advice}, or choose another hydra.run.dir")


def is_config_of_run(path: Path) -> bool:
    """Whether a training wrote this file: its last groups are those that only a run's config has."""
    if not path.is_file() or path.stat().st_size > LARGEST_CONFIG:
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {"run:", "training:", "data:", "command:"} <= set(lines) | {line.removesuffix(" {}") for line in lines}

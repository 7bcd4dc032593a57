"""From a config to a finished run."""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning import Callback
from omegaconf import DictConfig, OmegaConf

from zerosum.distributed import lost_ranks_as_user_errors
from zerosum.evaluation.finding import Finding
from zerosum.evaluation.measurement import code_card, format_values
from zerosum.experiment.build import Experiment, build, shape_of
from zerosum.experiment.settings import validate
from zerosum.files import clear_partial, save_whole
from zerosum.training.callbacks.evaluate import Evaluate, evaluation_of
from zerosum.training.callbacks.interrupt import GracefulStop
from zerosum.training.callbacks.schedule import is_finished
from zerosum.training.lock import hold
from zerosum.training.process import prepare_process, silence_libraries, silence_worker
from zerosum.training.rollback import with_rollbacks
from zerosum.training.settings import TrainingSettings

log = logging.getLogger("zerosum")

RESULTS = {
    "report.html": "report, to open in a browser",
    "samples": "samples over training",
    "training.gif": "film of training",
    "metrics.json": "values, best and last, with protocol",
    "metrics.csv": "curves",
    "last.ckpt": "checkpoint",
}


class Outcome(NamedTuple):
    """How training ended."""

    evaluate: Evaluate | None
    """The callback that measured, if there was one"""
    stopped_by: int | None = None
    """The signal that ended training before its budget was used"""


def train(config: DictConfig | dict[str, Any], checkpoint: Path | None = None) -> Outcome:
    """Train from a composed config, from the start or from a checkpoint."""
    silence_libraries()
    prepare_process()
    typed = validate(config)
    training, folder = TrainingSettings(**typed["training"]), Path(typed["run"]["folder"])
    with hold(folder):
        if training.on_nan == "stop":
            return attempt(typed, checkpoint)
        last = folder / "last.ckpt"
        return with_rollbacks(lambda place, slower: attempt(typed, place, slower), checkpoint, last, training.rollbacks)


def attempt(typed: dict[str, Any], checkpoint: Path | None, *further: Callback) -> Outcome:
    """Train once, to the end of the budget or to the first error."""
    experiment = build(typed)
    trainer, folder = experiment.trainer, Path(experiment.run.folder)
    trainer.callbacks[:0] = further  # type: ignore[attr-defined]
    if trainer.is_global_zero:
        clear_partial(folder)
        write_config(folder / "config.yaml", typed, experiment)
    else:
        silence_worker()
    start_loggers(typed, experiment)
    started = time.perf_counter()
    with lost_ranks_as_user_errors():
        trainer.fit(experiment.module, datamodule=experiment.data, ckpt_path=checkpoint, weights_only=True)
    evaluate = evaluation_of(trainer)
    summarize(experiment, evaluate, time.perf_counter() - started)
    stops = [callback for callback in trainer.callbacks if isinstance(callback, GracefulStop)]  # type: ignore[attr-defined]
    return Outcome(evaluate, stops[0].stopped_by if stops else None)


def start_loggers(typed: dict[str, Any], experiment: Experiment) -> None:
    """Tell each logger what is trained; an error here comes before training, so that nothing is left of the run."""
    images_per_step = experiment.data.batch_size * experiment.data.batches_per_step
    code = code_card().get("git")
    command = command_of(typed)
    # MLflow takes no @ in a name, which Hydra writes in model/discriminator@model.
    choices = {name.replace("@", "."): option for name, option in command.get("choices", {}).items()}
    params = {**typed, "command": {**command, "choices": choices}, "commit": code, "images_per_step": images_per_step}
    try:
        for logger in experiment.trainer.loggers:
            logger.log_hyperparams(params)
    except BaseException as error:
        error.before_training = True  # type: ignore[attr-defined]
        raise


def write_config(path: Path, typed: dict[str, Any], experiment: Experiment) -> None:
    """Save the resolved config, with what is needed to open the run without its data, and the command as typed."""
    shape = shape_of(experiment.data.dataset)
    data = {name: list(part) if isinstance(part, tuple) else part for name, part in shape._asdict().items()}
    content = {**typed, "data": data, "command": command_of(typed)}
    save_whole(path, lambda partial: partial.write_text(OmegaConf.to_yaml(content), encoding="utf-8"))


def command_of(typed: dict[str, Any]) -> dict[str, Any]:
    """The command that started the run: a resumed run's own, else that of this process."""
    return typed["command"] or typed_command()


def typed_command() -> dict[str, Any]:
    """The overrides of the command line, the choice in each group, and the sweep of a job; empty without Hydra."""
    if not HydraConfig.initialized():
        return {}
    hydra = OmegaConf.to_container(HydraConfig.get(), resolve=False)
    assert isinstance(hydra, dict)
    choices = {name: option for name, option in hydra["runtime"]["choices"].items() if not name.startswith("hydra/")}
    is_job = HydraConfig.get().mode is RunMode.MULTIRUN or "returned" in hydra["callbacks"]  # of hydra/launcher=process
    sweep = {"sweep": Path(HydraConfig.get().sweep.dir).name} if is_job else {}
    return {"overrides": list(hydra["overrides"]["task"]), "choices": choices, **sweep}


def summarize(experiment: Experiment, evaluate: Evaluate | None, seconds: float) -> None:
    """Log the values that came out, and where the files are."""
    folder, module = Path(experiment.run.folder), experiment.module
    finished = is_finished(experiment.trainer)
    done = "Done" if finished else f"Stopped; continue with the option resume={folder}"
    log.info("%s: %s images in %.0f s.", done, f"{module.images_seen:,}", seconds)
    if evaluate is not None and evaluate.best is not None:
        best, last = evaluate.best, evaluate.history[-1]
        log.info("  start  %s", format_values(evaluate.history[0].values))
        log.info("  best   %s at %s images", format_values(best.values), f"{best.images:,}")
        log.info("  last   %s", format_values(last.values))
        if evaluate.floor is not None:
            source = evaluate.protocol.floor_source
            log.info("  floor  %s (%s in the model's place)", format_values(evaluate.floor), source)
    if evaluate is not None and evaluate.findings is not None:
        log.info("  doctor %s", describe_findings(evaluate.findings, module.images_seen))
    for name, description in RESULTS.items():
        if (folder / name).exists():
            log.info("  %-38s %s", description, folder / name)


def describe_findings(findings: list[Finding], images: int) -> str:
    """The names of the findings that hold at the end, and of those that no longer do."""
    now = [finding.name for finding in findings if finding.until >= images]
    before = [finding.name for finding in findings if finding.until < images]
    words = [", ".join(now)] if now else []
    words += [f"earlier: {', '.join(before)}"] if before else []
    return "; ".join(words) or "no finding"

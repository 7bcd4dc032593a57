"""The study in a sweep's folder, which the trials' processes write to as well."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.trial import TrialState

from zerosum.files import save_whole
from zerosum.training.callbacks.prune import NAME, PRUNED, open_storage


def open_study(folder: Path, directions: Sequence[Any], seed: int | None) -> optuna.Study:
    """The study of the folder, or a new one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(
        storage=open_storage(folder), study_name=NAME, load_if_exists=True, directions=[*directions], sampler=sampler
    )


def cut_short(study: optuna.Study) -> list[optuna.Trial]:
    """Trials of a search that was killed: with resume=auto they continue."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [optuna.Trial(study, trial._trial_id) for trial in running]


def count_left(study: optuna.Study, trials: int) -> int:
    """How many of so many trials have not ended."""
    return trials - sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def tell(study: optuna.Study, trial: optuna.Trial, result: JobReturn) -> None:
    """Tell the study how a trial's job ended."""
    if result.status is not JobStatus.COMPLETED:
        study.tell(trial, state=TrialState.FAIL)
    elif PRUNED in study.get_trials(deepcopy=False)[trial.number].user_attrs:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, result.return_value)


def write_results(study: optuna.Study, path: Path) -> None:
    """The best trial; of several objectives, each trial that no other beats in all of them."""
    best = [{"trial": trial.number, "values": trial.values, "params": trial.params} for trial in study.best_trials]
    states = [trial.state.name.lower() for trial in study.get_trials(deepcopy=False)]
    content = {"best": best, "trials": {state: states.count(state) for state in sorted(set(states))}}
    save_whole(path, lambda partial: partial.write_text(OmegaConf.to_yaml(content), encoding="utf-8"))

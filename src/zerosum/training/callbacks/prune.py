"""Ends a hopeless trial of a search by Optuna."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning import Callback, Trainer

from zerosum.training.callbacks.evaluate import evaluation_of
from zerosum.training.module import GenerativeModule

if TYPE_CHECKING:
    from optuna.storages import JournalStorage

log = logging.getLogger("zerosum")

NAME = "zerosum"
"""The study's"""
PRUNED = "pruned at images"
"""The attribute of a trial that was ended"""


class Prune(Callback):
    """Reports `objective` at each evaluation to the study in `folder`; ends training if it is worse than the median.

    The sweeper `search` adds this callback to its trials; the first five always end by themselves.
    """

    def __init__(self, folder: str, trial: int, objective: str) -> None:
        self.folder = folder
        self.number = trial
        self.objective = objective
        self.reported = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        evaluate = evaluation_of(trainer)
        if evaluate is None or evaluate.history[-1].images == self.reported:
            return
        latest = evaluate.history[-1]
        self.reported = latest.images
        is_hopeless = trainer.is_global_zero and self.ask(latest.values[self.objective], latest.images)
        if trainer.strategy.broadcast(is_hopeless):
            log.info("The search gives this trial up at %s images.", f"{latest.images:,}")
            trainer.should_stop = True

    def ask(self, value: float, images: int) -> bool:
        """Report the value; whether the study gives the trial up."""
        import optuna

        study = optuna.load_study(study_name=NAME, storage=open_storage(Path(self.folder)))
        trial = optuna.Trial(study, study.get_trials(deepcopy=False)[self.number]._trial_id)
        trial.report(value, images)
        if trial.should_prune():
            trial.set_user_attr(PRUNED, images)
            return True
        return False


def open_storage(folder: Path) -> "JournalStorage":
    """The storage in a file, which many processes may append to."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(folder / "study.log")))

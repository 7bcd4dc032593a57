"""The class behind hydra/sweeper=search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from zerosum.errors import UserError

if TYPE_CHECKING:
    from optuna import Trial


class OptunaSweeper(Sweeper):
    """Searches options by Optuna, for several objectives too; the study lies in the sweep's folder and can go on.

    With `prune`, a trial of one objective is ended at an evaluation at which it is worse than the median of those
    before it.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int = 1,
        seed: int | None = None,
        prune: bool = True,
        direction: str | Sequence[str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.seed = seed
        self.prune = prune
        self.directions = [direction] if isinstance(direction, str) else list(direction or [])
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what `sweep` needs; UserError at settings with which nothing can be searched."""
        if self.n_trials < 1 or self.n_jobs < 1:
            raise UserError(f"hydra.sweeper.n_trials={self.n_trials} n_jobs={self.n_jobs}: choose 1 or more")
        if not self.directions:
            raise UserError("objective is missing: name what to search for, as objective=fid or [precision,recall]")
        self.context, self.settings = hydra_context, config
        self.folder = Path(config.hydra.sweep.dir).absolute()
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that the study still lacks, `n_jobs` at a time, and write the best."""
        from hydra_plugins.zerosum_optuna_sweeper import _space, _study

        parser = OverridesParser.create(self.context.config_loader)
        typed = [*(f"{name}={value}" for name, value in self.params.items()), *arguments]
        space, fixed = _space.split(parser.parse_overrides(typed))
        self.folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.settings, self.folder / "multirun.yaml")
        study = _study.open_study(self.folder, self.directions, self.seed)
        waiting = _study.cut_short(study)
        while (left := _study.count_left(study, self.n_trials)) > 0:
            trials = waiting[: self.n_jobs] or [study.ask(space) for _ in range(min(self.n_jobs, left))]
            waiting = waiting[self.n_jobs :]
            jobs = [[*fixed, *self.overrides(trial)] for trial in trials]
            results = self.launcher.launch(jobs, initial_job_idx=trials[0].number)
            for trial, result in zip(trials, results, strict=True):
                _study.tell(study, trial, result)
            _study.write_results(study, self.folder / "optimization_results.yaml")

    def overrides(self, trial: Trial) -> list[str]:
        """The trial's options, and the callback that may end it."""
        chosen = [f"{name}={value}" for name, value in trial.params.items()]
        if not self.prune or len(self.directions) > 1:
            return chosen
        target = "zerosum.training.callbacks.prune.Prune"
        options = f"folder: '{self.folder}', trial: {trial.number}, objective: {self.settings.objective}"
        return [*chosen, f"+callbacks.prune={{_target_: {target}, {options}}}"]

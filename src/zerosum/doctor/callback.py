"""Looks for known problems of training while it runs."""

import logging
from collections.abc import Sequence
from typing import Any

from lightning import Callback, Trainer

from zerosum.data.dataset import Dataset
from zerosum.data.images import ImageDataset
from zerosum.doctor.case import Case, Settings
from zerosum.doctor.examine import examine, merge
from zerosum.doctor.history import History
from zerosum.doctor.rules import READ, RULES
from zerosum.errors import UserError, did_you_mean
from zerosum.evaluation.finding import Finding
from zerosum.gan.gan import GAN
from zerosum.gan.logits import has_batch_norm
from zerosum.training.callbacks.curves import optimizers_of
from zerosum.training.callbacks.evaluate import Evaluate, evaluation_of
from zerosum.training.callbacks.schedule import budget_of, data_of
from zerosum.training.logs import in_section, log_alert, log_values
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")


class Doctor(Callback):
    """Reads what the other callbacks log, and says what is wrong, with the numbers that show it and what to try.

    It looks after each evaluation, or where nothing is evaluated after each look at D's logits. Findings go to the
    terminal, to metrics.json, and as alerts to loggers that have them. Those named in `stop` end training.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        for name in stop:
            if name not in RULES:
                known = f"choose of {', '.join(RULES)}.{did_you_mean(name, RULES)}"
                raise UserError(f"callbacks.doctor.stop={name}: there is no such finding: {known}")
        self.stop = tuple(stop)
        self.history = History()
        self.findings: list[Finding] = []
        self.metric: str | None = None
        self.is_due = False

    def on_fit_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Prepare for the first evaluation, which comes before this callback's `on_train_start`."""
        evaluate = evaluation_of(trainer)
        if evaluate is not None:
            self.metric = next(iter(evaluate.protocol.better))
            evaluate.findings = self.findings

    def observe(self, images: int, values: dict[str, float]) -> None:
        """Keep the values that a rule reads: each checkpoint holds them."""
        main = f"quality/{self.metric}"
        read = {name: value for name, value in values.items() if name == main or name.startswith(READ)}
        self.history.add(images, read)
        self.is_due = self.is_due or any(name.startswith(("quality/", "game/separation/")) for name in values)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Let the record of a resumed run have the findings of its first part."""
        self.settings = settings_of(pl_module, data_of(trainer).dataset)
        self.budget = budget_of(trainer)
        self.is_due = False  # of an untrained model there is nothing to say
        self.record(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.is_due:
            self.look(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Look once more, after the last evaluation; nothing is left to stop."""
        self.stop = ()
        self.look(trainer, pl_module)

    def look(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Examine the run; say what is new, and end training if a finding asks for it."""
        evaluate = evaluation_of(trainer)
        found = examine(self.case(evaluate)) if trainer.is_global_zero else []
        before = {finding.name for finding in self.findings}
        for finding in [finding for finding in found if finding.name not in before]:
            self.tell(trainer, finding)
        self.findings = merge(self.findings, found)
        self.record(trainer)
        log_values(trainer, module, in_section("doctor", {"findings": float(len(found))}))
        self.is_due = False
        self.end_if_asked(trainer, found)

    def tell(self, trainer: Trainer, finding: Finding) -> None:
        """One line in the log, and an alert."""
        log.warning("%s images: %s. Try %s", f"{finding.since:,}", finding.sentence, finding.override)
        log_alert(trainer, finding.name.replace("_", " "), f"{finding.sentence}. Try {finding.override}")

    def record(self, trainer: Trainer) -> None:
        """Write the findings to metrics.json if they have changed."""
        evaluate = evaluation_of(trainer)
        if evaluate is None or evaluate.findings == self.findings:
            return
        evaluate.findings = self.findings
        if evaluate.history and trainer.is_global_zero:
            evaluate.write()

    def end_if_asked(self, trainer: Trainer, found: list[Finding]) -> None:
        """UserError at a finding that should end training, in all processes; nothing is rolled back."""
        reasons = [finding.sentence for finding in found if finding.name in self.stop]
        reasons = trainer.strategy.broadcast(reasons) if self.stop else []
        if reasons:
            raise UserError(
                f"training ended at {self.history.images:,} images, as callbacks.doctor.stop asks: {reasons[0]}"
            )

    def case(self, evaluate: Evaluate | None) -> Case:
        """What is known of the run."""
        if evaluate is None:
            return Case(self.history, settings=self.settings, budget=self.budget)
        metric, way = next(iter(evaluate.protocol.better.items()))
        floor = (evaluate.floor or {}).get(metric)
        return Case(self.history, metric, way == "lower", floor, self.settings, self.budget)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history.to_dict(), "findings": [finding.to_dict() for finding in self.findings]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = History.from_dict(state_dict["history"])
        self.findings = [Finding.from_dict(node) for node in state_dict["findings"]]


def settings_of(module: GenerativeModule, dataset: Dataset) -> Settings:
    """The settings that advice depends on."""
    rates = {name: float(optimizer.param_groups[0]["lr"]) for name, optimizer in optimizers_of(module).items()}
    has_images = isinstance(dataset, ImageDataset)
    if not isinstance(module, GAN):
        return Settings(learning_rates=rates, has_images=has_images)
    return Settings(
        loss=type(module.loss).__name__,
        regularizers={name: float(term.weight) for name, term in module.regularizers.items()},  # type: ignore[arg-type]
        learning_rates=rates,
        momentum=max(optimizer.param_groups[0].get("betas", (0.0,))[0] for optimizer in optimizers_of(module).values()),
        critic_steps=module.game.critic_steps,
        pack=module.game.pack,
        augment="" if module.augment is None else type(module.augment).__name__,
        has_batch_norm=has_batch_norm(module.discriminator),
        has_images=has_images,
    )

"""Runs of the doctor's benchmark: their curves and settings, as the doctor saw them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from planted import FAULTS

from zerosum.doctor import rules
from zerosum.doctor.case import Case, Settings
from zerosum.doctor.examine import examine
from zerosum.doctor.history import History
from zerosum.evaluation.measurement import read_record


@dataclass(frozen=True)
class Run:
    """A run and its curves."""

    dataset: str
    setting: str
    name: str
    rows: list[tuple[int, dict[str, float]]]
    metric: str
    lower_is_better: bool
    floor: float | None
    settings: Settings
    budget: int
    best: float
    last: float

    @property
    def is_planted(self) -> bool:
        """Whether it has a fault."""
        return self.setting in FAULTS[self.dataset]

    def cases(self) -> Iterator[Case]:
        """The run as the doctor saw it after each evaluation."""
        history = History()
        for images, values in self.rows:
            history.add(images, values)
            if any(name.startswith("quality/") for name in values):
                yield Case(history, self.metric, self.lower_is_better, self.floor, self.settings, self.budget)

    def first(self, finding: str) -> int | None:
        """Images seen when a finding is first made."""
        return next((case.history.images for case in self.cases() if finding in rules.find(case)), None)

    def advice(self, finding: str) -> str | None:
        """What the doctor says to try when it first makes a finding."""
        found = (each for case in self.cases() for each in examine(case) if each.name == finding)
        return next((each.override for each in found), None)

    def quality(self, images: int) -> float:
        """The metric at the last evaluation up to these images."""
        known = [
            values[f"quality/{self.metric}"]
            for at, values in self.rows
            if at <= images and f"quality/{self.metric}" in values
        ]
        return known[-1]


def read_run(folder: Path) -> Run | None:
    """A run that was measured."""
    if not (folder / "metrics.json").exists() or not (folder / "ended.txt").exists():
        return None
    record = read_record(folder / "metrics.json")
    metric, way = next(iter(record.last.card.run["better"].items()))
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            (int(row["images"]), {name: float(text) for name, text in row.items() if text and name != "images"})
            for row in csv.DictReader(file)
        ]
    rates = {}
    for _, values in rows:
        for name, value in values.items():
            if name.startswith("game/learning_rate/"):
                rates.setdefault(name.rpartition("/")[2], value)
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    settings = settings_of(config, rates)
    values = [measurement.values[metric] for measurement in record.history]
    floor = (record.floor or {}).get(metric)
    best = record.best.values[metric]
    *_, dataset, setting, name = folder.parts
    return Run(
        dataset, setting, name, rows, metric, way == "lower", floor, settings, config["run"]["images"], best, values[-1]
    )


def settings_of(config: dict[str, Any], rates: dict[str, float]) -> Settings:
    """The settings of a run's config, as the doctor reads them from its module."""
    augment = config["augment"] or {"_target_": ""}
    return Settings(
        loss=config["loss"]["_target_"].rpartition(".")[2],
        regularizers={name: float(node.get("weight", 0)) for name, node in config["regularizer"].items()},
        learning_rates=rates,
        momentum=max(config["optimizer"][player]["betas"][0] for player in ("discriminator", "generator")),
        critic_steps=config["game"]["critic_steps"],
        pack=config["game"]["pack"],
        augment=augment["_target_"].rpartition(".")[2],
        has_batch_norm=config["model"]["discriminator"].get("spectral_norm") is False
        and "dcgan" in config["model"]["discriminator"]["_target_"],
        has_images="mixtures" not in config["dataset"]["_target_"],
    )


def read_all(outputs: Path) -> list[Run]:
    """Every run that ended."""
    return [run for folder in sorted(outputs.glob("*/*/*")) if (run := read_run(folder)) is not None]

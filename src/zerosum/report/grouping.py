"""Runs that differ in nothing but their seed are one setting, and share a row."""

from dataclasses import dataclass
from typing import Any

from zerosum.report.run_names import differences, value_of
from zerosum.report.measured_runs import MeasuredRun

INDEPENDENT_KEYS = {"seed", "resume", "resume_force", "trusted", "objective", "run.folder", "run.name", "dataset.root", "command"}
"""Keys of the config that may differ within a setting: of them, results depend on the seed alone."""


@dataclass(frozen=True)
class Setting:
    """Runs that share a row, and its name."""

    name: str
    runs: list[MeasuredRun]

    @property
    def seeds(self) -> int:
        """How many different ones."""
        return len({run.config.get("seed") for run in self.runs})


def settings(runs: list[MeasuredRun], names: list[str] | None = None) -> tuple[list[Setting], str]:
    """Runs grouped and named, in the order given, and the values that the names leave unsaid.

    `names` are the keys of the config that name a setting, by default those that differ; by names they are sorted,
    since a sweep's order is that of its folders.
    """
    groups = grouped(runs)
    if names is None:
        called, usual = differences([config for config, _ in groups])
    else:
        called, usual = [", ".join(value_of(members[0].config, name) for name in names) for _, members in groups], ""
    rows = [
        Setting(name if name and called.count(name) == 1 else fallback(name, members[0]), members)
        for name, (_, members) in zip(called, groups, strict=True)
    ]
    return (sorted(rows, key=lambda row: row.name) if names else rows), usual


def grouped(runs: list[MeasuredRun]) -> list[tuple[dict[str, Any], list[MeasuredRun]]]:
    """Runs of equal settings together."""
    groups: list[tuple[dict[str, Any], list[MeasuredRun]]] = []
    for run in runs:
        config = setting_of(run.config)
        members = next((members for other, members in groups if other == config), None)
        if members is None:
            groups.append((config, [run]))
        else:
            members.append(run)
    return groups


def fallback(name: str, run: MeasuredRun) -> str:
    """A name that others have too, with the folder of its first run; of a setting without one, its run's."""
    return f"{name} ({run.folder.name})" if name else str(run.config["run"]["name"])


def setting_of(config: dict[str, Any]) -> dict[str, Any]:
    """The config less its nulls and what each run has of its own: seed, folder, name and the copies of these."""
    return without(config, "", str(config["run"]["folder"]), str(config["run"]["name"]))


def without(node: dict[str, Any], label: str, folder: str, name: str) -> dict[str, Any]:
    """The node of that dotted key, less what is a run's own."""
    kept: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{label}.{key}".lstrip(".")
        if isinstance(value, dict):
            kept[key] = without(value, path, folder, name)
        elif value is not None and path not in INDEPENDENT_KEYS and not copied(path, value, folder, name):
            kept[key] = value
    return kept


def copied(path: str, value: Any, folder: str, name: str) -> bool:
    """Whether a value is a path in the run's folder, or the run's name as a title."""
    return f"{value}/".startswith(f"{folder}/") or (path.startswith(("callbacks.", "logger.")) and value == name)

"""Group runs that differ only in their seed: one setting, one row."""

from dataclasses import dataclass

from zerosum.report.measured_runs import MeasuredRun
from zerosum.report.run_names import format_key, format_value, name_runs


@dataclass(frozen=True)
class Setting:
    """Runs that share a row, and the name of that row."""

    name: str
    runs: list[MeasuredRun]

    @property
    def seeds(self) -> int:
        """Number of different seeds."""
        return len({run.config.get("seed") for run in self.runs})


def group_by_setting(runs: list[MeasuredRun], names: list[str] | None = None) -> tuple[list[Setting], str]:
    """The settings in the order of their first runs, and what their names leave out because all share it.

    With `names`, config keys, a row is named by their values and rows are sorted by name: a sweep orders its folders
    by job number. A name that several settings have is followed by the folder of the first run.
    """
    groups = group(runs)
    firsts = [members[0] for members in groups]
    if names is None:
        row_names, shared = name_runs(firsts)
    else:
        row_names, shared = [", ".join(format_key(run, key) for key in names) for run in firsts], ""
    row_names = [name or format_value(run.config["run"]["name"]) for name, run in zip(row_names, firsts, strict=True)]
    settings = [
        Setting(name if row_names.count(name) == 1 else f"{name} ({members[0].folder.name})", members)
        for name, members in zip(row_names, groups, strict=True)
    ]
    return (sorted(settings, key=lambda setting: setting.name) if names else settings), shared


def group(runs: list[MeasuredRun]) -> list[list[MeasuredRun]]:
    """Runs with equal settings together."""
    groups: list[list[MeasuredRun]] = []
    for run in runs:
        same = next((members for members in groups if members[0].setting == run.setting), None)
        if same is None:
            groups.append([run])
        else:
            same.append(run)
    return groups

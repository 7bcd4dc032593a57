"""Name the runs compared by the settings that differ between them: `loss=hinge, regularizer=r1`."""

from collections.abc import Iterable, Sequence
from typing import Any

from zerosum.report.measured_runs import MeasuredRun

LONGEST_VALUE = 40
"""Characters of a value; a longer one is shortened to its end."""
LONGEST_NAME = 120
"""Characters of a name made of a config's differences; a run's own name says more than a longer one."""


def name_runs(runs: Sequence[MeasuredRun]) -> tuple[list[str], str]:
    """A name for each run, empty where none is found, and the typed settings that all of them share.

    Typed keys are used if they tell the runs apart, then the chosen options too, else the differences of the configs.
    """
    options, shared = differing_options(runs)
    names = [join_options(own) for own in options]
    is_short = shared is not None or max(map(len, names)) <= LONGEST_NAME
    return names if is_short else [""] * len(runs), join_options(shared or {})


def differing_options(runs: Sequence[MeasuredRun]) -> tuple[list[dict[str, str]], dict[str, str] | None]:
    """{option: value} of each run where they differ, and of what all share; None where these are not what was typed."""
    typed, chosen = collect(run.typed_keys for run in runs), collect(run.choices for run in runs)
    from_command = all(run.config.get("command") for run in runs)
    for keys in [typed, [*typed, *chosen]] if from_command else []:
        options, shared = split_shared([describe(run, keys) for run in runs])
        if len({join_options(own) for own in options}) == len(runs):
            return options, shared if keys is typed else {}
    return split_shared([describe(run, collect(run.setting for run in runs)) for run in runs])[0], None


def collect(keys_of_runs: Iterable[Iterable[str]]) -> list[str]:
    """Every key once, in order."""
    return list(dict.fromkeys(key for keys in keys_of_runs for key in keys))


def describe(run: MeasuredRun, keys: Iterable[str]) -> dict[str, str]:
    """{key: value} of those keys that the run has or typed, since `~callbacks.guard` leaves no value."""
    present = [key for key in keys if run.has(key) or key in run.typed_keys]
    return {key.removesuffix("._target_"): format_key(run, key) for key in present}


def split_shared(runs: list[dict[str, str]]) -> tuple[list[dict[str, str]], dict[str, str]]:
    """The options that differ, for each run, and those that are the same in all of them."""
    shared = set.intersection(*(set(run.items()) for run in runs))
    own = [{key: value for key, value in run.items() if (key, value) not in shared} for run in runs]
    return own, {key: value for key, value in runs[0].items() if (key, value) in shared}


def join_options(options: dict[str, str]) -> str:
    """'loss=hinge, gamma=1'."""
    return ", ".join(f"{key}={value}" for key, value in options.items())


def format_key(run: MeasuredRun, key: str) -> str:
    """The value of a key; a class by its name, named entries joined by +, 'none' if there is no value."""
    value = run.value(key) if run.has(key) else None
    if isinstance(value, dict) and "_target_" not in value:
        return "+".join(value) or "none"
    if isinstance(value, dict) or key.endswith("_target_"):
        return str(value["_target_"] if isinstance(value, dict) else value).rpartition(".")[2]
    return format_value(value)


def format_value(value: Any) -> str:
    """A value as written on the command line, a long one by its end."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(format_value(part) for part in value)}]"
    if isinstance(value, int | float) and abs(value) < 1e15 and value == int(value):
        return f"{int(value):_}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"...{text[3 - LONGEST_VALUE :]}"

"""The table of a sweep's report: its settings, the best first."""

from collections.abc import Sequence

from zerosum.evaluation.measurement import with_arrow
from zerosum.report.grouping import Setting
from zerosum.report.html import Markup, element, join, table
from zerosum.report.measured_runs import better_directions
from zerosum.report.page import count_left_out
from zerosum.report.run_names import differing_options
from zerosum.report.sweep_files import Sweep
from zerosum.report.table import BLANK, STEPS, collect_notes, format_range, value_names

MOST_ROWS, FEWEST_ROWS = 1_000, 100
"""Settings, runs or failed jobs, in a whole page and in the smallest one"""
MOST_COLUMNS, FEWEST_COLUMNS = 30, 6
"""Options and values of the table"""
LONGEST_NAME, LONGEST_NOTE = 100, 2_000
"""Characters"""


def count_rows(share: float) -> int:
    """How many rows a table may have in a page with `share` of its usual size."""
    return max(FEWEST_ROWS, round(share * MOST_ROWS))


def count_columns(share: float) -> int:
    """How many options, and how many values, the table may have."""
    return max(FEWEST_COLUMNS, round(share * MOST_COLUMNS))


def shorten(text: str) -> str:
    """The text, a very long one without its end."""
    return text if len(text) <= LONGEST_NOTE else f"{text[: LONGEST_NOTE - 1]}…"


def show_settings(sweep: Sweep, share: float) -> Markup:
    """The table: a row for each setting with the options that differ, best and last value, the best first."""
    if not sweep.settings:
        return element("p", "Nothing was measured yet.", class_="problem")
    caption = "Mean (lowest to highest) over seeds, the best setting first; ↓ lower is better, ↑ higher."
    problem = element("p", f"The values may not stand in one table: {shorten(sweep.problem or '')}.", class_="problem")
    notes = [f"All runs: {sweep.shared}."] if sweep.shared else []
    notes += collect_notes(sweep.runs, [])
    return join(
        problem if sweep.problem else None,
        element("p", caption, class_="quiet"),
        tabulate(sweep, share),
        *(element("p", shorten(note), class_="quiet") for note in notes),
    )


def tabulate(sweep: Sweep, share: float) -> Markup:
    """The table of settings, and how many of them, of their options and of their values are left out."""
    names = [] if sweep.problem else sorted(value_names(sweep.runs), key=lambda name: name != sweep.value)
    options = options_of(sweep.settings)
    keys = list(dict.fromkeys(key for own in options for key in own))
    most, columns = count_rows(share), count_columns(share)
    named = list(zip(sweep.settings, options, strict=True))[:most]
    rows = [
        [str(rank), *write_setting(setting, own, keys[:columns]), *write_values(setting, names[:columns])]
        for rank, (setting, own) in enumerate(named, 1)
    ]
    better = better_directions(sweep.runs)
    head = ["rank", *(key[:LONGEST_NAME] for key in keys[:columns] or ["setting"]), "seeds"]
    head += [f"{with_arrow(name, better)}, {step}" for name in names[:columns] for step in STEPS]
    head += ["images at best", "minutes"]
    return join(
        table("Settings, the best first", head, rows, numbers=2 * len(names[:columns]) + 3),
        count_left_out("settings", len(sweep.settings) - most),
        count_left_out("options", len(keys) - columns),
        count_left_out("values", len(names) - columns),
    )


def write_setting(setting: Setting, own: dict[str, str], keys: list[str]) -> list[str]:
    """The cells of a setting's options, or its name without any, and its number of seeds."""
    cells = [own.get(key, BLANK) for key in keys] if keys else [setting.name]
    return [*(cell[:LONGEST_NAME] for cell in cells), str(len(setting.runs))]


def write_values(setting: Setting, names: list[str]) -> list[str]:
    """The cells of its values over seeds, best and last, of the images at the best, and of the minutes."""
    values = [
        format_range([run.measurement(step).values.get(name) for run in setting.runs])
        for name in names
        for step in STEPS
    ]
    images = format_range([run.record.best.images for run in setting.runs])
    return [*values, images, format_range([run.record.last.minutes for run in setting.runs])]


def options_of(settings: Sequence[Setting]) -> list[dict[str, str]]:
    """The options in which settings differ, empty if their names say more."""
    firsts = [setting.runs[0] for setting in settings]
    options, shared = differing_options(firsts)
    return [{} for _ in settings] if shared is None and max(map(len, options)) > 12 else options

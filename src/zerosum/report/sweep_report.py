"""The report of a sweep: report.html in its folder."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from zerosum.evaluation.measurement import with_arrow
from zerosum.files import save_whole
from zerosum.report.compare import mean_floor
from zerosum.report.curves import Curve, make_curves
from zerosum.report.figures import Level, Line, chart
from zerosum.report.grouping import Setting
from zerosum.report.html import Markup, details, element, join, table
from zerosum.report.measured_runs import MeasuredRun, better_directions
from zerosum.report.page import LARGEST_PAGE, Section, make_page
from zerosum.report.parallel import draw_parallel
from zerosum.report.pictures import read_picture
from zerosum.report.run_names import differing_options
from zerosum.report.run_pictures import find_sheets, show_image
from zerosum.report.run_report import NAME
from zerosum.report.sweep_files import Sweep, best_values, read_sweep
from zerosum.report.table import (
    BLANK,
    collect_notes,
    format_number,
    format_protocol,
    format_range,
    value_names,
)

THUMBNAIL = 360
"""Pixels"""
PICTURES_BYTES = 3_000_000
"""Of all jobs' samples together"""
MOST_JOBS = 200
"""Whose samples are shown"""
MOST_LINES = 30
"""Settings in a chart: the best of them"""


def write_sweep_report(folder: Path, names: list[str] | None = None, value: str | None = None) -> Path:
    """Write report.html into a sweep's folder; UserError if it holds no run.

    `names` are the config keys that name a setting, by default those that differ, and `value` orders them.
    """
    sweep = read_sweep(Path(folder), names, value)
    path = Path(folder) / NAME
    page = make_sweep_page(sweep)
    save_whole(path, lambda partial: partial.write_text(page, encoding="utf-8"))
    return path


def make_sweep_page(sweep: Sweep, largest: int = LARGEST_PAGE) -> str:
    """The page of a sweep, with smaller pictures, and then without, where it would be larger than `largest`."""
    for share in (1.0, 0.3, 0.0):
        page = make_page(f"Sweep {sweep.folder.absolute().name}"[:200], make_head(sweep), make_sections(sweep, share))
        if len(page.encode()) <= largest:
            break
    return page


def make_head(sweep: Sweep) -> Markup:
    """How many jobs there are, and which setting is the best."""
    counts = f"{len(sweep.runs)} runs measured in {len(sweep.settings)} settings"
    counts += f", {len(sweep.running)} running" if sweep.running else ""
    counts += f", {len(sweep.failed)} failed or stopped early" if sweep.failed else ""
    best = None
    if sweep.value is not None and sweep.settings and (values := best_values(sweep.settings[0], sweep.value)):
        spread = format_range(values)
        best = element("p", "Best: ", element("strong", sweep.settings[0].name), f", {sweep.value} {spread}.")
    return join(element("p", f"{counts}.", class_="quiet"), best)


def make_sections(sweep: Sweep, share: float) -> list[Section]:
    """Every section for which the sweep has something."""
    parts = {
        "Settings": show_settings(sweep),
        "Over training": draw_values(sweep),
        "Options and values": draw_parallel(sweep.runs, sweep.value) if sweep.value else None,
        "Samples": show_samples(sweep, share),
        "Failed jobs": show_failed(sweep),
        "Measured by": show_protocol(sweep),
    }
    return [Section(title, content) for title, content in parts.items() if content]


def show_settings(sweep: Sweep) -> Markup:
    """The table: a row for each setting with the options that differ, best and last value, the best first."""
    if not sweep.settings:
        return element("p", "Nothing was measured yet.", class_="problem")
    names = [] if sweep.problem else value_names(sweep.runs)
    if sweep.value in names:
        names = [sweep.value, *(name for name in names if name != sweep.value)]  # type: ignore[list-item]
    options = options_of(sweep.settings)
    keys = list(dict.fromkeys(key for own in options for key in own))
    better = better_directions(sweep.runs)
    head = ["rank", *(keys or ["setting"]), "seeds"]
    head += [f"{with_arrow(name, better)}, {step}" for name in names for step in ("best", "last")]
    rows = []
    for rank, (setting, own) in enumerate(zip(sweep.settings, options, strict=True), 1):
        cells = [own.get(key, BLANK) for key in keys] if keys else [setting.name]
        values = [
            format_range([run.measurement(step).values.get(name) for run in setting.runs])
            for name in names
            for step in ("best", "last")
        ]
        images = format_range([run.record.best.images for run in setting.runs])
        minutes = format_range([run.record.last.minutes for run in setting.runs])
        rows.append([str(rank), *cells, str(len(setting.runs)), *values, images, minutes])
    head += ["images at best", "minutes"]
    caption = "Mean (lowest to highest) over seeds, the best setting first; ↓ lower is better, ↑ higher."
    shared = element("p", f"All runs: {sweep.shared}.", class_="quiet") if sweep.shared else None
    problem = element("p", f"The values may not stand in one table: {sweep.problem}.", class_="problem")
    notes = collect_notes(sweep.runs, [])
    return join(
        problem if sweep.problem else None,
        element("p", caption, class_="quiet"),
        table("Settings, the best first", head, rows, numbers=2 * len(names) + 3),
        shared,
        *(element("p", note, class_="quiet") for note in notes),
    )


def options_of(settings: Sequence[Setting]) -> list[dict[str, str]]:
    """The options in which settings differ, empty if their names say more."""
    firsts = [setting.runs[0] for setting in settings]
    options, shared = differing_options(firsts)
    return [{} for _ in settings] if shared is None and max(map(len, options)) > 12 else options


def draw_values(sweep: Sweep) -> Markup | None:
    """The value against images and against minutes."""
    if sweep.value is None:
        return None
    way = better_directions(sweep.runs).get(sweep.value)
    note = "Lines: mean over seeds; areas: from the lowest to the highest." if has_seeds(sweep) else "One run each."
    floor = mean_floor(sweep.runs, sweep.value)
    levels = [] if floor is None else [Level("floor: real data in place of samples", floor)]
    curves = make_curves(sweep.settings[:MOST_LINES], sweep.value)
    label = f"{sweep.value} ({way} is better)" if way else sweep.value
    left_out = len(sweep.settings) - MOST_LINES
    note += f" {left_out} settings that were not among the best are left out." if left_out > 0 else ""
    charts = [
        chart(f"{sweep.value} against {x}", axis, label, [line_of(curve, x) for curve in curves], levels, note, True)
        for x, axis in (("images", "real images seen"), ("minutes", "minutes of training"))
    ]
    return element("div", *charts, class_="charts")


def has_seeds(sweep: Sweep) -> bool:
    """Whether some setting was trained with several seeds."""
    return any(len(setting.runs) > 1 for setting in sweep.settings)


def line_of(curve: Curve, x: str) -> Line:
    """A setting's line, with its band if it has several seeds."""
    band = (curve.low.tolist(), curve.high.tolist()) if curve.seeds > 1 else None
    return Line(curve.name, getattr(curve, x).tolist(), curve.mean.tolist(), band, markers=len(curve.mean) <= 40)


def show_samples(sweep: Sweep, share: float) -> Markup | None:
    """The last samples of each job side by side, each with a link to its own report."""
    named = [(setting.name, run) for setting in sweep.settings for run in setting.runs]
    largest = min(120_000, round(share * PICTURES_BYTES / max(1, min(len(named), MOST_JOBS))))
    if largest < 2_000:
        return element("p", "Pictures are left out: the page would be too large.")
    figures = [show_job(sweep, name, run, largest) for name, run in named[:MOST_JOBS]]
    shown = [figure for figure in figures if figure is not None]
    missing = len(named) - len(shown)
    note = element("p", f"{missing} runs have no samples to show.", class_="quiet") if missing and shown else None
    return join(element("div", *shown, class_="jobs"), note) if shown else None


def show_job(sweep: Sweep, name: str, run: MeasuredRun, largest: int) -> Markup | None:
    """The last sheet of one job over its setting, its value and a link."""
    sheets = find_sheets(run.folder)
    if not sheets:
        return None
    last = max(sheets)
    picture = read_picture(sheets[last], run.folder, THUMBNAIL, largest)
    seed = run.config.get("seed")
    value = run.record.last.values.get(sweep.value or "")
    label = f"{name}, seed {seed}" + ("" if value is None else f": last {sweep.value} {format_number(value)}")
    figure = show_image(picture, f"{label}, at {last:,} images")
    return None if figure is None else figure_with_link(figure, run.folder)


def figure_with_link(figure: Markup, folder: Path) -> Markup:
    """The figure, with a link to the run's own report where it has one."""
    if not (folder / NAME).exists():
        return figure
    link = element("a", f"Report of {folder.name}", href=f"./{quote(folder.name)}/{NAME}")
    return element("div", figure, link)


def show_failed(sweep: Sweep) -> Markup | None:
    """Jobs that ended before their budget was used, with the reason."""
    if not sweep.failed:
        return None
    rows = [[folder.name, reason] for folder, reason in sweep.failed.items()]
    return table("Jobs that failed, or stopped before their budget was used", ["job", "reason"], rows)


def show_protocol(sweep: Sweep) -> Markup | None:
    """The protocol that all values share."""
    if sweep.value is None:
        return None
    text = format_protocol(sweep.runs[0].record.last.card.protocol)
    return details("The protocol of every value", element("p", text))

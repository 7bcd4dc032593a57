"""The report of a sweep: report.html in its folder."""

from pathlib import Path
from urllib.parse import quote

from zerosum.files import save_whole
from zerosum.report.compare import mean_floor
from zerosum.report.curves import MINUTES, Curve, make_curves
from zerosum.report.figures import Level, Line, chart, thin
from zerosum.report.html import Markup, details, element, join, table
from zerosum.report.measured_runs import MeasuredRun, better_directions
from zerosum.report.page import LARGEST_PAGE, Section, bound, count_left_out, leave_out, make_page
from zerosum.report.parallel import draw_parallel
from zerosum.report.pictures import read_picture
from zerosum.report.run_charts import count_points
from zerosum.report.run_pictures import find_sheets, show_image
from zerosum.report.run_report import NAME
from zerosum.report.sweep_files import Sweep, best_values, read_sweep
from zerosum.report.sweep_table import LONGEST_NAME, count_rows, show_settings
from zerosum.report.table import format_number, format_protocol, format_range

THUMBNAIL = 360
"""Pixels"""
PICTURES_BYTES = 3_000_000
"""Of all jobs' samples together"""
MOST_JOBS = 200
"""Whose samples are shown"""
MOST_LINES = 30
"""Settings in a chart: the best of them"""
CHARTS = ("Over training", "Options and values")
"""Sections that are left out whole where the page would be too large"""


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
    """The page of a sweep in at most `largest` bytes, with fewer pictures, points and rows, and at last no charts."""
    for share in (1.0, 0.3, 0.1, 0.0):
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
        name, spread = sweep.settings[0].name[:LONGEST_NAME], format_range(values)
        best = element("p", "Best: ", element("strong", name), f", {sweep.value} {spread}.")
    return join(element("p", f"{counts}.", class_="quiet"), best)


def make_sections(sweep: Sweep, share: float) -> list[Section]:
    """Every section for which the sweep has something."""
    parts = {
        "Settings": show_settings(sweep, share),
        "Over training": draw_values(sweep, share),
        "Options and values": draw_options(sweep, share),
        "Samples": show_samples(sweep, share),
        "Failed jobs": show_failed(sweep, share),
        "Measured by": show_protocol(sweep),
    }
    sections = [Section(title, content) for title, content in parts.items() if content]
    return sections if share else [strip(section) for section in sections]


def strip(section: Section) -> Section:
    """A section without what makes a page large."""
    return Section(section.title, leave_out("Charts are")) if section.title in CHARTS else bound(section)


def draw_values(sweep: Sweep, share: float) -> Markup | None:
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
    lines = {x: [line_of(curve, x, share) for curve in curves] for x in ("images", "minutes")}
    charts = [
        chart(f"{sweep.value} against {x}", axis, label, lines[x], levels, note, True)
        for x, axis in (("images", "real images seen"), ("minutes", curves[0].time if curves else MINUTES))
    ]
    return element("div", *charts, class_="charts")


def has_seeds(sweep: Sweep) -> bool:
    """Whether some setting was trained with several seeds."""
    return any(len(setting.runs) > 1 for setting in sweep.settings)


def line_of(curve: Curve, x: str, share: float) -> Line:
    """A setting's line, with its band if it has several seeds; points are left out evenly."""
    kept = thin([*range(len(curve.mean))], count_points(share))
    positions, mean, low, high = (
        values[kept].tolist() for values in (getattr(curve, x), curve.mean, curve.low, curve.high)
    )
    band = (low, high) if curve.seeds > 1 else None
    return Line(curve.name[:LONGEST_NAME], positions, mean, band, markers=len(kept) <= 40)


def draw_options(sweep: Sweep, share: float) -> Markup | None:
    """Numeric options beside the value, of the runs of the best settings."""
    most = count_rows(share)
    drawn = draw_parallel(sweep.runs[:most], sweep.value) if sweep.value else None
    return None if drawn is None else join(drawn, count_left_out("runs", len(sweep.runs) - most))


def show_samples(sweep: Sweep, share: float) -> Markup | None:
    """The last samples of each job side by side, each with a link to its own report."""
    named = [(setting.name, run) for setting in sweep.settings for run in setting.runs]
    largest = min(120_000, round(share * PICTURES_BYTES / max(1, min(len(named), MOST_JOBS))))
    if largest < 2_000:
        return leave_out("Pictures are")
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


def show_failed(sweep: Sweep, share: float) -> Markup | None:
    """Jobs that ended before their budget was used, with the reason."""
    if not sweep.failed:
        return None
    rows = [[folder.name, reason] for folder, reason in sweep.failed.items()]
    most = count_rows(share)
    shown = table("Jobs that failed, or stopped before their budget was used", ["job", "reason"], rows[:most])
    return join(shown, count_left_out("failed jobs", len(rows) - most))


def show_protocol(sweep: Sweep) -> Markup | None:
    """The protocol that all values share."""
    if sweep.value is None:
        return None
    text = format_protocol(sweep.runs[0].record.last.card.protocol)
    return details("The protocol of every value", element("p", text))

"""The report of one run: report.html in its folder."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zerosum.evaluation.finding import Finding
from zerosum.evaluation.measurement import ARROWS, Measurement, Record
from zerosum.experiment.settings import flatten
from zerosum.files import save_whole
from zerosum.report.differences import find_differences_or_none
from zerosum.report.html import Markup, copyable, details, element, join, table
from zerosum.report.page import LARGEST_PAGE, Section, bound, count_left_out, leave_out, make_page
from zerosum.report.run_charts import draw_curves, draw_histograms, draw_losses, draw_quality
from zerosum.report.run_files import RunFiles, read_run_files
from zerosum.report.run_pictures import show_illustrations, show_picture, show_samples
from zerosum.report.table import BLANK, format_number

NAME = "report.html"
HEAVY = {"Losses and logits": "Charts are", "Speed": "Charts are", "Cards": "The cards of metrics.json are"}
"""Sections that are left out whole where the page would be too large, and what they hold"""
MOST_ROWS = 14
"""Differences that stand in the open"""
SHOWN_FINDINGS, SHOWN_NUMBERS = 20, 10
"""Findings, the latest first, and numbers behind each of them"""
MOST_VALUES = 100
"""In the table of best, last and floor"""
LONGEST_NAME = 100
"""Characters of a number's name"""


def write_run_report(folder: Path) -> Path:
    """Write report.html into a run's folder; UserError if it holds no run."""
    page = make_run_page(Path(folder))
    path = Path(folder) / NAME
    save_whole(path, lambda partial: partial.write_text(page, encoding="utf-8"))
    return path


def make_run_page(folder: Path, largest: int = LARGEST_PAGE) -> str:
    """The page of a run in at most `largest` bytes, with fewer, and at last no, pictures, charts and cards."""
    files = read_run_files(folder)
    for share in (1.0, 0.4, 0.1, 0.0):
        page = make_page(str(files.config["run"]["name"])[:200], make_head(files), make_sections(files, share))
        if len(page.encode()) <= largest:
            break
    return page


def make_sections(files: RunFiles, share: float = 1.0) -> list[Section]:
    """Every section for which the run has something; `share` of the usual bytes of pictures and points of charts."""
    parts = {
        "What was run": show_command(files),
        "The doctor": show_findings(None if files.record is None else files.record.findings, files.plural),
        "Samples": show_samples(files, share),
        "Quality": show_quality(files, share),
        "Losses and logits": show_game(files, share),
        "Speed": draw_curves(files.curves, "speed", share, files.plural),
        "Nearest training images": show_picture(files, "nearest", share),
        "Between samples": show_picture(files, "interpolation", share),
        "The model": show_illustrations(files, share),
        "Codes": show_picture(files, "codes", share, "What each code changes: a row is a seed, a column a value."),
        "Cards": show_cards(files),
    }
    sections = [Section(title, content) for title, content in parts.items() if content]
    return sections if share else [strip(section) for section in sections]


def strip(section: Section) -> Section:
    """A section without what makes a page large."""
    return Section(section.title, leave_out(HEAVY[section.title])) if section.title in HEAVY else bound(section)


def make_head(files: RunFiles) -> Markup:
    """How far the run is, and its first value in large figures."""
    record = files.record
    tiles = [] if record is None else make_tiles(record, first_value(record), better_of(record), files.plural)
    return join(
        element("p", say_progress(files.images, files.budget, files.plural), class_="quiet"),
        *(element("p", problem, class_="problem") for problem in files.problems),
        element("dl", *tiles, class_="tiles") if tiles else None,
    )


def say_progress(images: int, budget: int | None, plural: str = "images") -> str:
    """How far the run is."""
    if budget is None:
        return f"{images:,} real {plural} seen."
    done = "finished" if images >= budget else "not finished when this was written"
    return f"{images:,} of {budget:,} real {plural} seen, {done}."


def make_tiles(record: Record, name: str, better: Mapping[str, str], plural: str = "images") -> list[Markup]:
    """Best, last and floor of one value, and what the doctor found."""
    floor = (record.floor or {}).get(name)
    found = record.findings
    verdict = ("not asked", "") if found is None else (str(len(found)), f"problem{'s'[: len(found) != 1]} found")
    pairs = [
        (f"Best {name} {ARROWS.get(better.get(name, ''), '')}", *place(record.best, name, plural)),
        (f"Last {name}", *place(record.last, name, plural)),
        *([("Floor", format_number(floor), f"real {plural} in place of samples")] if floor is not None else []),
        ("Time", f"{format_number(record.last.minutes)} min", "until the last evaluation"),
        ("Doctor", *verdict),
    ]
    return [
        element("div", element("dt", title), element("dd", value, element("small", note)))
        for title, value, note in pairs
    ]


def place(measurement: Measurement, name: str, plural: str) -> tuple[str, str]:
    """A measurement's value and when it was."""
    value = measurement.values.get(name)
    return BLANK if value is None else format_number(value), f"at {measurement.images:,} {plural}"


def first_value(record: Record) -> str:
    """The name of the value by which the best model is chosen: the first one measured."""
    return next(iter(record.best.values))


def better_of(record: Record) -> dict[str, str]:
    """The better direction of each value, as the last card says."""
    better = record.last.card.run.get("better")
    return {name: way for name, way in better.items() if way in ARROWS} if isinstance(better, dict) else {}


def show_command(files: RunFiles) -> Markup:
    """The command, machine, commit and time, and how the config differs from the defaults."""
    overrides = [str(word) for word in (files.config.get("command") or {}).get("overrides") or []]
    command = " ".join(["python train.py", *(shlex.quote(word) for word in overrides)])
    code = {} if files.record is None else files.record.last.card.code
    versions = code.get("versions") if isinstance(code.get("versions"), dict) else {}
    facts = [
        ("Folder", str(files.folder)),
        ("Commit", str(code.get("git") or "unknown")),
        *((name, value) for name, value in list(files.facts.get("machine", {}).items())[:20]),
        ("Versions", ", ".join(f"{name} {version}" for name, version in (versions or {}).items()) or "unknown"),
    ]
    return join(
        copyable(command, "the command"),
        element("dl", *definitions_of(facts), class_="facts"),
        show_differences(files.config),
    )


def definitions_of(pairs: list[tuple[str, str]]) -> list[Markup]:
    """Names with their values."""
    return [element("div", element("dt", name), element("dd", value)) for name, value in pairs]


def show_differences(config: dict[str, Any]) -> Markup:
    """A table of the options that are not the defaults; a long one unfolds."""
    differences = find_differences_or_none(config)
    if differences is None:
        return element("p", "The defaults could not be composed here, so differences from them are not shown.")
    if not differences:
        return element("p", "Every option has its default.")
    rows = [list(difference) for difference in differences[:300]]
    head = ["option", "this run", "default"]
    if len(rows) <= MOST_ROWS:
        return table("Differences from the defaults", head, rows)
    first = table("Differences from the defaults", head, rows[:MOST_ROWS])
    rest = table("Further differences", head, rows[MOST_ROWS:])
    return join(first, details(f"{len(rows) - MOST_ROWS} more differences", rest))


def show_findings(findings: list[Finding] | None, plural: str = "images") -> Markup:
    """The doctor's verdict."""
    if findings is None:
        return element("p", "No doctor looked at this run.", class_="verdict open")
    if not findings:
        return element("p", "The doctor looked and found no problem.", class_="verdict")
    latest = sorted(findings, key=lambda finding: -finding.until)
    left_out = count_left_out("findings", len(findings) - SHOWN_FINDINGS)
    return join(*(show_finding(finding, plural) for finding in latest[:SHOWN_FINDINGS]), left_out)


def show_finding(finding: Finding, plural: str) -> Markup:
    """One problem: its sentence, the numbers behind it, and what to try."""
    numbers = [f"{name[:LONGEST_NAME]} {format_number(value)}" for name, value in finding.evidence.items()]
    left_out = [f"{len(numbers) - SHOWN_NUMBERS} more"] if len(numbers) > SHOWN_NUMBERS else []
    evidence = ", ".join(numbers[:SHOWN_NUMBERS] + left_out)
    return element(
        "div",
        element("h3", finding.name.replace("_", " ")),
        element("p", finding.sentence),
        element("p", f"From {finding.since:,} to {finding.until:,} {plural}. Evidence: {evidence}.", class_="quiet"),
        element("p", "To try:") if finding.override else None,
        copyable(finding.override, "the options") if finding.override else None,
        class_="finding",
    )


def show_quality(files: RunFiles, share: float = 1.0) -> Markup | None:
    """Best, last and floor of every value, and a chart of each."""
    if files.record is None:
        return element("p", "Nothing was measured yet.")
    record, better = files.record, better_of(files.record)
    columns = {"best": record.best.values, "last": record.last.values, "floor": record.floor or {}}
    names = list(dict.fromkeys(name for values in columns.values() for name in values))
    rows = [
        [
            f"{name} {ARROWS.get(better.get(name, ''), '')}".strip(),
            *(say(values.get(name)) for values in columns.values()),
        ]
        for name in names[:MOST_VALUES]
    ]
    when = [f"{files.plural} seen", f"{record.best.images:,}", f"{record.last.images:,}", ""]
    meaning = f"Best: where best.ckpt was chosen. Floor: the value of real {files.plural} in place of samples."
    values = table("Best, last and floor", ["value", *columns], [*rows, when], numbers=3)
    left_out = count_left_out("values", len(names) - MOST_VALUES)
    explained = join(element("p", meaning, class_="quiet"), values, left_out)
    if not share:
        return join(explained, leave_out("Charts are"))
    charts = element("div", *draw_quality(record, better, share, files.plural), class_="charts")
    others = {name: line for name, line in files.curves.items() if name.removeprefix("quality/") not in names}
    return join(explained, charts, draw_curves(others, "quality", share, files.plural))


def say(value: float | None) -> str:
    """A value, or a dash where there is none."""
    return BLANK if value is None else format_number(value)


def show_game(files: RunFiles, share: float = 1.0) -> Markup | None:
    """Losses, logits and everything else that was logged of training."""
    losses = draw_losses(files.curves, files.facts.get("equilibrium", {}), share, files.plural)
    charts = [drawn for drawn in (losses, draw_histograms(files.histograms, share)) if drawn is not None]
    first = element("div", *charts, class_="charts") if charts else None
    return join(first, draw_curves(files.curves, "game", share, files.plural)) or None


def show_cards(files: RunFiles) -> Markup | None:
    """How the best and the last values were measured."""
    if files.record is None:
        return None
    intro = element("p", "Two values may be compared if their protocols are equal.")
    cards = {"best": files.record.best, "last": files.record.last}
    return join(intro, *(show_card(f"Card of the {name} values", entry) for name, entry in cards.items()))


def show_card(title: str, measurement: Measurement) -> Markup:
    """The three parts of a card."""
    parts = {"protocol": measurement.card.protocol, "run": measurement.card.run, "code": measurement.card.code}
    rows = [[part, name, str(value)] for part, fields in parts.items() for name, value in flatten(fields).items()]
    return details(title, table(None, ["part", "field", "value"], rows))

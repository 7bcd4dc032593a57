"""What a subject of the theory lab leaves: numbers beside their analytic values, and pictures, as one Markdown page."""

from pathlib import Path
from typing import NamedTuple

from PIL import Image

from zerosum.drawing.film import quantize_together, write_film
from zerosum.files import save_whole


class Row(NamedTuple):
    """One measured number."""

    quantity: str
    measured: float
    analytic: float | None = None
    """None where theory names no number"""


class Picture(NamedTuple):
    """One picture, or the frames of a film."""

    name: str
    caption: str
    frames: list[Image.Image]


class Page(NamedTuple):
    """The result of one subject."""

    title: str
    equation: str
    """Markdown, with formulas between dollars"""
    look: str
    """Markdown: what to look at"""
    rows: list[Row]
    pictures: list[Picture]


RARE_TOO = Image.Quantize.MAXCOVERAGE
"""Keeps colours of few pixels, such as those of samples on a heat map"""
NOTE = "*Every number on this page was measured by the command below; `analytic` is what the equations say.*"


def save_page(page: Page, name: str, command: str, folder: Path) -> Path:
    """Write <name>.md and its pictures into the folder."""
    for picture in page.pictures:
        save_picture(picture, folder)
    path = folder / f"{name}.md"
    text = render(page, command)
    save_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    return path


def save_picture(picture: Picture, folder: Path) -> None:
    """A PNG, or a GIF of several frames; few colours and no dither make small files, which a repository can hold."""
    if len(picture.frames) > 1:
        write_film(quantize_together(picture.frames, 48, RARE_TOO), folder / file_name(picture))
        return
    drawn = picture.frames[0].quantize(200, RARE_TOO, dither=Image.Dither.NONE)
    save_whole(folder / file_name(picture), lambda partial: drawn.save(partial, "PNG", optimize=True))


def file_name(picture: Picture) -> str:
    """<name>.png of one picture, <name>.gif of several frames."""
    return f"{picture.name}.{'png' if len(picture.frames) == 1 else 'gif'}"


def render(page: Page, command: str) -> str:
    """The page as Markdown."""
    pictures = [f"![{picture.caption}]({file_name(picture)})\n\n*{picture.caption}*" for picture in page.pictures]
    parts = [f"# {page.title}", page.equation.strip(), *pictures, page.look.strip(), NOTE, table(page.rows)]
    return "\n\n".join([*parts, f"    {command}", "[All subjects](index.md)"]) + "\n"


def table(rows: list[Row]) -> str:
    """Quantity, measured and analytic value."""
    lines = ["| quantity | measured | analytic |", "|---|---:|---:|"]
    for row in rows:
        analytic = "" if row.analytic is None else format_number(row.analytic)
        lines.append(f"| {row.quantity} | {format_number(row.measured)} | {analytic} |")
    return "\n".join(lines)


def format_number(value: float) -> str:
    """Four significant digits, six where four would make it a whole number; whole numbers as such."""
    if value == round(value) and abs(value) < 1e6:
        return str(round(value))
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    short = f"{value:.4g}"
    return f"{value:.6g}" if float(short) == round(value) else short

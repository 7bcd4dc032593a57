"""Puts a report together: one HTML file that needs no network and can reach none."""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from zerosum.errors import UserError
from zerosum.report.html import Markup, element, join

Parts = tuple[list[Markup], Markup]
"""Scripts of a page, and styles beside those of every page"""
LARGEST_PAGE = 10_000_000
"""Bytes"""
LARGEST_SECTION = 500_000
"""Bytes of a section where the page would be too large"""


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    title: str
    content: Markup

    @property
    def anchor(self) -> str:
        """The end of the address that leads to it."""
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def leave_out(what: str) -> Markup:
    """A sentence in the place of what would make the page too large."""
    return element("p", f"{what} left out: the page would be too large.", class_="quiet")


def count_left_out(what: str, count: int) -> Markup | None:
    """A sentence that counts what is not shown; None if everything is."""
    return element("p", f"{count:,} more {what} are left out.", class_="quiet") if count > 0 else None


def bound(section: Section) -> Section:
    """The section, or a sentence in its place if it is very large."""
    is_small = len(section.content.encode()) <= LARGEST_SECTION
    return section if is_small else Section(section.title, leave_out("This part is"))


def make_page(title: str, head: Markup, sections: list[Section], parts: Parts | None = None) -> str:
    """The whole document; its scripts run by their hash alone, so that no other text can become one.

    Without `parts` it can draw charts.
    """
    scripts, styles = parts or ([read_plotly(), read_own("page.js")], Markup())
    hashes = " ".join(f"'sha256-{hash_script(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none';"
        " form-action 'none'"
    )
    meta = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", join(read_own("page.css"), styles)),
    ]
    links = [element("li", element("a", section.title, href=f"#{section.anchor}")) for section in sections]
    body = [
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", element("h1", title), head),
        element("nav", element("ul", *links), aria_label="Sections"),
        element("main", *map(render, sections), id="content"),
        element("footer", f"Written {datetime.now():%Y-%m-%d %H:%M:%S} by zerosum. It opens without a network."),
        *(element("script", script) for script in scripts),
    ]
    return f"<!doctype html>\n{element('html', element('head', *meta), element('body', *body), lang='en')}\n"


def render(section: Section) -> Markup:
    """The section with its heading, by which screen readers name it."""
    heading = element("h2", section.title, id=section.anchor)
    return element("section", join(heading, section.content), aria_labelledby=section.anchor)


@cache
def hash_script(script: str) -> str:
    """The hash of a script as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def read_own(name: str) -> Markup:
    """A file beside this one."""
    return read_beside(Path(__file__).parent / name)


@cache
def read_beside(path: Path) -> Markup:
    """A script or style of zerosum's own."""
    return Markup(path.read_text(encoding="utf-8"))


@cache
def read_plotly() -> Markup:
    """The library that draws charts, from Plotly's package, which need not be imported for it."""
    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise UserError("the charts of a report need plotly: pip install plotly")
    path = Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    # A browser hashes a script after it has made every line end \n.
    return Markup(path.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n"))

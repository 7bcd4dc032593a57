"""Makes HTML in which every text is escaped, unless this module made it."""

import html
import json
from typing import Any

from zerosum.errors import printable


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


EMPTY = Markup()
VOID = {"img", "input", "link", "meta"}
"""Elements without an end tag"""

Attribute = str | int | bool | None


def element(tag: str, *children: str | None, **attributes: Attribute) -> Markup:
    """<tag attributes>children</tag>; children that are None are left out, and `class_` is the attribute class."""
    start = f"<{tag}{''.join(write_attribute(*pair) for pair in attributes.items())}>"
    return Markup(start if tag in VOID else f"{start}{join(*children)}</{tag}>")


def write_attribute(name: str, value: Attribute) -> str:
    """' name="value"'; the name alone for True, nothing for None and False."""
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def join(*children: str | None) -> Markup:
    """The children one after the other, each escaped unless it is Markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children if child))


def escape(text: str) -> Markup:
    """The text on one line, with nothing in it that a browser would take for markup."""
    return Markup(html.escape(printable(text), quote=True))


def write_json(node: Any) -> Markup:
    """JSON that may stand inside of <script>: neither </script> nor <!-- ends it; ValueError at NaN."""
    text = json.dumps(node, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def table(
    caption: str | None, head: list[str], rows: list[list[str]], numbers: int = 0, class_: str | None = None
) -> Markup:
    """A table that scrolls by itself where it is wider than the page; the last `numbers` columns are set right."""
    first_number = len(head) - numbers

    def cell(tag: str, index: int, content: str) -> Markup:
        scope = {"th": "row"}.get(tag) if tag == "th" else None
        return element(tag, content, scope=scope, class_="number" if index >= first_number else None)

    titles = [
        element("th", name, scope="col", class_="number" if index >= first_number else None)
        for index, name in enumerate(head)
    ]
    body = [
        element("tr", *(cell("th" if index == 0 else "td", index, content) for index, content in enumerate(row)))
        for row in rows
    ]
    parts = [
        element("caption", caption) if caption else None,
        element("thead", element("tr", *titles)),
        element("tbody", *body),
    ]
    name = caption or "table"
    return element(
        "div", element("table", *parts), class_=f"scroll {class_ or ''}".strip(), tabindex=0, role="region",
        aria_label=name,
    )  # fmt: skip


def details(summary: str, *children: str | None, open: bool = False) -> Markup:
    """A part that a click, or the Enter key, unfolds."""
    return element("details", element("summary", summary), *children, open=open)


def copyable(text: str, label: str) -> Markup:
    """Code with a button that copies it."""
    button = element("button", "Copy", type="button", class_="copy", aria_label=f"Copy {label}")
    return element("div", element("code", text), button, class_="command")

"""What tests read from a page: its elements, its texts and the figures of its charts."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

VOID = {"img", "input", "link", "meta", "br"}


class Page(HTMLParser):
    """Every element with its attributes, in order; `problems` of its structure; texts outside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []
        self.texts: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self.scripts = 0
        self._open: list[str] = []
        self._kind: str | None = None
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        self._kind = dict(attrs).get("type") if tag == "script" else self._kind

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> stands at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        place = self._open[-1] if self._open else ""
        if place == "script" and self._kind == "application/json":
            self.figures.append(json.loads(data))
        elif place == "script":
            self.scripts += 1
        elif place != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def headings(self) -> list[int]:
        return [int(name[1]) for name, _ in self.elements if name in ("h1", "h2", "h3", "h4")]


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))

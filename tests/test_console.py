"""One console: log lines pass above the bars, an evaluation's bar leaves nothing, and a file gets log lines alone."""

import io
import logging
import re

import pytest
from rich.console import Console

from zerosum import console


class Terminal(io.StringIO):
    """A terminal that keeps what it was told."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What a person sees: cursor movements and erased lines are followed."""
        rows, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\n|\r|[^\x1b\r\n]+", self.getvalue()):
            if token == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif token == "\r":
                column = 0
            elif token.endswith("A") and token.startswith("\x1b"):
                row -= int(token[2:-1])
            elif token == "\x1b[2K":
                rows[row] = ""
            elif not token.startswith("\x1b"):
                rows[row] = rows[row][:column].ljust(column) + token + rows[row][column + len(token) :]
                column += len(token)
        return [line.rstrip() for line in rows if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns; `zerosum` logs to it."""
    file = Terminal()
    monkeypatch.setattr(console, "CONSOLE", Console(file=file, width=80, force_terminal=True, highlight=False))
    monkeypatch.setattr(console, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(console, "REFRESH_SECONDS", -1.0)
    handler, logger = console.ConsoleHandler(), logging.getLogger("zerosum")
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.INFO)
    logger.manager._clear_cache()
    yield file
    console.DISPLAY.close()
    logger.manager._clear_cache()


def text_line(text):
    return lambda width: text


def test_log_lines_stand_above_the_bar_and_not_beside_it(terminal):
    bar = text_line("the bar")
    console.DISPLAY.show(bar)
    console.log.info("first")
    console.DISPLAY.show(bar)
    console.log.info("second")
    assert terminal.lines() == ["first", "second", "the bar"]
    console.DISPLAY.finish(bar)
    console.log.info("third")
    assert terminal.lines() == ["first", "second", "the bar", "third"]


def test_an_evaluation_has_a_second_line_of_which_nothing_stays(terminal):
    bar = text_line("the bar")
    console.DISPLAY.show(bar)
    for item in console.track(range(4), "samples", 4):
        if item == 2:
            seen = terminal.lines()
    assert seen[0] == "the bar" and re.match(r"samples .* 2/4  0:00 left", seen[1])
    assert terminal.lines() == ["the bar"]


@pytest.mark.parametrize("ends_early", [False, True])
def test_an_evaluation_alone_leaves_nothing(terminal, ends_early):
    items = console.track(range(4), "samples", 4)
    for item in items:
        if item == 2 and ends_early:
            items.close()
    console.log.info("done")
    assert terminal.lines() == ["done"] and "samples" in terminal.getvalue()


def test_a_short_wait_has_no_bar(terminal, monkeypatch):
    monkeypatch.setattr(console, "PATIENCE_SECONDS", 3.0)
    assert list(console.track("abc", "letters", 3)) == ["a", "b", "c"]
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("kind", ["file", "dumb", "quiet"])
def test_what_is_no_terminal_gets_log_lines_alone(terminal, monkeypatch, kind):
    """Rich takes FORCE_COLOR for a terminal: control sequences would stand in the file."""
    if kind == "file":
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    if kind == "dumb":
        monkeypatch.setattr(console.CONSOLE, "_environ", {"TERM": "dumb"})
    if kind == "quiet":  # a further process of a run
        logging.getLogger("zerosum").setLevel(logging.WARNING)
    assert list(console.track("abc", "letters", 3)) == ["a", "b", "c"]
    console.log.warning("a line")
    assert terminal.getvalue() == "a line\n"


def test_names_of_strangers_steer_neither_terminal_nor_markup(terminal):
    name = "[bold]\x1b]0;title\x07[/nothing] :smile:"
    console.log.info("%s", name)
    for _ in console.track(range(3), name, 3):
        pass
    printed = terminal.getvalue()
    assert "\x1b]0" not in printed and printed.startswith(r"[bold]\x1b]0;title\x07[/nothing] :smile:")
    assert printed.count("[/nothing] :smile:") > 1


def test_a_long_log_line_is_not_broken(terminal):
    console.log.info("x" * 200)
    assert terminal.getvalue() == "x" * 200 + "\n"


def drawn(renderable, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None).print(renderable)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [10, 20, 30, 40, 60, 80, 200])
def test_a_bar_takes_one_line_whatever_the_width(width):
    (line,) = drawn(console.bar_line("images", 3, 9, ["100/s", "0:10 left"], width), width)
    assert len(line.rstrip()) <= width
    assert ("━" in line) == (width >= 30)
    assert ("0:10 left" in line) == (width >= 20)


@pytest.mark.parametrize(
    ("seconds", "left", "words"),
    [
        (None, "-:-- left", None),
        (0.2, "0:00 left", "a second"),
        (42, "0:42 left", "about 42 seconds"),
        (123, "2:03 left", "about 2 minutes"),
        (3723, "1:02:03 left", "about 62 minutes"),
        (90_000, "25:00:00 left", "about 25 hours"),
    ],
)
def test_durations(seconds, left, words):
    assert console.time_left(seconds) == left
    assert seconds is None or console.about(seconds) == words

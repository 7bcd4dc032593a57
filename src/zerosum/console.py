"""The terminal: one console for log lines, the bar of training and the bars of what training waits for."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from zerosum.errors import make_record_printable, printable

log = logging.getLogger("zerosum")

CONSOLE = Console(highlight=False, force_jupyter=False)  # rich would make an HTML block of each line
REFRESH_SECONDS = 0.5
PATIENCE_SECONDS = 3.0
"""Shorter waits get no bar"""
SMALLEST_BAR, LARGEST_BAR = 8, 30

Item = TypeVar("Item")
Line = Callable[[int], RenderableType]
"""Draws itself in a number of columns"""


class ConsoleHandler(logging.Handler):
    """Prints log lines on the console, above the bars, as they are: names in them come from strangers."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(make_record_printable)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        try:
            CONSOLE.out(self.format(record), highlight=False)
        except Exception:  # as every handler of logging does
            self.handleError(record)


class Display:
    """Lines that stay at the foot of the terminal while log lines pass above them."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._live: Live | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            yield line(options.max_width)

    def show(self, line: Line) -> None:
        """Draw the lines, this one too."""
        if line not in self._lines:
            self._lines.append(line)
        if self._live is None:
            self._live = Live(get_renderable=lambda: self, console=CONSOLE, auto_refresh=False)
            self._live.start()
        self._live.refresh()

    def remove(self, line: Line) -> None:
        """Erase a line, if it is shown."""
        if self._lines == [line]:
            self._end(is_kept=False)
        elif line in self._lines and self._live is not None:
            self._lines.remove(line)
            self._live.refresh()

    def finish(self, line: Line) -> None:
        """Draw a line for the last time and leave it on the terminal; erase the others."""
        if line in self._lines:
            self._lines = [line]
            self._end(is_kept=True)

    def close(self) -> None:
        """Erase all lines."""
        self._end(is_kept=False)

    def _end(self, is_kept: bool) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.transient = not is_kept
            live.stop()
        self._lines = []


DISPLAY = Display()


def shows_bars() -> bool:
    """Whether the output is a terminal that can draw a bar, and messages are wanted; not in a run's further process."""
    return CONSOLE.file.isatty() and not CONSOLE.is_dumb_terminal and log.isEnabledFor(logging.INFO)


def track(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The items, with a bar on a terminal once they take more than a few seconds; nothing stays of it."""
    if not shows_bars():
        yield from items
        return
    line = TaskLine(what, total)
    try:
        for item in items:
            yield item
            line.advance()
    finally:
        DISPLAY.remove(line)


class TaskLine:
    """'samples ━━━━━ 40/100  0:12 left' of a task in `total` parts."""

    def __init__(self, what: str, total: int) -> None:
        self.what = printable(what)
        self.total = total
        self.done = 0
        self.started = self.refreshed = time.perf_counter()

    def advance(self) -> None:
        """Count a part; draw, unless the task is young or was drawn a moment ago."""
        self.done += 1
        now = time.perf_counter()
        if now - self.started > PATIENCE_SECONDS and now - self.refreshed > REFRESH_SECONDS:
            self.refreshed = now
            DISPLAY.show(self)

    def __call__(self, width: int) -> RenderableType:
        left = (self.total - self.done) * (self.refreshed - self.started) / max(1, self.done)
        return bar_line(self.what, self.done, self.total, [f"{self.done:,}/{self.total:,}", time_left(left)], width)


def bar_line(title: str, done: int, total: int, further: list[str], width: int) -> RenderableType:
    """Title, bar and further texts on one line; where it is narrow the first of these give way, then the bar."""
    further = list(further)
    while len(further) > 1 and columns_of([title, *further]) + 2 + SMALLEST_BAR > width:
        further.pop(0)
    room = width - columns_of([title, *further]) - 2
    texts = [Text(text, no_wrap=True, overflow="ellipsis") for text in (title, *further)]
    cells: list[RenderableType] = [*texts]
    if room >= SMALLEST_BAR:
        cells.insert(1, ProgressBar(total, done, width=min(room, LARGEST_BAR)))
    line = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    line.add_row(*cells)
    return line


def columns_of(texts: list[str]) -> int:
    """Columns that the texts take, two apart."""
    return sum(map(cell_len, texts)) + 2 * (len(texts) - 1)


def time_left(seconds: float | None) -> str:
    """'1:02:03 left', '2:03 left'; '-:-- left' where nothing is known yet."""
    if seconds is None:
        return "-:-- left"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"


def about(seconds: float) -> str:
    """'about 5 minutes': a duration as people say it."""
    for unit, length in (("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= 1.5 * length:
            return f"about {round(seconds / length)} {unit}s"
    return "a second"

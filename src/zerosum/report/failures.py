"""Why a job of a sweep has no result, from what it left in its logs."""

import re
from pathlib import Path

from zerosum.errors import printable
from zerosum.report.run_files import read_log_end

LOGS = ("console.log", "output.log")
"""Written by every run, and by jobs that are processes of their own"""
LONGEST = 400
"""Characters"""
DATED = re.compile(r"^[\d-]+ [\d:,]+ (?P<level>[A-Z]+) (?P<message>.*)$")
ERROR = re.compile(r"^(error: |[\w.]*(Error|Exception|Interrupt|Exit)\b)")
"""A line that `stop` prints, or the last of a traceback"""


def find_reason(folder: Path) -> str | None:
    """The last error in the job's logs; None if there is none."""
    for name in LOGS:
        for line in reversed(read_log_end(folder, name)):
            dated = DATED.match(line)
            if dated is not None and dated["level"] in ("ERROR", "CRITICAL"):
                return clean(dated["message"])
            if dated is None and ERROR.match(line):
                return clean(line.removeprefix("error: "))
    return None


def clean(message: str) -> str:
    """Printable, and of bounded length."""
    text = printable(message.strip())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"

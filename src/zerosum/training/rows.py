"""Reads metrics.csv, which a damaged disk or a stranger may have changed; works without torch."""

from pathlib import Path
from typing import Any

Row = dict[str, Any]

LARGEST_CSV = 2**28
"""Bytes of a metrics.csv"""


def read_rows(path: Path) -> list[Row]:
    """The rows of a metrics.csv that are not damaged; none if there is no such file."""
    if not path.is_file() or path.stat().st_size > LARGEST_CSV:
        return []
    return parse_rows(path.read_text(encoding="utf-8", errors="replace"))[1]


def parse_rows(text: str) -> tuple[list[str], list[Row], int]:
    """Columns and rows of a metrics.csv, and how many lines are damaged and left out.

    The csv module is not used: it would take everything after a stray quote for one field. Every line that was written
    whole ends in a line end and has a number, or nothing, in each column; images rise from line to line.
    """
    header, *lines = (line.rstrip("\r") for line in text.split("\n"))
    columns = header.split(",")
    rows: list[Row] = []
    if "images" not in columns or len(set(columns)) < len(columns):
        return ["images"], rows, max(1, len(lines) - 1)
    for line in lines[:-1]:
        row = parse_row(columns, line.split(","))
        if row is not None and (not rows or int(row["images"]) > int(rows[-1]["images"])):
            rows.append(row)
    return columns, rows, len([line for line in lines if line]) - len(rows)


def parse_row(columns: list[str], fields: list[str]) -> Row | None:
    """{column: text of a number, or ''}; None if the line is damaged."""
    row = dict(zip(columns, fields, strict=False))
    if len(fields) != len(columns) or not row["images"].isascii() or not row["images"].isdigit():
        return None
    try:
        for field in filter(None, fields):
            float(field)
    except ValueError:
        return None
    return row if len(row["images"]) < 20 else None

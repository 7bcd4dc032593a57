"""Attributes of images, read from a CSV file: its first column is the image's path, the others are numbers."""

import csv
import logging
import math
import posixpath
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from zerosum.data.image_files import printable_path, short_name
from zerosum.errors import UserError

log = logging.getLogger("zerosum")

LARGEST_FILE = 2**30
"""Bytes"""
LONGEST_HEADER = 2**18
"""Characters"""
MOST_ATTRIBUTES = 4_096
MOST_NAMED = 5
"""Messages name at most this many images."""
LARGEST_VALUE = 3.4e38
"""Of float32"""
LARGE = 10.0
"""Values beyond this are warned of: networks start out with numbers near 1"""


class AttributeFile:
    """A CSV file in UTF-8 whose header names the columns; each further line is an image.

    The first column is the path of the image relative to the folder of the dataset, with slashes. Rows of images that
    the folder does not have are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes, read from the first line alone."""
        with self.open() as file:
            header = file.readline(LONGEST_HEADER)
        cells = [cell.strip() for cell in next(csv.reader([header]), [])]
        self.check_header(header, cells)
        return tuple(cells[1:])

    def check_header(self, header: str, cells: Sequence[str]) -> None:
        """UserError unless the first line names a column of paths and at least one attribute, each once."""
        if len(cells) < 2:
            other = next((name for sign, name in {";": "semicolons", "\t": "tabs"}.items() if sign in header), None)
            reason = f"has columns divided by {other}" if other else "has no column of attributes in its first line"
            raise self.error(f"{reason}: save it with commas, a path and at least one attribute to a line")
        if all(number(cell) is not None for cell in cells[1:]):
            raise self.error("begins with numbers: let its first line name the columns, as in path,age,smiling")
        if len(cells) > MOST_ATTRIBUTES + 1:
            raise self.error(f"has {len(cells) - 1:,} attributes: keep at most {MOST_ATTRIBUTES:,}")
        doubled = next((name for row, name in enumerate(cells) if not name or name in cells[:row]), None)
        if doubled is not None:
            raise self.error(f"has two columns called {doubled!r}" if doubled else "has a column without a name")

    def read(self, files: Sequence[str], folder: Path) -> np.ndarray:
        """(len(files), A) float32 in the order of `files`; UserError if a row is wrong, missing or double."""
        place = {name: row for row, name in enumerate(files)}
        found = np.full((len(files), len(self.names)), np.nan, dtype=np.float32)
        lines: dict[str, int] = {}
        for line, name, values in self.rows():
            if name in lines:
                raise self.error(f"line {line}: {short_name(name)} stands in line {lines[name]} too: delete one")
            lines[name] = line
            if name in place:
                found[place[name]] = values
        self.check_complete([name for name in files if name not in lines], len(files), next(iter(lines), None), folder)
        self.warn_of_large_values(found)
        return found

    def rows(self) -> Iterator[tuple[int, str, array]]:
        """Line number, normalized path and values of each line below the header."""
        columns = len(self.names) + 1
        with self.open() as file:
            reader = csv.reader(file)
            next(reader)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != columns:
                    raise self.error(f"line {reader.line_num} has {len(cells)} columns, the first line {columns}")
                values = array(
                    "f", (self.value(reader.line_num, *pair) for pair in zip(self.names, cells[1:], strict=True))
                )
                yield reader.line_num, posixpath.normpath(cells[0].strip()), values

    def value(self, line: int, name: str, cell: str) -> float:
        """The number in a cell; UserError names the line and the column if there is none."""
        found = number(cell)
        if found is None or not abs(found) <= LARGEST_VALUE:
            wrong = f"{short_name(cell)!r} is no finite number" if cell.strip() else "the cell is empty"
            raise self.error(f"line {line}, column {short_name(name)}: {wrong}: write one, such as 0 or 0.5")
        return found

    def check_complete(self, missing: Sequence[str], count: int, listed: str | None, folder: Path) -> None:
        """UserError that names some of the images without a row."""
        if not missing:
            return
        named = ", ".join(short_name(name) for name in islice(missing, MOST_NAMED))
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        example = "" if listed is None else f"; its own first path is {short_name(listed)}"
        raise self.error(
            f"has no row for {len(missing):,} of {count:,} images in {printable_path(folder)}, {named}{more}: add them"
            f" by their paths relative to that folder{example}"
        )

    def warn_of_large_values(self, found: np.ndarray) -> None:
        """Log the largest value where it is so large that it would drown z."""
        largest = np.abs(found).max(0)
        if largest.max() > LARGE:
            column = int(largest.argmax())
            log.warning(
                "Attribute %s has values up to %g, and networks are told the numbers as they are: bring each column to"
                " about -1 to 1",
                short_name(self.names[column]),
                largest[column],
            )

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """The file as text; whatever is wrong with it as a whole is a UserError."""
        try:
            if not self.path.is_file():
                raise self.error("is no file" if self.path.exists() else "does not exist")
            if self.path.stat().st_size > LARGEST_FILE:
                raise self.error(f"has more than {LARGEST_FILE:,} bytes: keep only the columns and images you need")
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise self.error("is not UTF-8 text: save it as CSV in UTF-8") from error
        except csv.Error as error:
            raise self.error(f"is no CSV file ({error}): save it as CSV in UTF-8") from error
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror}): make it readable") from error

    def error(self, problem: str) -> UserError:
        """A UserError that begins with the option and the file."""
        return UserError(f"dataset.attributes={printable_path(self.path)} {problem}")


def number(cell: str) -> float | None:
    """The number that a cell holds; None if it holds none, or NaN."""
    try:
        found = float(cell)
    except ValueError:
        return None
    return None if math.isnan(found) else found

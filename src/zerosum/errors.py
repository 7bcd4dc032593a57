"""Errors that a user can fix are raised as UserError and shown without a traceback."""

import difflib
import inspect
import logging
from collections.abc import Iterable


class UserError(ValueError):
    """A message of one sentence, on one line, that says what is wrong and how to fix it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class UnmeasurableError(UserError):
    """A metric cannot be measured here; the others are measured, and the card gives the reason."""


class DivergedError(UserError):
    """Training cannot continue from here; from an earlier checkpoint it may."""


def printable(text: str) -> str:
    """Escape line ends, terminal control sequences and invalid characters: names come from files of strangers."""
    if text.isprintable():  # at once, also of a picture's hundred thousand characters
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def make_record_printable(record: logging.LogRecord) -> bool:
    """A filter for log handlers: escapes each message and keeps every record.

    zerosum logs one line at a time, so a line end in its messages comes from a name; libraries log several lines.
    """
    lines = [record.getMessage()]
    if record.name.partition(".")[0] != "zerosum":
        lines = lines[0].split("\n")
    record.msg = "\n".join(printable(line) for line in lines)
    record.args = None
    return True


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory could not be allocated, of the computer or of a GPU: torch raises a RuntimeError for both."""
    texts = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def one_line(error: BaseException) -> str:
    """An exception's message on one line of at most 200 characters, or its type if it has no message."""
    message = " ".join(str(error).split()) or type(error).__name__
    return message if len(message) <= 200 else f"{message[:199]}…"


def short(value: object) -> str:
    """A value that somebody gave, in at most 60 characters: it may be a number of thousands of digits."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def check_positive(group: str, /, **options: float) -> None:
    """UserError at the first option that is less than 1."""
    check_at_least(group, 1, **options)


def check_at_least(group: str, least: float, /, **options: float) -> None:
    """UserError at the first option that is less than `least`."""
    for name, value in options.items():
        if not value >= least:
            raise UserError(f"{group}.{name}={value}: choose {least} or more")


def check_has(part: object, path: str, *names: str) -> None:
    """UserError if an object that the config names lacks an attribute of its contract."""
    for name in names:
        # Looked up without evaluating properties: those of a dataset read its files.
        if inspect.getattr_static(part, name, None) is None and not hasattr(part, name):
            raise UserError(
                f"{path}: {type(part).__name__} has no `{name}`: docs/extending.md shows what a part of this kind needs"
            )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean a or b?' with the known words most similar to `word`, '' if none is similar."""
    near = difflib.get_close_matches(word, dict.fromkeys(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""

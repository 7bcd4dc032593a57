"""What a person can mend is raised as a UserError and shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """One sentence, on one line, that says what is wrong and what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """The text with an escape for what would end the line, steer a terminal or not encode: names come from files."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def one_line(error: Exception) -> str:
    """What another library's error says, in at most 200 characters."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 200 else f"{said[:199]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean a or b?' for the known words nearest to `word`, '' where none is near."""
    near = difflib.get_close_matches(word, dict.fromkeys(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""

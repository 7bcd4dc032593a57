"""What a person can mend is raised as a UserError and shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """One sentence that says what is wrong and what to do about it."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean a or b?' for the known words nearest to `word`, '' where none is near."""
    near = difflib.get_close_matches(word, dict.fromkeys(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(near)}?" if near else ""

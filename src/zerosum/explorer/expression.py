"""Arithmetic in words, such as 'thick 3 - thin 3 + thin 8': terms with signs, and what they should give."""

from collections import Counter
from dataclasses import dataclass

from zerosum.errors import UserError, did_you_mean
from zerosum.explorer.attributes import WORDS
from zerosum.explorer.options import SIGNS


@dataclass(frozen=True)
class Term:
    """Samples of one class, or of any, with much or little of some attributes."""

    sign: int
    text: str
    label: int | None
    attributes: dict[str, int]
    """1 for much, -1 for little"""


@dataclass(frozen=True)
class Goal:
    """What an expression should give: a class, and directions of attributes; empty where it says nothing of them."""

    label: int | None
    attributes: dict[str, int]

    def describe(self, classes: tuple[str, ...]) -> str:
        """As in 'thick 8'."""
        words = [word for name, sign in self.attributes.items() for word, pair in WORDS.items() if pair == (name, sign)]
        label = [] if self.label is None else [classes[self.label]]
        return " ".join([*dict.fromkeys(words[:1]), *label]) or "nothing"


def parse(text: str, classes: tuple[str, ...]) -> list[Term]:
    """The terms, in order; signs stand between spaces."""
    pieces = SIGNS.split(text.strip())
    signs = [1] + [1 if sign == "+" else -1 for sign in pieces[1::2]]
    return [parse_term(sign, piece, classes) for sign, piece in zip(signs, pieces[::2], strict=True)]


def parse_term(sign: int, text: str, classes: tuple[str, ...]) -> Term:
    """Words of attributes, then the name or the number of a class; either may be missing."""
    attributes = {}
    words = text.split()
    while words and words[0] in WORDS:
        name, direction = WORDS[words.pop(0)]
        attributes[name] = direction
    rest = " ".join(words)
    names = [each.lower() for each in classes]
    if not rest and attributes:
        return Term(sign, text, None, attributes)
    if rest.lower() in names:
        return Term(sign, text, names.index(rest.lower()), attributes)
    if rest.isdigit() and int(rest) < len(classes):
        return Term(sign, text, int(rest), attributes)
    raise UserError(
        f"'{text}' is no term: say words of {', '.join(WORDS)}, then a class of {', '.join(classes[:12])}."
        f"{did_you_mean(rest, [*WORDS, *classes])}"
    )


def find_goal(terms: list[Term]) -> Goal:
    """The sum of the terms' labels where one is left over, and the signs of the sums of their attributes."""
    labels: Counter[int] = Counter()
    attributes: Counter[str] = Counter()
    for term in terms:
        if term.label is not None:
            labels[term.label] += term.sign
        for name, direction in term.attributes.items():
            attributes[name] += term.sign * direction
    left = {label: count for label, count in labels.items() if count}
    label = next(iter(left)) if list(left.values()) == [1] else None
    return Goal(label, {name: (1 if total > 0 else -1) for name, total in attributes.items() if total})


def check_goal(text: str, terms: list[Term]) -> Goal:
    """The goal; UserError where the terms cancel one another."""
    totals: Counter[tuple[int | None, tuple[tuple[str, int], ...]]] = Counter()
    for term in terms:
        totals[term.label, tuple(sorted(term.attributes.items()))] += term.sign
    if not any(totals.values()):
        raise UserError(f"'{text}': the terms cancel one another, and nothing is left: add one that does not")
    return find_goal(terms)

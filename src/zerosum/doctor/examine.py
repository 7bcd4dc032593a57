"""Examine a run: every rule, its sentence and its advice."""

from dataclasses import replace

from zerosum.doctor.advice import format_sentence, suggest
from zerosum.doctor.case import Case
from zerosum.doctor.rules import find
from zerosum.evaluation.finding import Finding


def examine(case: Case) -> list[Finding]:
    """What holds of the run now."""
    images = case.history.images
    return [
        Finding(name, format_sentence(name, case, found), suggest(name, case, found), found, images, images)
        for name, found in find(case).items()
    ]


def merge(before: list[Finding], now: list[Finding]) -> list[Finding]:
    """Findings of the whole run: those that hold now with the time since when, and those that no longer do."""
    known = {finding.name: finding for finding in before}
    current = {found.name: replace(found, since=known.get(found.name, found).since) for found in now}
    return [*(known | current).values()]

"""Counts what happens to damaged run folders: refused, opened as they were, or anything else.

    python benchmarks/fuzz.py            1,000 damaged files of each kind, a table to benchmarks/results/
    python benchmarks/fuzz.py 50 7       50 of each kind, by the seed 7

The damage is that of tests/damage.py, drawn by Hypothesis. Everything that reads a file opens it: `load`,
`load_dataset`, the checks before `resume=`, `compare.py`, the logger of curves. Refused: each raised a UserError.
As it was: the others got the weights of the undamaged file, bit for bit. If resuming passes its checks, every fifth run
is resumed for one step, which must end or be refused. Anything else is another outcome, and is listed.
"""

import logging
import os
import platform
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import damaged_runs  # noqa: E402

from zerosum.errors import UserError  # noqa: E402
from zerosum.runs.resume import resume  # noqa: E402

OUTCOMES = ("refused", "as it was", "other")
RESUMED = 5
"""Every fifth run that may be resumed is"""


def main(examples: int = 1000, number: int = 0) -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    place = Path(tempfile.mkdtemp())
    os.chdir(place)
    folder, start = damaged_runs.Folder(place), time.perf_counter()
    counts: dict[str, Counter[str]] = {}
    others: list[str] = []
    for kind in damaged_runs.KINDS:
        counts[kind] = count(kind, folder, examples, number, others)
        print(kind, dict(counts[kind]), flush=True)
    text = report(counts, others, number, time.perf_counter() - start)
    path = ROOT / "benchmarks" / "results" / f"fuzz_cpu{os.cpu_count()}_{date.today()}.md"
    path.write_text(text, encoding="utf-8")
    print(f"{text}\nwritten to {path}")


def count(kind: str, folder: damaged_runs.Folder, examples: int, number: int, others: list[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    name, change = damaged_runs.KINDS[kind]

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def example(data: Any) -> None:
        content = change(data.draw, folder)
        outcomes: dict[str, str] = {}
        counts[watch(lambda: summarize(outcomes, folder.opened(name, content)), kind, others)] += 1
        counts["resumable"] += outcomes.get("resume") == "equal"
        if outcomes.get("resume") == "equal" and counts["resumable"] % RESUMED == 0:
            counts[f"resumed, {watch(lambda: resume_once(folder.run), kind, others)}"] += 1

    example()
    return counts


def watch(attempt: Callable[[], str], kind: str, others: list[str]) -> str:
    try:
        found = attempt()
    except Exception as error:  # whatever it is, it is listed
        others.append(f"{kind}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        return "other"
    if found == "other":
        others.append(f"{kind}: opened as something else")
    return found


def summarize(outcomes: dict[str, str], found: dict[str, str]) -> str:
    outcomes.update(found)
    if "wrong" in outcomes.values():
        return "other"
    return "refused" if set(outcomes.values()) == {"refused"} else "as it was"


def resume_once(run: Path) -> str:
    try:
        resume(run, [f"run.images={damaged_runs.IMAGES + 16}"])
    except UserError:
        return "refused"
    return "as it was"


def report(counts: dict[str, Counter[str]], others: list[str], number: int, seconds: float) -> str:
    tried = {kind: sum(found[name] for name in OUTCOMES) for kind, found in counts.items()}
    trained = {name: sum(found[f"resumed, {name}"] for found in counts.values()) for name in OUTCOMES}
    rows = [[kind, tried[kind], *(found[name] for name in OUTCOMES)] for kind, found in counts.items()]
    rows.append(["all", sum(tried.values()), *(sum(found[name] for found in counts.values()) for name in OUTCOMES)])
    return "\n".join(
        [
            "# Damaged run folders",
            "",
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; torch {torch.__version__};"
            f" seed {number}; {seconds / 60:.0f} minutes,"
            f" at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB; {date.today()}.",
            f"Made by `python benchmarks/fuzz.py {max(tried.values())} {number}`, which says what the columns are.",
            "",
            "| damage to | files | refused | opened as it was | other outcomes |",
            "|---|---:|---:|---:|---:|",
            *(f"| {row[0]} | {' | '.join(f'{value:,}' for value in row[1:])} |" for row in rows),
            "",
            f"Resuming passed its checks {sum(found['resumable'] for found in counts.values()):,} times, and"
            f" {sum(trained.values()):,} of these were resumed for a step: {trained['as it was']:,} ended,"
            f" {trained['refused']:,} were refused, {trained['other']:,} had another outcome.",
            *(["", *(f"- {other}" for other in dict.fromkeys(others))] if others else []),
            "",
        ]
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

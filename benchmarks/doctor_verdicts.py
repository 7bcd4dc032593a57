"""Judge the doctor by runs with planted faults and by healthy ones: docs/doctor.md and a file in results/."""

import json
import platform
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doctor_runs import Run, read_all
from planted import FAULTS

from zerosum.doctor import rules

ROOT = Path(__file__).parents[1]
SWEPT: dict[str, tuple[str, tuple[float, ...]]] = {
    "discriminator_too_strong": ("CERTAIN", (0.9, 0.95, 0.98, 0.99, 0.999, 1.0)),
    "discriminator_too_weak": ("CHANCE", (0.3, 0.5, 0.55, 0.6, 0.7, 0.8)),
    "vanishing_gradient": ("VANISHED", (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)),
    "collapse": ("UNIFORM", (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)),
    "memorization": ("BY_HEART", (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)),
    "oscillation": ("SWING", (0.1, 0.2, 0.3, 0.4, 0.6, 0.8)),
    "explosion": ("GREAT_LOGIT", (20, 50, 100, 200, 500, 1000)),
    "learning_rate_too_high": ("STRIDE", (0.02, 0.03, 0.05, 0.1, 0.2, 0.4)),
    "rising": ("WORSE", (1.1, 1.2, 1.5, 2.0, 3.0, 5.0)),
    "batch_leak": ("LEAK", (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)),
}
"""{finding: (its threshold in rules.py, values to try)}"""
CHOSEN_BY = {"digits": range(5), "mnist": range(2), "ring": range(1)}
"""Seeds of the runs that were looked at when the thresholds were chosen, by dataset"""


@contextmanager
def threshold(name: str, value: float) -> Iterator[None]:
    """Judge by another threshold."""
    usual = getattr(rules, name)
    setattr(rules, name, value)
    try:
        yield
    finally:
        setattr(rules, name, usual)


def damage_at(run: Run, well: list[Run]) -> int | None:
    """Images at the first evaluation whose metric is worse than twice that of the worst healthy run by then.

    A metric that rises is damaged where it is less than half of the worst healthy one.
    """
    factor = 2.0 if run.lower_is_better else 0.5
    worst = max if run.lower_is_better else min
    for images, values in run.rows[1:]:
        value = values.get(f"quality/{run.metric}")
        bound = factor * worst(other.quality(images) for other in well) if value is not None else 0.0
        if value is not None and (value > bound if run.lower_is_better else value < bound):
            return images
    return None


def judge_finding(finding: str, runs: list[Run], well: list[Run]) -> dict[str, Any]:
    """How often the planted fault is found, and how long before the metric shows it."""
    found = [(run, run.first(finding)) for run in runs]
    leads = [damage - at for run, at in found if at is not None and (damage := damage_at(run, well)) is not None]
    return {**count(finding, runs, well), "median_lead": statistics.median(leads) if leads else None}


def count(finding: str, runs: list[Run], well: list[Run]) -> dict[str, Any]:
    """How many of the runs with the planted fault are found, and how many healthy ones are blamed for it."""
    detected, alarms = (sum(run.first(finding) is not None for run in side) for side in (runs, well))
    return {"planted": len(runs), "detected": detected, "alarms": alarms, "healthy": len(well)}


def judge(runs: list[Run]) -> dict[str, Any]:
    """Every finding on every dataset, and its threshold's trade-off."""
    seeds = [run for run in runs if run.name != "restarted"]
    verdicts: dict[str, Any] = {}
    for finding, (name, tried) in SWEPT.items():
        verdicts[finding] = {"threshold": name, "value": getattr(rules, name), "by_dataset": {}, "trade_off": {}}
        for dataset in FAULTS:
            planted = [run for run in seeds if run.dataset == dataset and run.setting == finding]
            well = [run for run in seeds if run.dataset == dataset and not run.is_planted]
            if planted and well:
                verdicts[finding]["by_dataset"][dataset] = judge_finding(finding, planted, well)
                unseen = [[run for run in side if is_unseen(run)] for side in (planted, well)]
                verdicts[finding]["by_dataset"][dataset]["unseen"] = count(finding, *unseen)
        everywhere = [run for run in seeds if run.setting == finding]
        healthy = [run for run in seeds if not run.is_planted]
        for value in tried:
            with threshold(name, value):
                counts = [sum(run.first(finding) is not None for run in side) for side in (everywhere, healthy)]
            verdicts[finding]["trade_off"][f"{value:g}"] = [*counts, len(everywhere), len(healthy)]
    sums = {"all": add_up(seeds), "unseen": add_up([run for run in seeds if is_unseen(run)])}
    return {"findings": verdicts, "sums": sums, "restarts": judge_restarts(runs), "alarms": list_alarms(seeds)}


def add_up(runs: list[Run]) -> dict[str, int]:
    """Planted faults, how many are found, healthy runs, and how many are blamed for anything."""
    planted, well = [run for run in runs if run.is_planted], [run for run in runs if not run.is_planted]
    found = sum(run.first(run.setting) is not None for run in planted)
    blamed = sum(any(run.first(finding) is not None for finding in rules.RULES) for run in well)
    return {"planted": len(planted), "detected": found, "healthy": len(well), "blamed": blamed}


def is_unseen(run: Run) -> bool:
    """Whether no threshold was chosen by it."""
    return int(run.name) not in CHOSEN_BY[run.dataset]


def judge_restarts(runs: list[Run]) -> list[dict[str, Any]]:
    """Best and last value of each restarted run beside those of the sick one."""
    table = {(run.dataset, run.setting, run.name): run for run in runs}
    return [
        {
            "dataset": run.dataset,
            "fault": run.setting,
            "metric": run.metric,
            "sick": [table[run.dataset, run.setting, "0"].best, table[run.dataset, run.setting, "0"].last],
            "restarted": [run.best, run.last],
        }
        for run in runs
        if run.name == "restarted"
    ]


def list_alarms(runs: list[Run]) -> list[str]:
    """Every finding in a healthy run."""
    return [
        f"{run.dataset} {run.setting} seed {run.name}: {finding} at {at:,} images"
        for run in runs
        if not run.is_planted
        for finding in rules.RULES
        if (at := run.first(finding)) is not None
    ]


def write_page(outputs: Path) -> None:
    """Write the results, and the tables into docs/doctor.md."""
    verdict = judge(read_all(outputs))
    day = datetime.now(UTC).date().isoformat()
    text = json.dumps({"machine": f"{platform.machine()}, {day}", **verdict}, indent=1)
    (ROOT / "benchmarks" / "results" / f"doctor_cpu2_{day}.json").write_text(f"{text}\n", encoding="utf-8")
    page = ROOT / "docs" / "doctor.md"
    before, _, after = page.read_text(encoding="utf-8").partition(
        "<!-- tables: python benchmarks/doctor.py judge -->\n"
    )
    after = after.partition("<!-- end -->")[2]
    tables = "\n".join(format_tables(verdict))
    page.write_text(
        f"{before}<!-- tables: python benchmarks/doctor.py judge -->\n{tables}\n<!-- end -->{after}", encoding="utf-8"
    )


def format_tables(verdict: dict[str, Any]) -> Iterator[str]:
    """Detection, trade-offs, restarts and false alarms, as Markdown."""
    yield "| finding | data | detected | of unseen runs | false alarms | of unseen runs | median lead, images |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for finding, found in verdict["findings"].items():
        for dataset, counts in found["by_dataset"].items():
            lead = "–" if counts["median_lead"] is None else f"{counts['median_lead']:,.0f}"
            cells = [
                f"{each[found]} of {each[of]}" if each[of] else "–"
                for found, of in (("detected", "planted"), ("alarms", "healthy"))
                for each in (counts, counts["unseen"])
            ]
            yield f"| `{finding}` | {dataset} | {' | '.join(cells)} | {lead} |"
    yield ""
    for name, sums in verdict["sums"].items():
        share = sums["detected"] / max(sums["planted"], 1)
        yield (
            f"Of {name} runs: {sums['detected']} of {sums['planted']} planted faults found ({share:.0%}),"
            f" {sums['blamed']} of {sums['healthy']} healthy runs blamed."
        )
        yield ""
    yield "Each threshold: planted runs found, healthy runs blamed, of all datasets; the value in use is bold."
    yield ""
    yield "| finding | threshold | trade-off |"
    yield "| --- | --- | --- |"
    for finding, found in verdict["findings"].items():
        parts = []
        for value, (true, false, planted, healthy) in found["trade_off"].items():
            mark = "**" if float(value) == found["value"] else ""
            parts.append(f"{mark}{value}: {true}/{planted}, {false}/{healthy}{mark}")
        yield f"| `{finding}` | {found['threshold']} | {'; '.join(parts)} |"
    yield ""
    yield "| data | fault | metric | sick: best, last | restarted with the advice: best, last |"
    yield "| --- | --- | --- | ---: | ---: |"
    for row in verdict["restarts"]:
        sick, again = (", ".join(f"{value:.4g}" for value in row[side]) for side in ("sick", "restarted"))
        yield f"| {row['dataset']} | `{row['fault']}` | {row['metric']} | {sick} | {again} |"
    yield ""
    yield "False alarms: " + ("; ".join(verdict["alarms"]) or "none") + "."

"""Ten findings: what each looks like in the curves of a run.

Each rule returns the numbers that show the problem, or None. `benchmarks/doctor.py` plants every fault and measures how
often these thresholds find it and how often they cry wolf; docs/doctor.md has the table.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean, median

from zerosum.doctor.case import Case

Evidence = dict[str, float]
Rule = Callable[[Case], Evidence | None]

READ = (
    *("game/separation/", "game/gradient_norm/generator", "game/overfitting/r_v", "game/logits/greatest"),
    *("game/update_ratio/", "game/batch_leak", "quality/diversity", "quality/classes_missing"),
    *("quality/nearer_to_train", "quality/nearest/"),
)
"""Names of the values that rules read beside the main metric, or how such names begin"""
LAST = 3
"""A problem must show in this many successive measurements"""
CERTAIN = 0.99
"""A separation of real from fake, 1/2 is chance, that leaves G hardly any sample that D doubts"""
CHANCE = 0.6
"""A separation near chance"""
SLOW = 0.1
"""Of the way that was left, in three measurements: in healthy runs D is certain too at first, but samples get better"""
GOOD, POOR = 0.9, 0.5
"""Progress from the untrained model, 0, to real data, 1"""
VANISHED = 0.1
"""Of the greatest gradient so far"""
UNIFORM = 0.1
"""Diversity over the data's"""
GROWTH = 1.5
"""Times its value two measurements ago: samples that spread, or classes that come, this fast have not collapsed"""
MOST_MISSING, FEW = 2, 0.05
"""Classes, and that part of all: of 1,000 some are rare for long"""
BY_HEART = 0.6
"""r_v; Karras et al. 2020 start to augment at 0.5"""
COPIES = 0.8
"""Share of samples nearer to training than to held-out images; 1/2 is chance"""
NEAR = 0.7
"""Of the distance to held-out images: samples that are like no image are about as far from both"""
SWINGS, SWING = 5, 0.2
"""Successive changes, and their median size in units of log FID or of progress"""
GREAT_LOGIT = 50.0
STRIDE = 0.1
"""Of the weights' norm, moved in one step; 0.001 to 0.02 is usual"""
LEAP = 0.5
"""As much in any single step, such as Adam's first, which moves each weight by the learning rate"""
WORSE, LOST = 1.5, 0.2
"""Times the best, of a value that should fall; progress lost, of one that should rise"""
LONG_AFTER = 0.25
"""Of the images seen"""
LEAK, LEAKING = 0.4, 0.3
"""Separation that D owes to the other images of its batch; and progress, as for SLOW: healthy runs leak and get on"""


def separation_of(case: Case) -> list[float]:
    """How well D tells new real images from fakes; training images stand in where none are held out."""
    return case.history.values("game/separation/held_out") or case.history.values("game/separation/train")


def discriminator_too_strong(case: Case) -> Evidence | None:
    """D is right about nearly every image while the samples are bad and hardly get better."""
    separation, progress = separation_of(case)[-LAST:], case.progress
    if len(separation) < LAST or min(separation) < CERTAIN or len(progress) <= LAST or progress[-1] > GOOD:
        return None
    gain = recent_gain(case)
    return {"separation": separation[-1], "progress": progress[-1], "gain": gain} if gain < SLOW else None


def recent_gain(case: Case) -> float:
    """How far the metric has come since `LAST` measurements ago, as a part of the way that was left."""
    before, now = case.progress[-LAST - 1], case.progress[-1]
    return (now - before) / max(1 - before, 1e-9)


def discriminator_too_weak(case: Case) -> Evidence | None:
    """D cannot tell samples from real images although they are bad."""
    separation, progress = case.history.last("game/separation/train", LAST), case.progress[-LAST:]
    if len(progress) < LAST or not separation or max(separation) > CHANCE or max(progress) > POOR:
        return None
    return {"separation": separation[-1], "progress": progress[-1]}


def vanishing_gradient(case: Case) -> Evidence | None:
    """G's gradient is a small part of what it was, and D is nearly certain."""
    norms = case.history.moving_median("game/gradient_norm/generator", LAST)
    separation = separation_of(case)[-LAST:]
    if not norms or len(separation) < LAST or min(separation) < 0.9 or norms[-1] > VANISHED * max(norms):
        return None
    return {"gradient_norm": norms[-1], "greatest": max(norms), "separation": separation[-1]}


def collapse(case: Case) -> Evidence | None:
    """The samples are nearly one, or whole classes are missing."""
    diversity = case.history.last("quality/diversity", LAST + 1)[1:]  # that of the untrained model says nothing
    spread = bool(diversity) and diversity[-1] > GROWTH * diversity[0]
    missing, shares = (
        case.history.last(f"quality/{name}", LAST + 1)[1:] for name in ("classes_missing", "classes_missing_share")
    )
    come = bool(missing) and missing[0] > GROWTH * missing[-1]
    if spread:
        return None
    if diversity and max(diversity) < UNIFORM:
        return {"diversity": diversity[-1]}
    if missing and not come and min(missing) >= MOST_MISSING and min(shares, default=1.0) >= FEW:
        return {"classes_missing": missing[-1]}
    return None


def memorization(case: Case) -> Evidence | None:
    """D knows its training images by heart, or the samples are copies of them."""
    known = case.history.last("game/overfitting/r_v", LAST)
    if known and min(known) > BY_HEART:
        return {"r_v": known[-1]}
    copied = case.history.last("quality/nearer_to_train", LAST)
    distances = [case.history.last(f"quality/nearest/{split}", LAST) for split in ("train", "held_out")]
    ratios = [train / max(held_out, 1e-12) for train, held_out in zip(*distances, strict=False)]
    if copied and min(copied) > COPIES and max(ratios, default=1.0) < NEAR:
        return {"nearer_to_train": copied[-1], "distance_ratio": ratios[-1]}
    return None


def oscillation(case: Case) -> Evidence | None:
    """The metric goes up and down by large steps."""
    changes = changes_of(case)[-SWINGS:]
    turns = sum(first * second < 0 for first, second in pairwise(changes))
    if len(changes) < SWINGS or turns < 2 or median(map(abs, changes)) < SWING:
        return None
    return {"mean_change": fmean(map(abs, changes)), "turns": float(turns)}


def changes_of(case: Case) -> list[float]:
    """Successive changes of log(value) if it should fall and is positive, else of progress."""
    values = [value for _, value in case.quality]
    if case.lower_is_better and values and min(values) > 0:
        return [math.log(second) - math.log(first) for first, second in pairwise(values)]  # a quotient may be 0
    return [second - first for first, second in pairwise(case.progress)]


def explosion(case: Case) -> Evidence | None:
    """D's logits are very large."""
    logits = case.history.last("game/logits/greatest", LAST)
    return {"logits": logits[-1]} if logits and min(logits) > GREAT_LOGIT else None


def learning_rate_too_high(case: Case) -> Evidence | None:
    """A step moves the weights by a large part of their norm; one alone may have ruined them."""
    found = {}
    for name in case.settings.learning_rates:
        if name == "discriminator" and "clip" in case.settings.regularizers:
            continue  # clipping moves its weights too
        ratios = case.history.values(f"game/update_ratio/{name}")
        if max(ratios, default=0.0) > LEAP or (len(ratios) >= LAST and min(ratios[-LAST:]) > STRIDE):
            found[f"update_ratio_{name}"] = max(ratios)
    return found or None


def rising(case: Case) -> Evidence | None:
    """The metric has been worse than its best for a long time."""
    points = case.quality
    if len(points) <= LAST:
        return None
    values, sign = [value for _, value in points], 1 if case.lower_is_better else -1
    best = min(range(len(values)), key=lambda index: sign * values[index])
    if (
        not best
        or points[-1][0] - points[best][0] < LONG_AFTER * points[-1][0]
        or not all(is_worse(case, best, values))
    ):
        return None
    return {"best": values[best], "best_images": float(points[best][0]), "last": values[-1]}


def is_worse(case: Case, best: int, values: list[float]) -> list[bool]:
    """Whether each of the last values is clearly worse than the best."""
    if case.lower_is_better and values[best] > 0:
        return [value > WORSE * values[best] for value in values[-LAST:]]
    progress = case.progress
    return [value < progress[best] - LOST for value in progress[-LAST:]]


def batch_leak(case: Case) -> Evidence | None:
    """D tells batches apart rather than images, and the samples get better slowly."""
    leaks = case.history.last("game/batch_leak", LAST)
    if not leaks or min(leaks) < LEAK or len(case.progress) <= LAST or recent_gain(case) > LEAKING:
        return None
    return {"batch_leak": leaks[-1], "gain": recent_gain(case)}


PATIENCE = 0.25
"""Of the budget, before which a game that has hardly begun may look like these"""
OF_BEGINNINGS = ("discriminator_too_strong", "discriminator_too_weak", "vanishing_gradient", "collapse")

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(learning_rate_too_high, discriminator_too_strong, discriminator_too_weak, vanishing_gradient, collapse),
        *(memorization, oscillation, explosion, rising, batch_leak),
    )
}
"""Every finding by its name"""

CAUSED_BY_RATE = (*OF_BEGINNINGS, "oscillation", "explosion", "rising")
"""Findings that are not made beside learning_rate_too_high, which may explain each of them"""


def find(case: Case) -> dict[str, Evidence]:
    """Every finding that holds now, with its numbers."""
    is_early = case.history.images < PATIENCE * case.budget
    found = {name: rule(case) for name, rule in RULES.items() if not (is_early and name in OF_BEGINNINGS)}
    hidden = CAUSED_BY_RATE if found["learning_rate_too_high"] else ()
    return {name: evidence for name, evidence in found.items() if evidence is not None and name not in hidden}

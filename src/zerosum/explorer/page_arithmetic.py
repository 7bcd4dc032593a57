"""The part of explorer.html that shows arithmetic on means of codes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from zerosum.errors import UserError
from zerosum.explorer.arithmetic import Arithmetic, Sums, check_labelled, is_analogy, say
from zerosum.explorer.expression import Goal
from zerosum.explorer.sprites import make_sheet
from zerosum.explorer.subject import Subject
from zerosum.report.html import Markup, element, join

EXEMPLARS = 9
SHEET = 85_000
"""Bytes of one grid of exemplars"""


def show_arithmetic(subject: Subject, expressions: Sequence[str], seed: int, data: dict[str, Any]) -> Markup:
    """Exemplars of every term, results, and how many of them are judged to be the goal; two usual ones unless asked."""
    try:
        asked = expressions or usual_expressions(subject)
        shown = [show_expression(subject, expression, seed, data) for expression in asked]
    except UserError as error:
        if expressions:
            raise
        return element("p", f"Left out: {error}.", class_="quiet")
    return join(*shown)


def show_expression(subject: Subject, expression: str, seed: int, data: dict[str, Any]) -> Markup:
    """One expression."""
    classes = subject.classes or ()
    sums = Arithmetic(expression, seed=seed)
    found = sums.solve(subject)
    images = subject.model.decode(found.codes, found.condition)
    shares = sums.judge(subject, found, images)
    data["arithmetic"].append({"expression": expression, "goal": found.goal.describe(classes), **shares})
    figures = [figure(shown, caption) for caption, shown in show_terms(found)]
    figures.append(figure(images[:EXEMPLARS], f"= {found.goal.describe(classes)}?"))
    if is_analogy(found.terms):
        start = found.terms[2].text
        steps = sums.follow_direction(subject, found.pool, found.groups)
        figures += [figure(each[:EXEMPLARS], f"{start} + {s:g} x difference") for s, each in steps.items() if s]
    text = (
        f"{sums.trials} sums of means of {len(found.terms)} exemplars each:"
        f" {explain(shares['result'], found.goal, classes)}. For comparison, {found.terms[-1].text} alone:"
        f" {say(shares['last_term_alone'])}; any samples: {say(shares['any_sample'])}."
    )
    return join(element("h3", expression), element("div", *figures, class_="sums"), element("p", text))


def show_terms(found: Sums) -> list[tuple[str, Tensor]]:
    """A caption and some exemplars (N, C, H, W) of every term."""
    signs = {1: "+", -1: "-"}
    return [
        (f"{signs[term.sign] if number else ''} {term.text}".strip(), found.pool.images[rows.flatten()[:EXEMPLARS]])
        for number, (term, rows) in enumerate(zip(found.terms, found.exemplars, strict=True))
    ]


def explain(shares: dict[str, float], goal: Goal, classes: tuple[str, ...]) -> str:
    """What the shares mean, in words."""
    if not shares:
        return say(shares)
    parts = [] if goal.label is None else [f"a classifier sees {classes[goal.label]} in {shares['class']:.0%}"]
    sides = {1: "more", -1: "less"}
    for name, sign in goal.attributes.items():
        parts.append(f"{sides[sign]} {name} than the median of them in {shares[name]:.0%}")
    return ", ".join([*parts, f"all of it in {shares['all']:.0%}"])


def figure(images: Tensor, caption: str) -> Markup:
    """A still grid of up to nine images."""
    sheet = make_sheet(images, 3, SHEET)
    picture = element("img", src=sheet["source"], alt=caption, width=3 * sheet["width"], height=3 * sheet["height"])
    return element("figure", picture, element("figcaption", caption))


def usual_expressions(subject: Subject) -> list[str]:
    """Two that show what arithmetic can do, of classes that the data have; UserError where there is no arithmetic."""
    check_labelled(subject.model)
    classes = subject.dataset.classes or ()
    if len(classes) < 2:
        raise UserError("arithmetic needs data with labels")
    one, other = (3, 8) if len(classes) > 8 else (0, 1)
    much, little = ("thick", "thin") if subject.dataset.channels == 1 else ("bright", "dark")
    return [f"{much} {one} - {little} {one} + {little} {other}", f"{much} {other} - {little} {other} + {little} {one}"]

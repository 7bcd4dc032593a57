"""Arithmetic on means of codes (Radford et al. 2016, section 6.3.2): 'thick 3 - thin 3 + thin 8' is a thick 8."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from zerosum.drawing.grid import add_caption, add_heading, beside, grid, save_png, stack
from zerosum.errors import UserError
from zerosum.explorer.attributes import measure_all
from zerosum.explorer.expression import Goal, Term, check_goal, parse
from zerosum.explorer.options import check_arithmetic
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.randomness import generator
from zerosum.runs.trained import TrainedModel

FEWEST = 12
"""Samples of a term, below which its mean says little"""
SHOWN = 9
STRENGTHS = (0.0, 1.0, 2.0, 3.0, 4.0)
"""Of a direction that is added to codes, in differences of two means"""


@dataclass(frozen=True)
class Pool:
    """Samples with their codes, their conditions, and what a classifier and pixels say of them."""

    codes: Tensor
    condition: Tensor | None
    """(N, K) float, for a model that is asked by label"""
    images: Tensor
    labels: Tensor
    attributes: dict[str, Tensor]

    def rows(self, term: Term) -> Tensor:
        """Samples of a term's class whose attributes lie in the upper, or lower, third of that class."""
        chosen = torch.ones(len(self.codes), dtype=torch.bool) if term.label is None else self.labels == term.label
        inside = chosen.clone()
        for name, direction in term.attributes.items():
            values = direction * self.attributes[name]
            inside &= values >= values[chosen].quantile(2 / 3) if chosen.any() else chosen
        return inside.nonzero()[:, 0]

    def median(self, name: str, label: int | None) -> Tensor:
        """Of an attribute, among samples of a class or among all."""
        values = self.attributes[name]
        return (values if label is None else values[self.labels == label]).median()


@dataclass(frozen=True)
class Sums:
    """Terms with their exemplars, and the codes (trials, D) of the sums of their means, with conditions."""

    terms: list[Term]
    goal: Goal
    pool: Pool
    groups: list[Tensor]
    """Rows of the pool that are of each term"""
    exemplars: list[Tensor]
    codes: Tensor
    condition: Tensor | None


class Arithmetic:
    """Adds and subtracts mean codes of groups of samples, and asks a classifier what the results are.

    A group is what a term of `expression` says: attributes in the upper or lower third of a class. The class is the one
    that the model is asked for, or, without labels, the one that a classifier sees. Each of `trials` results adds the
    means of as many exemplars as there are terms, so that it is as long as a code of the model. The mean difference of
    the first two terms is also added, several times, to single codes of the last.
    """

    def __init__(self, expression: str, count: int = 4000, trials: int = 200, seed: int = 0) -> None:
        check_arithmetic(expression, count, trials, seed)
        self.expression = expression
        self.count = count
        self.trials = trials
        self.seed = seed

    def __call__(self, subject: Subject) -> Found:
        """Write arithmetic.png: exemplars, results, and the direction; with shares that are judged to be the goal."""
        classes = subject.dataset.classes or ()
        found = self.solve(subject)
        images = subject.model.decode(found.codes, found.condition)
        values = {"goal": found.goal.describe(classes), **self.judge(subject, found, images)}
        picture = self.draw(found.pool, found.terms, found.exemplars, images, str(values["goal"]))
        if is_analogy(found.terms):
            steps = self.follow_direction(subject, found.pool, found.groups)
            values["direction"] = {f"{s:g}": judge(subject, found.pool, found.goal, each) for s, each in steps.items()}
            picture = stack([picture, self.draw_direction(found.terms, steps)])
        path = subject.folder / "arithmetic.png"
        save_png(picture, path)
        return Found(values, self.describe(values), [path])

    def solve(self, subject: Subject) -> Sums:
        """Find exemplars of every term, and add their means; UserError where the expression says nothing."""
        check_images(subject.model)
        check_labelled(subject.model)
        classes = subject.dataset.classes
        assert classes is not None or subject.classifier  # which says what is missing
        terms = parse(self.expression, classes or ())
        goal = check_goal(self.expression, terms)
        pool = self.make_pool(subject, sorted({term.label for term in terms if term.label is not None}))
        groups = [self.find_group(pool, term) for term in terms]
        exemplars = self.draw_exemplars(groups)
        return Sums(terms, goal, pool, groups, exemplars, *add_means(pool, terms, exemplars))

    def judge(self, subject: Subject, found: Sums, images: Tensor) -> dict[str, dict[str, float]]:
        """Shares of the results, of samples of the last term alone, and of any samples."""
        start = found.pool.images[found.groups[-1][: self.trials]]
        shown = {"result": images, "last_term_alone": start, "any_sample": found.pool.images[: self.trials]}
        return {name: judge(subject, found.pool, found.goal, each) for name, each in shown.items()}

    def make_pool(self, subject: Subject, labels: Sequence[int]) -> Pool:
        """Samples of seeds from `seed` on: of each of the labels, or of any."""
        model, seeds = subject.model, list(range(self.seed, self.seed + self.count))
        condition = model.draw_condition(seeds)
        if model.num_classes is not None:
            if labels:
                condition = torch.tensor(labels).repeat(-(-len(seeds) // len(labels)))[: len(seeds)]
            assert condition is not None
            condition = one_hot(condition.cpu(), model.num_classes).float()
        codes = model.codes(seeds, condition)
        images = model.decode(codes, condition)
        labels_of = subject.classify(images).argmax(1) if condition is None else condition.argmax(1)
        return Pool(codes, condition, images, labels_of, measure_all(images))

    def find_group(self, pool: Pool, term: Term) -> Tensor:
        """Its rows of the pool; UserError if there are too few."""
        rows = pool.rows(term)
        if len(rows) < FEWEST:
            raise UserError(
                f"'{term.text}': of {self.count:,} samples {len(rows)} are one, and {FEWEST} are needed: choose"
                " another term, or more samples"
            )
        return rows

    def draw_exemplars(self, groups: Sequence[Tensor]) -> list[Tensor]:
        """(trials, T) rows of the pool for each of the T terms."""
        random = generator(self.seed, "exemplars")
        size = (self.trials, len(groups))
        return [rows[torch.randint(len(rows), size, generator=random)] for rows in groups]

    def follow_direction(self, subject: Subject, pool: Pool, groups: Sequence[Tensor]) -> dict[float, Tensor]:
        """{strength: images of single codes of the last term, moved by so many differences of the first two means}."""
        direction = pool.codes[groups[0]].mean(0) - pool.codes[groups[1]].mean(0)
        rows = groups[-1][: self.trials]
        condition = None
        if pool.condition is not None:
            change = pool.condition[groups[0]].mean(0) - pool.condition[groups[1]].mean(0)
            condition = pool.condition[rows] + change
        return {s: subject.model.decode(pool.codes[rows] + s * direction, condition) for s in STRENGTHS}

    def draw(
        self, pool: Pool, terms: Sequence[Term], exemplars: Sequence[Tensor], images: Tensor, goal: str
    ) -> Image.Image:
        """A column of exemplars for each term, and the results beside them."""
        parts = []
        for term, rows in zip(terms, exemplars, strict=True):
            sign = {1: "+ ", -1: "- "}[term.sign] if term is not terms[0] else ""
            parts.append(add_caption(shrink(grid(pool.images[rows[:3].flatten()[:SHOWN]], 3)), f"{sign}{term.text}"))
        return beside([*parts, add_caption(shrink(grid(images[:SHOWN], 3)), f"= {goal}?")])

    def draw_direction(self, terms: Sequence[Term], steps: dict[float, Tensor]) -> Image.Image:
        """A row for each of some starts, a column for each strength."""
        columns = torch.stack([images[:5] for images in steps.values()], 1).flatten(0, 1)
        names = [f"{strength:g}" for strength in steps]
        title = f"{terms[2].text} + strength ({terms[0].text} - {terms[1].text})"
        return add_heading(grid(columns, len(steps)), names, title)

    def describe(self, values: dict) -> list[str]:
        """A line for each of what was judged."""
        names = {"result": self.expression, "last_term_alone": "the last term alone", "any_sample": "any sample"}
        lines = [f"{text}: {say(values[name])}" for name, text in names.items()]
        return [*lines, *(f"direction x {s}: {say(each)}" for s, each in values.get("direction", {}).items())]


def check_labelled(model: TrainedModel) -> None:
    """UserError at a model that is asked by something else than a label: sums of categories are none."""
    if model.conditions is not None and model.num_classes is None:
        raise UserError(
            f"arithmetic adds labels, and {model.name} is asked by codes or attributes: name a run that is asked by"
            " label or by nothing"
        )


def add_means(pool: Pool, terms: Sequence[Term], exemplars: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """(trials, D): sums of signed means of codes; conditions (trials, K) are summed as codes are."""

    def add(rows: Tensor) -> Tensor:
        pairs = zip(terms, exemplars, strict=True)
        return torch.stack([term.sign * rows[chosen].mean(1) for term, chosen in pairs]).sum(0)

    return add(pool.codes), None if pool.condition is None else add(pool.condition)


def judge(subject: Subject, pool: Pool, goal: Goal, images: Tensor) -> dict[str, float]:
    """Shares of images of the goal's class, beyond the median of that class in each attribute, and of all of it.

    Empty for a goal that says nothing, such as that of '3 + 8', which every image would reach.
    """
    if goal == Goal(None, {}):
        return {}
    right = torch.ones(len(images), dtype=torch.bool)
    shares = {}
    if goal.label is not None:
        right = subject.classify(images).argmax(1) == goal.label
        shares["class"] = float(right.double().mean())
    found = measure_all(images)
    for name, direction in goal.attributes.items():
        beyond = direction * found[name] > direction * pool.median(name, goal.label)
        shares[name] = float(beyond.double().mean())
        right = right & beyond
    return {**shares, "all": float(right.double().mean())}


def is_analogy(terms: Sequence[Term]) -> bool:
    """Whether it is a - b + c, whose difference can be added to single codes of c."""
    return [term.sign for term in terms] == [1, -1, 1]


def say(shares: dict[str, float]) -> str:
    """'class 98%, ink 90%, all 88%'."""
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) or "no class and no attribute to judge"


def shrink(picture: Image.Image) -> Image.Image:
    """Half as wide, since several stand side by side."""
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)

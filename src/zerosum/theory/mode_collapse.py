"""Mode collapse (the Helvetica scenario): the max and the min of the game exchanged, and what helps against it."""

import math
from collections.abc import Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from PIL import Image

from zerosum.drawing.density import to_picture
from zerosum.theory.modes import Moment, watch
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import COLOURS, draw_plane, panels
from zerosum.theory.trial import Trial, density_of

TROUBLES = {
    "max and min exchanged": "game.generator_steps=10",
    "too few steps of D": "game.generator_steps=3",
}
"""Ten steps of G bring it near its best answer to a D that stands still"""
REMEDIES = {
    "nothing": "",
    "R1 and R2": "regularizer=r1_r2",
    "minibatch deviation": "model.minibatch_stddev=true",
    "minibatch discrimination": "model.minibatch_discrimination=true",
    "unrolling by 3": "game.unroll=3",
    "packs of 2": "game.pack=2",
}
VARIANTS = {
    f"{trouble}, {remedy}": f"{options} {further}".strip()
    for trouble, options in TROUBLES.items()
    for remedy, further in REMEDIES.items()
}
MOMENTS = 25
SHOWN = ("nothing", "R1 and R2", "minibatch deviation", "unrolling by 3")
"""In the film"""


def late_mean(moments: list[Moment], quantity: str) -> float:
    """The mean of the last half: the last moment alone would be a matter of luck where G moves on."""
    late = [getattr(moment, quantity) for moment in moments[len(moments) // 2 :]]
    return sum(late) / len(late)


def favourites(moments: list[Moment]) -> list[int]:
    """The mode nearest to most samples, at each moment but the start, where G knows of none."""
    return [moment.favourite for moment in moments[1:]]


def count_moves(places: list[int]) -> int:
    """How often a place differs from the one before."""
    return sum(one != other for one, other in pairwise(places))


def examine(trials: Mapping[str, Trial]) -> Page:
    """Play each trouble with each remedy on the same number of real images."""
    seen = {name: watch(trial, MOMENTS) for name, trial in trials.items()}
    rows = []
    for name, moments in seen.items():
        rows += [
            Row(f"{name} (`{VARIANTS[name]}`): modes found, mean of the last half", late_mean(moments, "modes"), 8),
            Row(f"{name}: share near a mode, mean of the last half", late_mean(moments, "near"), 1 - math.exp(-4.5)),
        ]
    for name in (f"{trouble}, nothing" for trouble in TROUBLES):
        places = favourites(seen[name])
        rows += [
            Row(f"{name}: modes that most samples are nearest to, over {len(places)} moments", len(set(places))),
            Row(f"{name}: how often it is another than at the moment before", count_moves(places)),
        ]
    return Page(TITLE, EQUATION, LOOK, rows, pictures_of(seen, next(iter(trials.values()))))


def pictures_of(seen: Mapping[str, list[Moment]], trial: Trial) -> list[Picture]:
    """Modes against images, the last samples of every run, and a film of some."""
    figure, axes = panels(1, 2, 4.6, 3.2)
    for each, trouble in zip(axes, TROUBLES, strict=True):
        draw_modes(each, trouble, seen)
    axes[0].legend(fontsize=7, loc="upper left", ncols=2)
    frames = [draw_film(seen, trial, index) for index in range(1, MOMENTS + 1)]
    return [
        Picture("mode_collapse", "Modes found against images, the same games with each remedy.", [to_picture(figure)]),
        Picture(
            "mode_collapse_samples", "The last samples of every run; circles are the modes.", [draw_last(seen, trial)]
        ),
        Picture("mode_collapse_film", "Max and min exchanged: without a remedy G runs from mode to mode.", frames),
    ]


def draw_modes(axes: Axes, trouble: str, seen: Mapping[str, list[Moment]]) -> None:
    """Modes found over training with each remedy."""
    for colour, remedy in zip(COLOURS, REMEDIES, strict=False):
        moments = seen[f"{trouble}, {remedy}"]
        places = [moment.images / 1000 for moment in moments]
        axes.plot(places, [moment.modes for moment in moments], color=colour, label=remedy, linewidth=1.4)
    axes.set(title=trouble, xlabel="thousands of real images seen", ylabel="modes found", ylim=(-0.3, 11))
    axes.set_yticks(range(0, 9, 2))


def draw_last(seen: Mapping[str, list[Moment]], trial: Trial) -> Image.Image:
    """A row for each trouble, a column for each remedy."""
    figure, axes = panels(len(TROUBLES), len(REMEDIES), 1.9, 2.1)
    for each, (name, moments) in zip(axes, seen.items(), strict=True):
        draw_plane(each, density_of(trial), moments[-1].fakes, reach=2.8)
        trouble, _, remedy = name.partition(", ")
        each.set_title(f"{remedy}\n{moments[-1].modes} modes, {moments[-1].near:.0%} near", fontsize=8)
        each.set(xticks=[], yticks=[])
        if remedy == "nothing":
            each.set_ylabel(trouble, fontsize=9)
    return to_picture(figure)


def draw_film(seen: Mapping[str, list[Moment]], trial: Trial, index: int) -> Image.Image:
    """One moment of four of the games in which max and min are exchanged."""
    figure, axes = panels(1, len(SHOWN), 2.0, 2.2)
    trouble = next(iter(TROUBLES))
    for each, remedy in zip(axes, SHOWN, strict=True):
        moment = seen[f"{trouble}, {remedy}"][index]
        draw_plane(each, density_of(trial), moment.fakes[:500], reach=2.8)
        each.set_title(f"{remedy}\n{moment.images:,} images", fontsize=8)
        each.set(xticks=[], yticks=[])
    return to_picture(figure)


TITLE = "Mode collapse"
EQUATION = r"""
The solution of the game is $G^* = \arg\min_G \max_D V(G, D)$. With the two exchanged, $\max_D \min_G V(G, D)$, the
inner G may answer each D with the one point that this D likes best (Goodfellow 2016, section 5.1.1; [fixed
players](fixed_players.md)). Gradient descent does not know which of the two it computes: many steps of G against one
D come near the second.
"""
LOOK = """
In the film the first game puts its samples in one place, D learns to reject them, and G moves on: the last rows say
how many modes had most of the samples nearest to them, and how often that changed. A mode counts as found with a
quarter of its due, a thirty-second of the samples, within 3 sigma; points spread evenly over a disc find none. Read
it together with the share of samples near a mode, which says how sharp they are.

Each remedy plays the same game, with the same number of steps of G for each of D's; what differs is what D sees
(batches, packs), what holds it back (R1 and R2), or how far G looks ahead (unrolling). Minibatch discrimination finds
most of the modes in both games. With ten steps of G for each of D's, unrolling and minibatch deviation do so too;
with three, where both had fewer steps of G, unrolling finds them late, and minibatch deviation scatters its samples
over the plane. Packs of two find few in this budget, and R1 and R2 no more than nothing does: they hold D back, and
here D is the one that is late. One seed each.
"""

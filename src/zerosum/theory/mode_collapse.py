"""Mode collapse (the Helvetica scenario): the max and the min of the game exchanged, and what helps against it."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from PIL import Image

from zerosum.theory.modes import Moment, watch
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import COLOURS, draw_plane, panels, picture_of
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


def late_modes(moments: list[Moment]) -> float:
    """The mean number of modes of the last half: a G that collapses jumps from mode to mode."""
    late = [moment.modes for moment in moments[len(moments) // 2 :]]
    return sum(late) / len(late)


def examine(trials: Mapping[str, Trial]) -> Page:
    """Play each trouble with each remedy on the same number of real images."""
    seen = {name: watch(trial, MOMENTS) for name, trial in trials.items()}
    rows = [
        Row(f"{name}: modes found, mean of the last half (`{VARIANTS[name]}`)", late_modes(moments), 8)
        for name, moments in seen.items()
    ]
    visited = {name: len(modes_visited(moments)) for name, moments in seen.items() if name.endswith("nothing")}
    rows += [Row(f"{name}: different numbers of modes seen in turn", count) for name, count in visited.items()]
    rows += [
        Row(f"{name}: share of the last samples within 3 sigma of a mode", moments[-1].near, 1 - math.exp(-4.5))
        for name, moments in seen.items()
    ]
    return Page(TITLE, EQUATION, LOOK, rows, pictures_of(seen, next(iter(trials.values()))))


def modes_visited(moments: list[Moment]) -> set[int]:
    """The numbers of modes that were found at one moment or another."""
    return {moment.modes for moment in moments}


def pictures_of(seen: Mapping[str, list[Moment]], trial: Trial) -> list[Picture]:
    """Modes against images, the last samples of every run, and a film of some."""
    figure, axes = panels(1, 2, 4.6, 3.2)
    for each, trouble in zip(axes, TROUBLES, strict=True):
        draw_modes(each, trouble, seen)
    axes[0].legend(fontsize=7, loc="upper left", ncols=2)
    frames = [draw_film(seen, trial, index) for index in range(1, MOMENTS + 1)]
    return [
        Picture("mode_collapse", "Modes found against images, the same games with each remedy.", [picture_of(figure)]),
        Picture(
            "mode_collapse_samples", "The last samples of every run; circles are the modes.", [draw_last(seen, trial)]
        ),
        Picture("mode_collapse_film", "Max and min exchanged: G runs from mode to mode.", frames),
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
        each.set_title(f"{remedy}: {moments[-1].modes}", fontsize=8)
        each.set(xticks=[], yticks=[])
        if remedy == "nothing":
            each.set_ylabel(trouble, fontsize=9)
    return picture_of(figure)


def draw_film(seen: Mapping[str, list[Moment]], trial: Trial, index: int) -> Image.Image:
    """One moment of four of the games in which max and min are exchanged."""
    figure, axes = panels(1, len(SHOWN), 2.0, 2.2)
    trouble = next(iter(TROUBLES))
    for each, remedy in zip(axes, SHOWN, strict=True):
        moment = seen[f"{trouble}, {remedy}"][index]
        draw_plane(each, density_of(trial), moment.fakes[:500], reach=2.8)
        each.set_title(f"{remedy}\n{moment.images:,} images", fontsize=8)
        each.set(xticks=[], yticks=[])
    return picture_of(figure)


TITLE = "Mode collapse"
EQUATION = r"""
The solution of the game is $G^* = \arg\min_G \max_D V(G, D)$. With the two exchanged, $\max_D \min_G V(G, D)$, the
inner G may answer each D with the one point that this D likes best (Goodfellow 2016, section 5.1.1; [fixed
players](fixed_players.md)). Gradient descent does not know which of the two it computes: many steps of G against one
D come near the second.
"""
LOOK = """
In the film the first game puts its samples on few modes, D learns to reject them, and G moves on to others: D chases
it around the ring for ever. The curves count the modes that have at least a hundredth of the samples. Each remedy
plays the same game, with the same number of steps of G for each of D's; what differs is what D sees (batches, packs),
what holds it back (R1 and R2), or how far G looks ahead (unrolling). What shows D how alike samples are, and looking
ahead, bring the modes back. R1 and R2 alone do not: they hold D back, and here D is the one that is late.
"""

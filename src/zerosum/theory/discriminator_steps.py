"""k of Algorithm 1: how many steps D takes for each of G's, against images and against seconds."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from zerosum.drawing.density import to_picture
from zerosum.theory.modes import Moment, watch
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import COLOURS, TRUTH, draw_plane, panels
from zerosum.theory.trial import Trial, density_of

VARIANTS = {f"k = {k}": f"game.critic_steps={k}" for k in (1, 2, 5, 20)}
MOMENTS = 40


def examine(trials: Mapping[str, Trial]) -> Page:
    """Play each game on the same number of real images."""
    seen = {name: watch(trial, MOMENTS) for name, trial in trials.items()}
    rows = []
    for name, moments in seen.items():
        last = moments[-1]
        rows += [
            Row(f"{name}: modes found at the end", last.modes, 8),
            Row(f"{name}: V(G, D), mean of the last quarter", late_value(moments), -2 * math.log(2)),
            Row(f"{name}: share of samples within 3 sigma of a mode", last.near, 1 - math.exp(-4.5)),
            Row(f"{name}: seconds of training", last.seconds),
            Row(f"{name}: steps of G", trials[name].module.trainer.global_step),
        ]
    return Page(TITLE, EQUATION, LOOK, rows, pictures_of(seen, trials))


def late_value(moments: list[Moment]) -> float:
    """The mean V(G, D) of the last quarter: single values swing."""
    late = [moment.value for moment in moments[-len(moments) // 4 :]]
    return sum(late) / len(late)


def pictures_of(seen: Mapping[str, list[Moment]], trials: Mapping[str, Trial]) -> list[Picture]:
    """Curves against images and seconds, and the last samples of each game."""
    figure, axes = panels(2, 2, 4.4, 2.6)
    draw_curves(axes[:2], seen, "images", "thousands of real images seen", unit=1000)
    draw_curves(axes[2:], seen, "seconds", "seconds of training")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=9, loc="outside upper center", ncols=len(seen))
    samples, panes = panels(1, len(seen), 2.8, 3.0)
    for each, (name, moments) in zip(panes, seen.items(), strict=True):
        draw_plane(each, density_of(trials[name]), moments[-1].fakes, reach=2.6)
        each.set_title(f"{name}: {moments[-1].modes} modes, {moments[-1].near:.0%} near", fontsize=10)
    return [
        Picture("discriminator_steps", "Modes found and V(G, D), against images and seconds.", [to_picture(figure)]),
        Picture("discriminator_steps_samples", "The samples at the end; circles are the modes.", [to_picture(samples)]),
    ]


def draw_curves(axes: list[Axes], seen: Mapping[str, list[Moment]], x: str, label: str, unit: int = 1) -> None:
    """Modes and V of each game."""
    for colour, (name, moments) in zip(COLOURS, seen.items(), strict=False):
        places = [getattr(moment, x) / unit for moment in moments]
        axes[0].plot(places, [moment.modes for moment in moments], color=colour, label=name)
        axes[1].plot(places, [moment.value for moment in moments], color=colour, linewidth=1)
    axes[0].set(xlabel=label, ylabel="modes found", ylim=(-0.2, 8.4))
    axes[1].axhline(-2 * math.log(2), color=TRUTH, linestyle="--", linewidth=1)
    axes[1].text(
        0.99, -2 * math.log(2) - 0.05, "-2 log 2", transform=axes[1].get_yaxis_transform(), ha="right", va="top"
    )
    axes[1].set(xlabel=label, ylabel="V(G, D)", ylim=(-2.2, 0.1))


TITLE = "k of Algorithm 1"
EQUATION = r"""
Algorithm 1 of Goodfellow et al. 2014 lets D take $k$ steps for each step of G, so that D stays near its optimum while
G changes slowly. At the solution $V(G, D) = -2 \log 2$ whatever $k$ is. Every game sees the same number of real
images, so G takes $1/k$ as many steps.
"""
LOOK = """
Above against images, below against seconds: a larger k gives G fewer steps, so fewer images pass through it. How much
time that saves is another matter: most of it is D's, and these seconds are those of a machine that did other work
too. A mode counts as found with a quarter of its due within 3 sigma. Compare how soon each curve finds all eight and
how many samples are near a mode: in this budget a larger k is slower at both. And compare how far V(G, D) stays above
-2 log 2: with a large k D is nearer to its optimum and V shows more of the divergence that is left.
"""

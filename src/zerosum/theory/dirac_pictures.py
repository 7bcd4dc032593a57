"""Trajectories of the Dirac-GAN: every loss without a regularizer, one loss with every regularizer, and a film."""

from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from zerosum.drawing.density import to_picture
from zerosum.gan.losses import NonSaturating, Wasserstein
from zerosum.gan.regularizers import DRAGAN, R1, R2, Clip, Drift, GradientPenalty, LeCam
from zerosum.theory.dirac_game import LOSSES, NOISE, Game, Terms, normal_quantiles, trajectory
from zerosum.theory.page import Picture
from zerosum.theory.pictures import DATA, FAKE, TRUTH, panels

STEPS = 500
ORDERS = {False: ("simultaneous", FAKE), True: ("alternating", DATA)}


def games(gamma: float, lr: float) -> dict[str, Game]:
    """A game for each regularizer, alternating: nonsat, or the Wasserstein loss of those that were made for it."""

    def game(terms: Terms, wasserstein: bool = False, sigma: float = 0.0) -> Game:
        noise = normal_quantiles(sigma) if sigma else Game._field_defaults["noise"]
        return Game(Wasserstein() if wasserstein else NonSaturating(), terms, lr, True, noise)

    return {
        "nonsat, none": game([]),
        "nonsat, r1": game([R1(gamma)]),
        "nonsat, r2": game([R2(gamma)]),
        "nonsat, r1_r2": game([R1(gamma), R2(gamma)]),
        "nonsat, instance noise": game([], sigma=NOISE),
        "nonsat, dragan": game([DRAGAN(gamma)]),
        "nonsat, lecam": game([LeCam(gamma)]),
        "wasserstein, none": game([], wasserstein=True),
        "wasserstein, r1": game([R1(gamma)], wasserstein=True),
        "wasserstein, gradient_penalty": game([GradientPenalty(gamma)], wasserstein=True),
        "wasserstein, clip to 0.5": game([Clip(0.5)], wasserstein=True),
        "wasserstein, drift": game([Drift(gamma)], wasserstein=True),
    }


def draw_path(axes: Axes, path: Tensor, colour: str, label: str) -> None:
    """A trajectory from its start, a square, to its end, a dot, around the solution, a cross."""
    axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1, label=label)
    axes.plot(*path[0], "s", color=colour, markersize=5)
    axes.plot(*path[-1], "o", color=colour, markersize=6)
    axes.plot(0, 0, "+", color=TRUTH, markersize=11, markeredgewidth=2)
    reach = min(7.0, max(2.3, 1.1 * float(path.abs().max())))
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))


def draw_losses(lr: float) -> Image.Image:
    """Every loss without a regularizer, in both orders of updates."""
    figure, axes = panels(3, 4, 2.5, 2.6)
    for each, (name, loss) in zip(axes, LOSSES.items(), strict=True):
        for alternating, (label, colour) in ORDERS.items():
            draw_path(each, trajectory(Game(loss, [], lr, alternating), STEPS), colour, label)
        each.set_title(name, fontsize=9)
    axes[0].legend(fontsize=7, loc="lower left")
    figure.supxlabel(r"$\psi$, the slope of D")
    figure.supylabel(r"$\theta$, the point that G makes")
    return to_picture(figure)


def draw_regularizers(gamma: float, lr: float) -> Image.Image:
    """Every regularizer, in both orders of updates."""
    figure, axes = panels(3, 4, 2.5, 2.6)
    for each, (name, game) in zip(axes, games(gamma, lr).items(), strict=True):
        for alternating, (label, colour) in ORDERS.items():
            draw_path(each, trajectory(game._replace(alternating=alternating), STEPS), colour, label)
        each.set_title(name, fontsize=9)
    axes[0].legend(fontsize=7, loc="lower left")
    figure.supxlabel(r"$\psi$, the slope of D")
    figure.supylabel(r"$\theta$, the point that G makes")
    return to_picture(figure)


def draw_film(gamma: float, lr: float, frames: int = 40) -> list[Image.Image]:
    """Four games side by side, step after step."""
    shown = ("nonsat, none", "nonsat, r1", "wasserstein, gradient_penalty", "wasserstein, r1")
    paths = {name: trajectory(games(gamma, lr)[name], STEPS) for name in shown}
    pictures = []
    for frame in range(1, frames + 1):
        figure, axes = panels(1, 4, 2.0, 2.2)
        for each, (name, path) in zip(axes, paths.items(), strict=True):
            draw_path(each, path[: frame * STEPS // frames + 1], DATA, "")
            each.set_title(name.replace(", ", "\n"), fontsize=8)
        pictures.append(to_picture(figure))
    return pictures


def pictures(gamma: float, lr: float) -> list[Picture]:
    """All of them, with their captions."""
    return [
        Picture(
            "dirac_gan",
            "Every loss without a regularizer: from the square to the dot; maximum_likelihood leaves its panel.",
            [draw_losses(lr)],
        ),
        Picture("dirac_gan_regularizers", "The regularizers, each with its loss.", [draw_regularizers(gamma, lr)]),
        Picture(
            "dirac_gan_film",
            "Alternating: a slow spiral, critical damping, a cycle that does not end, and a spiral.",
            draw_film(gamma, lr),
        ),
    ]

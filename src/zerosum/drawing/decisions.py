"""Observations and what was done there, as dots of the colour of the action."""

from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from zerosum.drawing.density import to_picture

COLOURS = ("#0072b2", "#e69f00", "#d55e00")
MARKS = ("<", "o", ">")


def draw_decisions(
    expert: Tensor, samples: Tensor, actions: int, coordinates: tuple[tuple[int, str], tuple[int, str]]
) -> Image.Image:
    """640 x 480 pixels: pairs (N, D + actions) of an imitator as small marks, those of its expert as ringed ones."""
    figure = Figure(figsize=(6.4, 4.8), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    (x, x_name), (y, y_name) = coordinates
    for action in range(actions):
        colour, mark = COLOURS[-1 if action == actions - 1 else action], MARKS[-1 if action == actions - 1 else action]
        for pairs, size, edge, whose in ((samples, 12, "none", "imitator"), (expert, 60, "black", "expert")):
            chosen = pairs[pairs[:, action - actions] > 0.5]
            axes.scatter(
                chosen[:, x],
                chosen[:, y],
                size,
                c=colour,
                marker=mark,
                edgecolors=edge,
                alpha=0.6 if edge == "none" else 1.0,
                label=f"{whose}, action {action}",
            )
    axes.set(xlabel=x_name, ylabel=y_name)
    axes.legend(fontsize=8, loc="upper right")
    return to_picture(figure)

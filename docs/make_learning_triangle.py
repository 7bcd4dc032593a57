"""Draw what two noisy views of the ring show, and what each of three ways to learn from them makes of it.

    python docs/make_learning_triangle.py

reads outputs/learning_triangle, a finished `python train.py experiment=application/learning_triangle
hydra.sweep.dir=outputs/learning_triangle`, and writes docs/images/learning_triangle.png from seed 0.
"""

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from zerosum.applications.learning_triangle import NoiseInHalf
from zerosum.data.mixtures import Ring
from zerosum.runs.load import load

ROOT = Path(__file__).parents[1]
SWEEP = ROOT / "outputs" / "learning_triangle"
PICTURE = ROOT / "docs" / "images" / "learning_triangle.png"
ARMS = ("one_adversary", "separate_adversaries", "learning_triangle")
COUNT = 2000
DATA, FAKE = "#0072b2", "#d55e00"


def main() -> None:
    """Two panels of data, then one of each model's samples."""
    figure = Figure(figsize=(15, 3.5), dpi=100, layout="constrained")
    panels = figure.subplots(1, 5, sharex=True, sharey=True)
    torch.manual_seed(0)
    clean = Ring().sample(COUNT, torch.Generator().manual_seed(0))[0]
    for axes, half in zip(panels, (0, 1), strict=False):
        draw(axes, NoiseInHalf(half, 0.2)(clean), f"data, view {half + 1}", DATA)
    for axes, arm in zip(panels[2:], ARMS, strict=True):
        with torch.inference_mode():
            samples = load(SWEEP / f"{arm}_seed0").sample(range(COUNT))
        draw(axes, samples, arm.replace("_", " "), FAKE)
    panels[0].set_ylabel("$x_2$")
    figure.savefig(PICTURE)


def draw(axes: Axes, points: Tensor, title: str, colour: str) -> None:
    """Points (N, 2) over the places of the clean modes."""
    axes.plot(*points.T, ".", color=colour, markersize=2, alpha=0.5)
    axes.plot(*Ring().means.T, "+", color="black", markersize=8, label="clean mode")
    axes.set(title=title, aspect="equal", xlim=(-2.8, 2.8), ylim=(-2.8, 2.8), xlabel="$x_1$")
    axes.legend(loc="center", frameon=False) if title.endswith("1") else None


if __name__ == "__main__":
    main()

"""Draw docs/images/curves.png, the curves of a run that went well: python docs/draw_curves.py outputs/<run>

reads metrics.csv and metrics.json of a run with loss=nonsat and the FID, such as experiment=digits. J_D is drawn
without the penalties of regularizers.
"""

import csv
import math
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from zerosum.evaluation.measurement import read_record

PICTURE = Path(__file__).parent / "images" / "curves.png"
REAL, FAKE, MEASURED = "#0072b2", "#d55e00", "#009e73"
"""Of Okabe and Ito's palette, which colour-blind readers can tell apart"""
WINDOW = 4
"""Rows on either side of a row that the thick lines average over"""


def read_curve(path: Path, name: str, subtracted: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Images seen, and values of a column of metrics.csv less those of `subtracted`, where it was logged."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[name]]
    values = [float(row[name]) - sum(float(row[other]) for other in subtracted) for row in rows]
    return np.array([float(row["images"]) for row in rows]), np.array(values)


def penalties(path: Path) -> tuple[str, ...]:
    """The columns of D's regularizers, which game/loss_discriminator includes."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(name for name in next(csv.reader(file)) if name.startswith("game/regularizer/"))


def smooth(values: np.ndarray) -> np.ndarray:
    """Mean of each value and the WINDOW on either side, of fewer at the ends."""
    return np.array([values[max(0, row - WINDOW) : row + WINDOW + 1].mean() for row in range(len(values))])


def draw_batches(axes: Axes, curve: tuple[np.ndarray, np.ndarray], label: str, color: str, style: str) -> None:
    """Values of single batches as a thin line, and their moving mean as a thick one."""
    images, values = curve
    axes.plot(images, values, color=color, linewidth=0.7, alpha=0.35)
    axes.plot(images, smooth(values), style, color=color, linewidth=2, label=label)


def mark(axes: Axes, height: float, label: str, end: float, above: bool = False) -> None:
    """A horizontal line with its label at the right end."""
    axes.axhline(height, color="0.35", linewidth=0.9, linestyle=":")
    offset, side = ((0, 3), "bottom") if above else ((0, -3), "top")
    axes.annotate(label, (end, height), offset, textcoords="offset points", ha="right", va=side, color="0.35", size=9)


def main(run: Path) -> None:
    """Draw the three panels and write the picture."""
    path, record = run / "metrics.csv", read_record(run / "metrics.json")
    end = record.last.images
    figure, (probabilities, losses, fid) = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    draw_batches(probabilities, read_curve(path, "game/d_real"), "D(x), real images", REAL, "-")
    draw_batches(probabilities, read_curve(path, "game/d_fake"), "D(G(z)), fakes", FAKE, "--")
    probabilities.axhline(0.5, color="0.35", linewidth=0.9, linestyle=":")
    probabilities.set(title="What D says", ylabel="mean probability of being real", ylim=(0, 1))
    loss_discriminator = read_curve(path, "game/loss_discriminator", penalties(path))
    draw_batches(losses, loss_discriminator, "$J_D$, discriminator", REAL, "-")
    draw_batches(losses, read_curve(path, "game/loss_generator"), "$J_G$, generator", FAKE, "--")
    mark(losses, math.log(2), "$J_D$ if D = 1/2 everywhere: log 2", end, above=True)
    mark(losses, math.log(2) / 2, "$J_G$ if D = 1/2 everywhere: (log 2) / 2", end)
    losses.set(title="Losses", ylabel="loss, in nats", ylim=(0, None))
    images, values = read_curve(path, "quality/fid")
    fid.plot(images, values, "o-", color=MEASURED, linewidth=2, label="samples")
    assert record.floor is not None, "the protocol of this run has a floor"
    mark(fid, record.floor["fid"], "floor: training images instead of samples", end)
    fid.set(title="What is measured", ylabel="FID, lower is better", yscale="log", ylim=(record.floor["fid"] / 2, None))
    fid.yaxis.set_major_formatter("{x:g}")
    for axes in (probabilities, losses, fid):
        axes.set(xlabel="real images seen in training")
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(color="0.92", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right", frameon=False)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

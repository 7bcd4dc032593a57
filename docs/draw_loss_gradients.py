"""Draw docs/images/loss_gradients.png, the gradient of each loss in G: python docs/draw_loss_gradients.py

|dJ_G / dlogit| of a single fake against D(G(z)) = sigmoid(logit). Paired losses see a single real logit of 0.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter
from torch import Tensor
from torch.func import vmap

from zerosum.gan import losses
from zerosum.gan.fgan import FGAN
from zerosum.gan.losses import AdversarialLoss

PICTURE = Path(__file__).parent / "images" / "loss_gradients.png"
LOGITS = torch.linspace(-9.2, 9.2, 2001, dtype=torch.float64)  # D from 1e-4 to 1 - 1e-4

# Okabe and Ito's palette, which color-blind readers can tell apart.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = [
    "#000000",
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
]


class Curve(NamedTuple):
    """A loss and its label, which stands at the curve's point where D is `at`, moved by `offset` points."""

    label: str
    loss: AdversarialLoss
    color: str
    style: str
    at: float
    offset: tuple[int, int]


GAMES = [
    Curve("minimax", losses.Minimax(), RED, "-", 0.02, (-12, 0)),
    Curve("nonsat", losses.NonSaturating(), BLUE, "-", 0.0006, (0, -14)),
    Curve("maximum_likelihood", losses.MaximumLikelihood(), PINK, "--", 0.966, (-10, 0)),
    Curve("lsgan", losses.LeastSquares(), ORANGE, "-", 0.0006, (0, 11)),
    Curve("hinge, wasserstein", losses.Hinge(), BLACK, "-", 0.9975, (0, 8)),
    Curve("relativistic", losses.Relativistic(), SKY, "--", 0.0006, (0, 8)),
    Curve("relativistic_\naverage", losses.RelativisticAverage(), GREEN, ":", 0.9965, (8, 10)),
]
DIVERGENCES = [
    Curve("neyman", FGAN("neyman"), ORANGE, "-", 0.045, (10, 0)),
    Curve("neyman, saturating", FGAN("neyman", saturating=True), ORANGE, "--", 0.95, (8, 8)),
    Curve("kl", FGAN("kl"), BLACK, "-", 0.9985, (0, 8)),
    Curve("kl, saturating", FGAN("kl", saturating=True), BLACK, "--", 0.985, (-10, 0)),
    Curve("gan", FGAN("gan"), BLUE, "-", 0.002, (0, -14)),
    Curve("gan, saturating", FGAN("gan", saturating=True), BLUE, "--", 0.01, (-10, 0)),
    Curve("total_variation, both", FGAN("total_variation"), GREEN, "-.", 0.962, (-10, 0)),
]


def gradient_sizes(loss: AdversarialLoss) -> Tensor:
    """|dJ_G / dlogit| at LOGITS, each in a batch of one, with a real logit of 0."""
    fake = LOGITS.clone().requires_grad_()
    costs = vmap(lambda logit: loss.generator(logit[None], torch.zeros_like(logit)[None]))(fake)
    return torch.autograd.grad(costs.sum(), fake)[0].abs()


def draw_curve(axes: Axes, curve: Curve) -> None:
    """Draw a curve and its label in one color."""
    seen, slope = torch.sigmoid(LOGITS).numpy(), gradient_sizes(curve.loss).numpy()
    axes.plot(seen, slope, curve.style, color=curve.color, linewidth=2)
    nearest = abs(seen - curve.at).argmin()
    point, side = (seen[nearest], slope[nearest]), {-1: "right", 0: "center", 1: "left"}[np.sign(curve.offset[0])]
    axes.annotate(curve.label, point, curve.offset, textcoords="offset points", color=curve.color, ha=side, va="center")


def draw_panel(axes: Axes, title: str, curves: list[Curve]) -> None:
    """Draw all curves of a panel on logit and log axes, where exponential decay is a straight line."""
    for curve in curves:
        draw_curve(axes, curve)
    axes.axvspan(1e-4, 0.1, color="0.95", zorder=0)
    axes.set(xscale="logit", yscale="log", xlim=(1e-4, 1 - 1e-4), ylim=(1e-4, 1e2), title=title)
    axes.set(xlabel="D(G(z)) = sigmoid(logit)", ylabel="|dJ$_G$ / dlogit|")
    axes.xaxis.set_major_locator(FixedLocator([1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.999]))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(color="0.88", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw both panels and write the picture."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.6), sharey=True, layout="constrained")
    draw_panel(left, "The generator's gradient, loss by loss", GAMES)
    draw_panel(right, "f-GAN: practical cost (solid) and the bound itself (dashed)", DIVERGENCES)
    left.text(3.3e-3, 55, "D rejects the fakes", ha="center", color="0.35", style="italic")
    right.set_ylabel("")
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()

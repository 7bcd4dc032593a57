"""The Dirac-GAN: eigenvalues against closed forms, paths of every loss and regularizer, and a run beside its path."""

from collections.abc import Mapping

import torch
from torch import nn

from zerosum.gan.losses import Wasserstein
from zerosum.gan.regularizers import R1, GradientPenalty
from zerosum.theory.dirac_game import (
    LOSSES,
    NOISE,
    PULLS,
    Game,
    eigenvalues,
    frictions,
    known_eigenvalues,
    normal_quantiles,
    trajectory,
)
from zerosum.theory.dirac_pictures import pictures
from zerosum.theory.page import Page, Row
from zerosum.theory.trial import Trial, play

VARIANTS = {"game": ""}
LONG = 3000
"""Steps after which a game that converges has done so"""


def eigenvalue_rows(gamma: float, lr: float) -> list[Row]:
    """Moduli of the eigenvalues of nonsat, and the greatest error of all losses, terms and orders of updates."""
    rows, errors = [], []
    for name, loss in LOSSES.items():
        for term, (terms, sigma, friction) in frictions(gamma, NOISE).items():
            if sigma and name not in ("minimax", "nonsat"):
                continue
            for alternating in (False, True):
                game = Game(
                    loss, terms, lr, alternating, normal_quantiles(sigma) if sigma else Game._field_defaults["noise"]
                )
                found, known = eigenvalues(game), known_eigenvalues(PULLS[name], friction, lr, alternating)
                errors += [abs(one - other) for one, other in zip(found, known, strict=True)]
                if name == "nonsat":
                    order = "alternating" if alternating else "simultaneous"
                    label = f"nonsat, {term}, {order}: greatest modulus of an eigenvalue"
                    rows.append(Row(label, max(map(abs, found)), max(map(abs, known))))
    first = f"greatest error of {len(errors)} eigenvalues of {len(LOSSES)} losses"
    return [Row(first, max(errors), 0.0), *rows]


def examine(trials: Mapping[str, Trial]) -> Page:
    """Eigenvalues, paths, and one run of the framework beside its path."""
    trial = trials["game"]
    gan = trial.module
    gamma, lr = gan.regularizers["r1"].weight, gan.make_optimizers.discriminator.keywords["lr"]
    steps = trial.run.images // trial.data.batch_size
    seen = play(trial, steps, lambda gan: players_of(gan.discriminator, gan.generator))
    path = trajectory(Game(gan.loss, [R1(gamma)], lr, alternating=True), len(seen) - 1, seen[0])
    apart = float((torch.tensor(seen) - path).abs().max())
    rows = eigenvalue_rows(gamma, lr)
    rows.append(Row(f"a run of train.py against the equations, {len(seen) - 1} steps: greatest difference", apart, 0.0))
    return Page(TITLE, EQUATION, LOOK, rows + cycling_rows(gamma, lr), pictures(gamma, lr))


def players_of(discriminator: nn.Module, generator: nn.Module) -> tuple[float, float]:
    """(psi, theta) of two networks of models.dirac."""
    return float(discriminator.get_parameter("psi")), float(generator.get_parameter("theta"))


def cycling_rows(gamma: float, lr: float) -> list[Row]:
    """How far from the solution WGAN-GP and WGAN with R1 still are after many steps."""
    rows = []
    for name, term, limit in (
        ("wasserstein, gradient_penalty", GradientPenalty(gamma), None),
        ("wasserstein, r1", R1(gamma), 0.0),
    ):
        late = trajectory(Game(Wasserstein(), [term], lr, alternating=True), LONG)[-LONG // 6 :].norm(dim=1)
        rows.append(
            Row(f"{name}: nearest to the solution in the last sixth of {LONG:,} steps", float(late.min()), limit)
        )
        rows.append(Row(f"{name}: farthest from it", float(late.max()), limit))
    return rows


TITLE = "The game as a vector field"
EQUATION = r"""
The Dirac-GAN (Mescheder et al. 2018): all data are 0, $G(z) = \theta$, $D(x) = \psi x$. Its only solution is $\psi =
\theta = 0$. A step of gradient descent with the rate $h$ has there, for simultaneous updates, the eigenvalues

$$\lambda = 1 + h \left( -\gamma / 2 \pm \sqrt{\gamma^2 / 4 - a b} \right)$$

with $a = dJ_D / dv$ and $b = -dJ_G / dv$ at the fake's logit $v = 0$, and $\gamma$ the weight of R1, of R2, or of
both together. For alternating updates they are $t \pm \sqrt{t^2 - (1 - h \gamma)}$, $t = 1 - h \gamma / 2 - h^2 a b /
2$. The game converges near the solution if all moduli are below 1, and diverges if one is above.
"""
LOOK = """
Without a regularizer both players turn around the solution. Near it simultaneous updates move outwards, as their
eigenvalues lie outside the unit circle for every rate; alternating ones stay on a closed curve, as theirs lie on it.
Far from it the losses bend: nonsat and others spiral in, the slower the nearer they come, and maximum_likelihood,
whose slope grows with the logit, leaves the panel.

R1 and R2 pull inwards. With nonsat and gamma = 0.5 the root in the equation is 0: critically damped, the path bends
once and runs in without turning around the solution, and R1 and R2 together are overdamped, which is slower. The
Wasserstein loss pulls four times as hard, and there R1 makes a spiral into the solution, as instance noise does with
nonsat. The gradient penalty of WGAN-GP pulls D's slope to 1, which it is not at the solution, so it cycles around it
and never arrives. DRAGAN pulls it there too, and against nonsat it holds D's sign: G creeps away from the data, the
slower the flatter D gets. The penalty of LeCam is of fourth order here, as D(G(z)) is psi theta, so near the solution
it holds nothing back and the path circles. Clipping bounds D and leads nowhere either. Drift does nothing: D(0) is 0
already.
"""

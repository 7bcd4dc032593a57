"""The game of two numbers: its vector field, the steps of its players, and their eigenvalues at the solution."""

import cmath
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zerosum.gan.fgan import FGAN
from zerosum.gan.losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    MaximumLikelihood,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Wasserstein,
)
from zerosum.gan.regularizers import R1, R2, Regularizer, ScoredBatch
from zerosum.models.networks import Scores

LOSSES: dict[str, AdversarialLoss] = {
    "minimax": Minimax(),
    "nonsat": NonSaturating(),
    "maximum_likelihood": MaximumLikelihood(),
    "wasserstein": Wasserstein(),
    "hinge": Hinge(),
    "lsgan, labels -1 and 1": LeastSquares(-1.0, 1.0, 1.0),
    "relativistic": Relativistic(),
    "relativistic_average": RelativisticAverage(),
    "fgan kl": FGAN("kl"),
    "fgan reverse_kl": FGAN("reverse_kl"),
    "fgan pearson": FGAN("pearson"),
    "fgan hellinger": FGAN("hellinger"),
}
PULLS = {
    "minimax": (0.25, 0.25),
    "nonsat": (0.25, 0.25),
    "maximum_likelihood": (0.25, 0.5),
    "wasserstein": (1.0, 1.0),
    "hinge": (1.0, 1.0),
    "lsgan, labels -1 and 1": (1.0, 1.0),
    "relativistic": (0.5, 0.5),
    "relativistic_average": (1.0, 1.0),
    "fgan kl": (0.36787944117144233, 1.0),
    "fgan reverse_kl": (1.0, 1.0),
    "fgan pearson": (1.0, 1.0),
    "fgan hellinger": (1.0, 1.0),
}
"""dJ_D/dv and -dJ_G/dv at v = 0, v the fake's logit, by hand: f'(0) of Mescheder et al. 2018 with our factors"""
Terms = Sequence[Regularizer]


class Game(NamedTuple):
    """What decides a step of the two numbers (psi, theta), D(x) = psi x and G(z) = theta, while all data are 0."""

    loss: AdversarialLoss
    terms: Terms
    lr: float
    alternating: bool
    """D first, then G against the new D; else both at once"""
    noise: Tensor = torch.zeros(2, dtype=torch.float64)
    """Added to real and fake points: instance noise by its quantiles"""


def normal_quantiles(sigma: float, count: int = 64) -> Tensor:
    """`count` numbers of mean 0 and standard deviation sigma that stand for N(0, sigma^2)."""
    quantiles = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)
    return sigma * quantiles / quantiles.square().mean().sqrt()


def descents(game: Game, psi: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """(-dJ_D/dpsi, -dJ_G/dtheta), differentiable: the field v of Mescheder et al. 2018, equation 2."""

    def critic(images: Tensor) -> Scores:
        return Scores(psi * images[:, 0])

    real_images, fake_images = game.noise[:, None].clone().requires_grad_(), theta + game.noise[:, None]
    real, fake = ScoredBatch(real_images, critic(real_images)), ScoredBatch(fake_images, critic(fake_images))
    for term in game.terms:
        if term.observes_batch:
            term.observe(real, fake)
    penalties = [term(critic, real, fake) for term in game.terms if term.due(0)]
    cost = game.loss.discriminator(real.logits, fake.logits) + sum(penalties)
    (of_psi,) = torch.autograd.grad(cost, psi, create_graph=True)
    # In the fakes and not in theta: where D has moved, its psi depends on theta too, which G does not see.
    (of_fakes,) = torch.autograd.grad(game.loss.generator(fake.logits, real.logits), fake_images, create_graph=True)
    return -of_psi, -of_fakes.sum()


def update(game: Game, players: Tensor) -> Tensor:
    """One step of gradient descent of (psi, theta)."""
    psi, theta = players.unbind()
    down_psi, down_theta = descents(game, psi, theta)
    moved = psi + game.lr * down_psi
    if game.alternating:
        _, down_theta = descents(game, moved, theta)
    return torch.stack([moved, theta + game.lr * down_theta])


def trajectory(game: Game, steps: int, start: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """(steps + 1, 2): (psi, theta) after each step; a rule about D's weights, such as clipping, is applied to psi."""
    players = torch.tensor(start, dtype=torch.float64)
    path = [players]
    for _ in range(steps):
        players = update(game, players.clone().requires_grad_()).detach()
        holder = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        holder.weight.data.fill_(players[0])
        for term in game.terms:
            term.after_step(holder)
        players = torch.stack([holder.weight.detach()[0, 0], players[1]])
        path.append(players)
    return torch.stack(path)


def eigenvalues(game: Game) -> list[complex]:
    """Of the Jacobian of one step at the solution (0, 0), by autograd, that of positive imaginary part first."""
    jacobian = torch.autograd.functional.jacobian(lambda players: update(game, players), torch.zeros(2).double())
    return sorted(torch.linalg.eigvals(jacobian).tolist(), key=lambda value: (-value.imag, -value.real))


def known_eigenvalues(pulls: tuple[float, float], gamma: float, lr: float, alternating: bool) -> list[complex]:
    """The same in closed form, for a pull (a, b) of each player on the other and D's friction gamma.

    Simultaneous: 1 + h (-gamma/2 +- sqrt(gamma^2/4 - a b)) (Mescheder et al. 2018, lemmas 2.3 and D.2, theorem 4.1).
    Alternating: t +- sqrt(t^2 - (1 - h gamma)), t = 1 - h gamma/2 - h^2 a b/2; lemma 2.4 at gamma = 0.
    """
    product = pulls[0] * pulls[1]
    if alternating:
        centre = 1 - lr * gamma / 2 - lr**2 * product / 2
        root = cmath.sqrt(centre**2 - (1 - lr * gamma))
    else:
        centre, root = 1 - lr * gamma / 2, lr * cmath.sqrt(gamma**2 / 4 - product)
    return sorted([centre + root, centre - root], key=lambda value: (-value.imag, -value.real))


def frictions(gamma: float, sigma: float) -> dict[str, tuple[Terms, float, float]]:
    """Regularizers with a known friction of psi at the solution: the terms, the instance noise, the friction.

    R1 and R2 have gamma psi each; instance noise with nonsat or minimax has -2 f''(0) sigma^2 = sigma^2 / 4 here.
    """
    return {
        "none": ([], 0.0, 0.0),
        "r1": ([R1(gamma)], 0.0, gamma),
        "r2": ([R2(gamma)], 0.0, gamma),
        "r1_r2": ([R1(gamma), R2(gamma)], 0.0, 2 * gamma),
        "instance_noise": ([], sigma, sigma**2 / 4),
    }


NOISE = 1.0
"""Standard deviation of the instance noise"""

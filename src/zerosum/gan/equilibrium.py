"""The values of both losses at the end of a game that went well: fakes equal real images, and D tells nothing apart."""

import torch

from zerosum.gan.losses import AdversarialLoss

REACH = 50.0
"""Logits are looked for up to this size"""
TOLERANCE = 1e-8
"""Losses that differ by less are taken for equal"""


@torch.no_grad()
def equilibrium(loss: AdversarialLoss) -> dict[str, float]:
    """J_D and J_G where p_data = p_model and D is optimal; J_G is left out where optimal Ds differ in it.

    D then gives one logit c to every image, so J_D is the minimum of loss.discriminator(c, c) over c: log 2 of the
    non-saturating game, 2 of the hinge, (b - a)^2 / 4 of least squares, -f(1) of an f-GAN.
    """
    logits = torch.linspace(-REACH, REACH, 101, dtype=torch.float64)
    values = losses_at(loss, logits)
    step = 1.0
    for _ in range(5):  # 20 times finer each time: the last steps are 3e-7 long
        centre = float(logits[values[0].argmin()])
        finer = torch.linspace(centre - step, centre + step, 41, dtype=torch.float64)
        logits, values = torch.cat([logits, finer]), torch.cat([values, losses_at(loss, finer)], 1)
        step /= 20
    lowest = values[0].min()
    if not lowest.isfinite():
        return {}
    found = {"loss_discriminator": tidy(lowest)}
    of_generator = values[1, values[0] <= lowest + TOLERANCE]
    if float(of_generator.max() - of_generator.min()) < 1e-3:
        found["loss_generator"] = tidy(values[1, values[0].argmin()])
    return found


def tidy(value: torch.Tensor) -> float:
    """The number without what rounding left of a zero."""
    return round(float(value), 9) + 0.0


def losses_at(loss: AdversarialLoss, logits: torch.Tensor) -> torch.Tensor:
    """(2, N): J_D and J_G where every image, real or fake, has the logit; infinite where they are not finite."""
    rows = [(c.expand(2), c.expand(2)) for c in logits]
    values = [[loss.discriminator(real, fake), loss.generator(fake, real)] for real, fake in rows]
    found = torch.tensor([[float(each) for each in pair] for pair in values], dtype=torch.float64).T
    return torch.where(found[0].isfinite(), found, torch.inf)

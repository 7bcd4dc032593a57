"""Missing pixels, filled by the image of a trained generator that fits the known ones best (Yeh et al. 2017)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from zerosum.errors import UserError, check_positive
from zerosum.randomness import generator
from zerosum.sampling import LatentModel

REACH = 3.0
"""z is kept in [-3, 3], where N(0, 1) has 99.7%; the paper's z is uniform over [-1, 1] and kept there"""

AT_ONCE = 250
"""Images that are made together"""

Mask = Callable[[int, int], Tensor]
"""Height and width to (H, W) bool: which pixels are known"""
Critic = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to logits (B,)"""


@dataclass(frozen=True)
class Search:
    """How z is sought: the `kept` best of `starts` random points for each image, by `steps` of Adam at the rate `lr`.

    `prior` weighs D's opinion (the paper's lambda); a known pixel counts by the share of missing ones in the square of
    `window` pixels around it. The paper starts from one random point.
    """

    steps: int = 150
    starts: int = 1000
    kept: int = 4
    lr: float = 0.05
    prior: float = 0.003
    window: int = 7

    def __post_init__(self) -> None:
        check_positive("inpaint", steps=self.steps, starts=self.starts, kept=self.kept, window=self.window)
        if self.kept > self.starts:
            raise UserError(f"inpaint: kept={self.kept} of starts={self.starts}: choose no more than there are")
        if not self.lr > 0 or not self.prior >= 0 or self.window % 2 == 0:
            raise UserError(
                f"inpaint: lr={self.lr} prior={self.prior} window={self.window}: choose a rate above 0, a weight of 0"
                " or more and an odd window"
            )


def center(height: int, width: int) -> Tensor:
    """The middle is missing, half as high and as wide as the image."""
    known = torch.ones(height, width, dtype=torch.bool)
    known[height // 4 : height - height // 4, width // 4 : width - width // 4] = False
    return known


def left(height: int, width: int) -> Tensor:
    """The left half is missing."""
    return (torch.arange(width) >= width // 2).expand(height, width)


def random(height: int, width: int) -> Tensor:
    """Four pixels of five are missing, always the same ones."""
    return torch.rand(height, width, generator=generator("inpaint", "random")) >= 0.8


MASKS: Mapping[str, Mask] = {"center": center, "left": left, "random": random}


def importance(known: Tensor, window: int) -> Tensor:
    """(H, W): of a known pixel the share of missing ones around it, of a missing one 0 (equation 2)."""
    missing = (~known).float()[None, None]
    return torch.where(known, avg_pool2d(missing, window, 1, window // 2, count_include_pad=False)[0, 0], 0.0)


def search(
    model: LatentModel, critic: Critic, images: Tensor, known: Tensor, settings: Search, seed: int = 0
) -> Tensor:
    """(B, C, H, W): for each image the generated one that fits its known pixels best.

    z descends |W (G(z) - y)|_1 + prior log(1 - D(G(z))) (equations 3 to 5); of several starts the lowest is kept.
    """
    weight, count = importance(known, settings.window).to(images), settings.kept
    wanted = images.repeat_interleave(count, 0)
    z = first_points(model, images, weight, settings, seed).requires_grad_()
    optimizer = torch.optim.Adam([z], settings.lr)
    for _ in range(settings.steps):
        (gradient,) = torch.autograd.grad(cost(model, critic, z, wanted, weight, settings.prior).sum(), z)
        z.grad = gradient
        optimizer.step()
        z.data.clamp_(-REACH, REACH)
    with torch.no_grad():
        best = cost(model, critic, z, wanted, weight, settings.prior).view(-1, count).argmin(1)
        return model.decode(z.view(-1, count, model.latent_dim)[torch.arange(len(images)), best])


@torch.no_grad()
def first_points(model: LatentModel, images: Tensor, weight: Tensor, settings: Search, seed: int) -> Tensor:
    """(B * kept, latent_dim): of `starts` random z those whose images are nearest to the known pixels."""
    z = torch.randn(settings.starts, model.latent_dim, generator=generator(seed, "inpaint")).to(images.device)
    made = torch.cat([model.decode(part) for part in z.split(AT_ONCE)])
    distances = torch.cdist((weight * images).flatten(1), (weight * made).flatten(1), p=1)
    return z[distances.topk(settings.kept, 1, largest=False).indices.flatten()]


def cost(model: LatentModel, critic: Critic, z: Tensor, images: Tensor, weight: Tensor, prior: float) -> Tensor:
    """(B,): the weighted distance of the known pixels, and what D says of the image."""
    made = model.decode(z)
    distance = (weight * (made - images).abs()).flatten(1).sum(1)
    return distance - prior * torch.nn.functional.softplus(critic(made))  # log(1 - sigmoid(l)) = -softplus(l)


def blend(made: Tensor, images: Tensor, known: Tensor) -> Tensor:
    """The images, their missing pixels with the gradients of `made` and without a seam (Perez et al. 2003, equation 7).

    For each missing pixel p the sum of (x_p - x_q) over its neighbours q equals that of `made`; known x_q are given.
    """
    missing = ~known.to(images.device)
    number = missing.cumsum(1).new_full(missing.shape, -1, dtype=torch.long)
    number[missing] = torch.arange(int(missing.sum()), device=images.device)
    matrix = torch.zeros(2 * [int(missing.sum())], dtype=torch.float64, device=images.device)
    right = torch.zeros(*images.shape[:2], len(matrix), dtype=torch.float64, device=images.device)
    for rows, columns in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        here, there = overlap(rows, columns, missing.shape)
        inside = missing[here]
        own, other = number[here][inside], number[there][inside]
        matrix[own, own] += 1
        within = other >= 0
        matrix[own[within], other[within]] -= 1
        slope = (made[..., *here] - made[..., *there])[..., inside].double()
        given = torch.where(within, 0.0, images[..., *there][..., inside].double())
        right[..., own] += slope + given
    solved = torch.linalg.solve(matrix, right.flatten(0, 1).T).T.unflatten(0, images.shape[:2])
    filled = images.clone()
    filled[..., missing] = solved.clamp(-1, 1).to(images)
    return filled


def overlap(rows: int, columns: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices of all pixels that have a neighbour at this offset, and of these neighbours."""
    height, width = shape
    here = (slice(max(0, -rows), height - max(0, rows)), slice(max(0, -columns), width - max(0, columns)))
    there = (slice(max(0, rows), height - max(0, -rows)), slice(max(0, columns), width - max(0, -columns)))
    return here, there


def fill(model: LatentModel, critic: Critic, images: Tensor, known: Tensor, settings: Search, seed: int = 0) -> Tensor:
    """(B, C, H, W): the images with their missing pixels filled; what these were is not looked at."""
    seen = torch.where(known.to(images.device), images, 0.0)
    return blend(search(model, critic, seen, known, settings, seed), seen, known)


def fill_by_mean(train: Tensor, images: Tensor, known: Tensor) -> Tensor:
    """The images, with the mean of the training images (N, C, H, W) where pixels are missing."""
    return torch.where(known, images, train.mean(0))


def fill_by_neighbour(train: Tensor, images: Tensor, known: Tensor) -> Tensor:
    """The images, with the training image where pixels are missing whose known pixels are nearest."""
    ours, theirs = (side[..., known].flatten(1) for side in (images, train))
    return torch.where(known, images, train[torch.cdist(ours, theirs).argmin(1)])


def psnr_of_missing(filled: Tensor, images: Tensor, known: Tensor) -> float:
    """Decibels of the mean squared error of the missing pixels, over images in [-1, 1]."""
    error = (filled - images)[..., ~known].double().square().mean()
    return float(10 * torch.log10(4 / error.clamp(min=1e-12)))

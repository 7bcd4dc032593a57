"""Rules that hold the discriminator back, each with its equation; all but `Clip` are penalties added to its cost."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from zerosum.distributed import mean_over_processes
from zerosum.errors import UserError
from zerosum.models.networks import Scores


class ScoredBatch(NamedTuple):
    """Images, their scores and their condition in one graph, so that a gradient penalty needs no second forward."""

    images: Tensor
    """(B, *sample_shape), requiring gradients wherever a regularizer is due"""
    scores: Scores
    condition: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """(B,)"""
        return self.scores.logits


Critic = Callable[[Tensor], Scores]
"""The discriminator, augmentation included, as a function of images."""


class Regularizer(nn.Module):
    """A weighted penalty, evaluated on every k-th step (lazy regularization, Karras et al. 2020, StyleGAN2).

    A module, so that whatever state it keeps is part of the checkpoint.
    """

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise UserError(f"every={every}: a regularizer is evaluated on every k-th step, k >= 1")
        self.weight = weight
        self.every = every

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The unweighted penalty, a scalar."""
        raise NotImplementedError

    def due(self, step: int) -> bool:
        """Whether this step evaluates the penalty."""
        return step % self.every == 0

    def forward(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """weight * every * penalty: the same mean gradient whatever `every` is."""
        return self.weight * self.every * self.penalty(critic, real, fake)

    def after_step(self, discriminator: nn.Module) -> None:
        """Called after each step of D's optimizer; does nothing, except for rules about the weights themselves."""


def gradients(scored: ScoredBatch) -> Tensor:
    """grad_x D(x), itself differentiable: a row a logit, so that pictures which D saw as one pack are one x."""
    (gradient,) = torch.autograd.grad(scored.logits.sum(), scored.images, create_graph=True)
    return gradient.reshape(len(scored.logits), -1)


def squared_gradient_norm(scored: ScoredBatch) -> Tensor:
    """E |grad_x D(x)|^2, the square all_reduce_sum over all axes but the batch's."""
    return gradients(scored).square().sum(1).mean()


class R1(Regularizer):
    """1/2 E |grad_x D(x)|^2 on real pictures; the weight is gamma (Mescheder et al. 2018, equation 9)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Half the mean squared gradient norm at the real pictures."""
        return 0.5 * squared_gradient_norm(real)


class R2(Regularizer):
    """1/2 E |grad_x D(G(z))|^2 on fakes; the weight is gamma (Mescheder et al. 2018, equation 10)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Half the mean squared gradient norm at the fakes."""
        return 0.5 * squared_gradient_norm(fake)


class GradientPenalty(Regularizer):
    """E (|grad_x D(x)| - 1)^2 at points drawn between real and fake (Gulrajani et al. 2017, equation 3).

    `one_sided` charges only norms above 1: E max(0, |grad_x D(x)| - 1)^2 (their section 4; Petzka et al. 2018).
    It is a statement about single pictures, so D should have no batch norm.
    """

    def __init__(self, weight: float, every: int = 1, one_sided: bool = False) -> None:
        super().__init__(weight, every)
        self.one_sided = one_sided

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        """epsilon x + (1 - epsilon) G(z), one epsilon ~ U[0, 1] a picture."""
        epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), dtype=real.dtype, device=real.device)
        return torch.lerp(fake, real, epsilon)

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """One more forward of D: the points are neither real nor fake."""
        points = self.points(real.images.detach(), fake.images.detach()).requires_grad_()
        # No epsilon under the root: torch's norm has the subgradient 0 at 0, where sqrt has an infinite one.
        excess = torch.linalg.vector_norm(gradients(ScoredBatch(points, critic(points))), dim=1) - 1
        return (relu(excess) if self.one_sided else excess).square().mean()


class DRAGAN(GradientPenalty):
    """E (|grad_x D(x)| - 1)^2 at noisy real pictures x + 1/2 std(x) U[0, 1] (Kodali et al. 2017).

    The paper's text has Gaussian noise of a variance to be tuned; this is the noise of the authors' code, with
    std(x) over the whole batch.
    """

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        """x + 1/2 std(x) u, one u ~ U[0, 1] a pixel."""
        return real + 0.5 * real.std(correction=0) * torch.rand_like(real)


class LeCam(Regularizer):
    """E |D(x) - a_F|^2 + E |D(G(z)) - a_R|^2 (Tseng et al. 2021, equation 4).

    a_R and a_F are moving averages of D's mean logits on real and fake, this batch included; they begin at the
    first batch's means. `one_sided` is the authors' code instead of their equation: each difference passes a
    ReLU, so that nothing pulls while D still ranks real below fake.
    """

    real_average: Tensor
    fake_average: Tensor
    started: Tensor

    def __init__(self, weight: float, every: int = 1, decay: float = 0.99, one_sided: bool = False) -> None:
        super().__init__(weight, every)
        if not 0 <= decay < 1:
            raise UserError(f"decay={decay}: LeCam's averages keep a share of 0 or more and less than 1 at each step")
        self.decay = decay
        self.one_sided = one_sided
        self.register_buffer("real_average", torch.tensor(0.0))
        self.register_buffer("fake_average", torch.tensor(0.0))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def follow(self, real: Tensor, fake: Tensor) -> None:
        """a <- decay a + (1 - decay) mean, by the batch over all processes."""
        share = 1 - self.decay * self.started.float()
        for average, logits in ((self.real_average, real), (self.fake_average, fake)):
            average.lerp_(mean_over_processes(logits.mean()).to(average), share)
        self.started.fill_(True)

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Moves the averages once, so it is to be evaluated once a turn."""
        self.follow(real.logits, fake.logits)
        from_fake, from_real = real.logits - self.fake_average, self.real_average - fake.logits
        if self.one_sided:
            from_fake, from_real = relu(from_fake), relu(from_real)
        return from_fake.square().mean() + from_real.square().mean()


class Consistency(Regularizer):
    """E (D(x) - D(T(x)))^2 for an augmentation T, on reals: CR (Zhang et al. 2020).

    With `fake_weight`, plus that times the same on fakes: 1 is the paper's bCR (Zhao et al. 2021, algorithm 1),
    which keeps the augmentation's traces out of the samples.
    """

    def __init__(self, weight: float, augment: nn.Module, every: int = 1, fake_weight: float = 0.0) -> None:
        super().__init__(weight, every)
        self.augment = augment
        self.fake_weight = fake_weight

    def change(self, critic: Critic, scored: ScoredBatch) -> Tensor:
        """E (D(x) - D(T(x)))^2, with gradients to D by both terms."""
        return (scored.logits - critic(self.augment(scored.images.detach())).logits).square().mean()

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """One more forward of D, two with `fake_weight`."""
        change = self.change(critic, real)
        return change + self.fake_weight * self.change(critic, fake) if self.fake_weight else change


class Drift(Regularizer):
    """E D(x)^2 on reals: pins the offset that a Wasserstein loss leaves free (Karras et al. 2018, appendix A.1)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The mean squared logit of the real pictures."""
        return real.logits.square().mean()


class Clip(Regularizer):
    """Every weight of D is put back into [-bound, bound] after each of its steps (Arjovsky et al. 2017, algorithm 1).

    Adds nothing to the cost.
    """

    def __init__(self, bound: float = 0.01) -> None:
        super().__init__(weight=0.0)
        if bound <= 0:
            raise UserError(f"bound={bound}: weights are clipped to [-bound, bound], bound > 0")
        self.bound = bound

    def due(self, step: int) -> bool:
        """Never: there is no penalty to evaluate, and none to leave autocast for."""
        return False

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """clip(w, -bound, bound)."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)

"""Terms added to a player's loss, and rules about its weights, each with its equation."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from zerosum.data.dataset import Dataset
from zerosum.distributed import mean_over_processes
from zerosum.errors import UserError
from zerosum.gan import draws
from zerosum.models.networks import Scores


class ScoredBatch(NamedTuple):
    """Images, their scores and their condition in one graph, so that a gradient penalty needs no second forward."""

    images: Tensor
    """(B, *sample_shape), requiring gradients wherever a regularizer is due"""
    scores: Scores
    condition: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """(B,), or (B, P) of patches"""
        return self.scores.logits


Critic = Callable[[Tensor], Scores]
"""The discriminator, augmentation included, as a function of images."""


class Regularizer(nn.Module):
    """A weighted penalty, evaluated on every k-th step (lazy regularization, Karras et al. 2020, StyleGAN2).

    It is added to D's loss or, among `generator_regularizers`, to G's. Its buffers are saved in checkpoints.
    """

    observes_batch: ClassVar[bool] = False
    """Whether the penalty depends on `observe`; under accumulation that costs one more forward of D"""
    needs_real: bool = True
    """Whether the penalty depends on real images; if none of G's terms does, D need not score them in G's step"""

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        if not weight >= 0:
            raise UserError(f"weight={weight}: a regularizer's weight is 0 or more (of R1 and R2 it is gamma)")
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

    def begin(self, dataset: Dataset) -> None:
        """Called once before training, for terms that need more of the data than its batches."""

    def facts(self) -> dict[str, Any]:
        """What a card says of the term: nothing, unless a child does."""
        return {}

    def observe(self, real: ScoredBatch, fake: ScoredBatch) -> None:
        """Called once before each step of its player on which the term is due, with this process's whole batch.

        `penalty` is then called for each of its micro-batches. Only where `observes_batch` is true; no gradient passes.
        """

    def curves(self) -> dict[str, Tensor]:
        """Detached scalars of the last evaluation that are logged beside the penalty: none, unless a child has some."""
        return {}

    def forward(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """weight * every * penalty: the same mean gradient whatever `every` is."""
        return self.weight * self.every * self.penalty(critic, real, fake)

    def after_step(self, discriminator: nn.Module) -> None:
        """Called after each step of D's optimizer, for rules about the weights themselves."""


def gradients(scored: ScoredBatch) -> Tensor:
    """(B, features): grad_x D(x), itself differentiable; one row for each image, or for a whole pack if packed.

    Where D scores patches, D(x) is the mean of their logits.
    """
    scores = scored.logits.flatten(1).mean(1) if scored.logits.dim() > 1 else scored.logits
    (gradient,) = torch.autograd.grad(scores.sum(), scored.images, create_graph=True)
    return gradient.reshape(len(scored.logits), -1)


def squared_gradient_norm(scored: ScoredBatch) -> Tensor:
    """E |grad_x D(x)|^2."""
    return gradients(scored).square().sum(1).mean()


class R1(Regularizer):
    """1/2 E |grad_x D(x)|^2 on real images; the weight is gamma (Mescheder et al. 2018, equation 9)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Half the mean squared gradient norm at the real images."""
        return 0.5 * squared_gradient_norm(real)


class R2(Regularizer):
    """1/2 E |grad_x D(G(z))|^2 on fakes; the weight is gamma (Mescheder et al. 2018, equation 10)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Half the mean squared gradient norm at the fakes."""
        return 0.5 * squared_gradient_norm(fake)


class GradientPenalty(Regularizer):
    """E (|grad_x D(x)| - 1)^2 at points drawn between real and fake (Gulrajani et al. 2017, equation 3).

    `one_sided` penalizes only norms above 1: E max(0, |grad_x D(x)| - 1)^2 (their section 4; Petzka et al. 2018).
    The gradient is that of a single image, so D should have no batch norm.
    """

    def __init__(self, weight: float, every: int = 1, one_sided: bool = False) -> None:
        super().__init__(weight, every)
        self.one_sided = one_sided

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        """epsilon x + (1 - epsilon) G(z), one epsilon ~ U[0, 1] for each image."""
        return torch.lerp(fake, real, draws.rand(real, *[1] * (real.dim() - 1)))

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """One more forward of D: the points are neither real nor fake."""
        points = self.points(real.images.detach(), fake.images.detach()).requires_grad_()
        # No epsilon under the root: torch's norm has the subgradient 0 at 0, where sqrt has an infinite one.
        excess = torch.linalg.vector_norm(gradients(ScoredBatch(points, critic(points))), dim=1) - 1
        return (relu(excess) if self.one_sided else excess).square().mean()


class DRAGAN(GradientPenalty):
    """E (|grad_x D(x)| - 1)^2 at noisy real images x + 1/2 std(x) U[0, 1] (Kodali et al. 2017).

    The paper's text has Gaussian noise of a variance to be tuned; this is the noise of the authors' code, with
    std(x) over all pixels of the global batch.
    """

    observes_batch: ClassVar[bool] = True
    deviation: Tensor

    @torch.no_grad()
    def observe(self, real: ScoredBatch, fake: ScoredBatch) -> None:
        """std(x), over all processes."""
        mean = mean_over_processes(real.images.mean())
        self.deviation = mean_over_processes((real.images - mean).square().mean()).sqrt()

    def points(self, real: Tensor, fake: Tensor) -> Tensor:
        """x + 1/2 std(x) u, one u ~ U[0, 1] for each pixel."""
        return real + 0.5 * self.deviation * draws.rand(real, *real.shape[1:])


class LeCam(Regularizer):
    """E |D(x) - a_F|^2 + E |D(G(z)) - a_R|^2 (Tseng et al. 2021, equation 4).

    a_R and a_F are moving averages of D's mean logits on real and fake, this batch included; they begin at the
    first batch's means. `one_sided` is the authors' code instead of their equation: each difference passes through a
    ReLU, so that the penalty is 0 where D still ranks real below fake.
    """

    observes_batch: ClassVar[bool] = True
    real_average: Tensor
    fake_average: Tensor
    started: Tensor

    def __init__(self, weight: float, every: int = 1, decay: float = 0.99, one_sided: bool = False) -> None:
        super().__init__(weight, every)
        if not 0 <= decay < 1:
            raise UserError(f"decay={decay}: choose a number of 0 or more and less than 1, such as 0.99")
        self.decay = decay
        self.one_sided = one_sided
        self.register_buffer("real_average", torch.tensor(0.0))
        self.register_buffer("fake_average", torch.tensor(0.0))
        self.register_buffer("started", torch.tensor(False))

    @torch.no_grad()
    def observe(self, real: ScoredBatch, fake: ScoredBatch) -> None:
        """a <- decay a + (1 - decay) mean, over the batches of all processes."""
        share = 1 - self.decay * self.started.float()
        for average, logits in ((self.real_average, real.logits), (self.fake_average, fake.logits)):
            average.lerp_(mean_over_processes(logits.mean()).to(average), share)
        self.started.fill_(True)

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Both distances, to averages that have no gradient."""
        from_fake, from_real = real.logits - self.fake_average, self.real_average - fake.logits
        if self.one_sided:
            from_fake, from_real = relu(from_fake), relu(from_real)
        return from_fake.square().mean() + from_real.square().mean()


class Consistency(Regularizer):
    """E (D(x) - D(T(x)))^2 for an augmentation T, on reals: CR (Zhang et al. 2020).

    `fake_weight` times the same on fakes is added: 1 is the paper's bCR (Zhao et al. 2021, algorithm 1), which keeps
    traces of the augmentation out of the samples.
    """

    def __init__(self, weight: float, augment: nn.Module, every: int = 1, fake_weight: float = 0.0) -> None:
        super().__init__(weight, every)
        self.augment = augment
        self.fake_weight = fake_weight

    def change_of_logits(self, critic: Critic, scored: ScoredBatch) -> Tensor:
        """E (D(x) - D(T(x)))^2, with gradients through both logits."""
        return (scored.logits - critic(self.augment(scored.images.detach())).logits).square().mean()

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """One more forward of D, two with `fake_weight`."""
        change = self.change_of_logits(critic, real)
        return change + self.fake_weight * self.change_of_logits(critic, fake) if self.fake_weight else change


class Drift(Regularizer):
    """E D(x)^2 on reals: pins the offset that a Wasserstein loss leaves free (Karras et al. 2018, appendix A.1)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The mean squared logit of the real images."""
        return real.logits.square().mean()


class Clip(Regularizer):
    """Clips every weight of D to [-bound, bound] after each of its steps (Arjovsky et al. 2017, algorithm 1).

    Adds nothing to the loss.
    """

    def __init__(self, bound: float = 0.01) -> None:
        super().__init__(weight=0.0)
        if bound <= 0:
            raise UserError(f"bound={bound}: weights are clipped to [-bound, bound], bound > 0")
        self.bound = bound

    def due(self, step: int) -> bool:
        """Never: there is no penalty to evaluate."""
        return False

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """clip(w, -bound, bound)."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.bound, self.bound)


def due_terms(terms: nn.ModuleDict, step: int) -> dict[str, Regularizer]:
    """The terms that are evaluated at this step."""
    return {name: term for name, term in terms.items() if term.due(step)}  # type: ignore[operator, misc]


def observe_batch(terms: Mapping[str, Regularizer], real: ScoredBatch, fake: ScoredBatch) -> None:
    """Show this process's whole batch to the penalties that depend on it."""
    for term in terms.values():
        if term.observes_batch:
            term.observe(real, fake)

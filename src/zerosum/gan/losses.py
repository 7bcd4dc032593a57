"""Adversarial losses on logits, each with its equation; `fgan.py` has the f-divergences.

D(x) = sigmoid(logit) where a loss has probabilities; otherwise D(x) is the logit itself.
Each loss keeps the factors of its paper. The 1/2 of Goodfellow's tutorial (2016, section 3.2) makes
minimax zero-sum; it halves the learning rate of plain SGD and nothing else under Adam.
Written with softplus(t) = log(1 + exp(t)): -log D = softplus(-logit), -log(1 - D) = softplus(logit).
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from torch import Tensor
from torch.nn.functional import softplus

from zerosum.errors import UserError


class AdversarialLoss(Protocol):
    """The losses of the two players, from logits of shape (B,) to a scalar."""

    paired: ClassVar[bool]
    """Whether the generator's loss needs the real logits too"""

    @property
    def zero_separates(self) -> bool:
        """Whether the best logit (if paired, real - fake) has the sign of log(p_data / p_model); ADA reads it."""
        ...

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D, which the discriminator descends."""
        ...

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G, which the generator descends."""
        ...


EXACT_UP_TO = 20.0
"""`exponential` equals exp up to here; exp(20) = 5e8 is a density ratio that no batch can show."""


def tempered(x: Tensor) -> Tensor:
    """x up to 20, then 20 + log(1 + x - 20): log of `exponential`, same shape."""
    exact = x.clamp(max=EXACT_UP_TO)
    return exact + (x - exact).log1p()


def exponential(x: Tensor) -> Tensor:
    """exp(x) up to 20, then its tangent there: finite, with a finite gradient, up to |x| = 1e4 and far beyond."""
    return tempered(x).exp()


def check_smoothing(smooth: float | Sequence[float]) -> float:
    """UserError unless `smooth` is one number in [0, 0.5), which is returned."""
    if not isinstance(smooth, int | float):
        raise UserError(
            f"smooth={list(smooth)}: one number, for real targets of 1 - smooth; fake targets stay 0. "
            "Two-sided smoothing moves the optimal D away from p_data / (p_data + p_model): fake targets of beta add "
            "beta p_model to its numerator, so that D reinforces wrong samples (Goodfellow 2016, section 4.2)"
        )
    if not 0 <= smooth < 0.5:
        raise UserError(f"smooth={smooth}: real targets are 1 - smooth, nearer to real than to fake: 0 <= smooth < 0.5")
    return smooth


def cross_entropy(real: Tensor, fake: Tensor, smooth: float = 0.0) -> Tensor:
    """J_D = -1/2 E[(1 - smooth) log D(x) + smooth log(1 - D(x))] - 1/2 E log(1 - D(G(z))).

    Goodfellow 2016, equation 8; `smooth` is the one-sided label smoothing of Salimans et al. 2016, section 3.4:
    the optimal D is (1 - smooth) p_data / (p_data + p_model).
    """
    real_cost = softplus(-real) + smooth * real  # softplus(t) = softplus(-t) + t
    return 0.5 * real_cost.mean() + 0.5 * softplus(fake).mean()


class CrossEntropyDiscriminator:
    """D classifies real against fake, as in both games of Goodfellow et al. 2014."""

    paired: ClassVar[bool] = False

    def __init__(self, smooth: float | Sequence[float] = 0.0) -> None:
        self.smooth = check_smoothing(smooth)

    @property
    def zero_separates(self) -> bool:
        """Smoothing lowers the optimal D at p_data = p_model to (1 - smooth) / 2."""
        return self.smooth == 0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = -1/2 E log D(x) - 1/2 E log(1 - D(G(z))), real targets 1 - smooth."""
        return cross_entropy(real, fake, self.smooth)


class Minimax(CrossEntropyDiscriminator):
    """Zero-sum game, J_G = -J_D: the gradient vanishes where D is sure of the fakes (Goodfellow 2016, equation 10)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -J_D; without `real`, the term in D(x) is left out, as its gradient in G is zero."""
        return -0.5 * softplus(fake).mean() if real is None else -self.discriminator(real, fake)


class NonSaturating(CrossEntropyDiscriminator):
    """G maximizes the probability that D errs, so it has a gradient where D wins (Goodfellow 2016, equation 13)."""

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -1/2 E log D(G(z))."""
        return 0.5 * softplus(-fake).mean()


class MaximumLikelihood:
    """G descends KL(data, model) in expectation while D is optimal (Goodfellow 2016, section 3.2.4).

    There exp(logit) = p_data / p_model weighs the samples. From logit 20 on exp is continued by its tangent.
    """

    paired: ClassVar[bool] = False
    zero_separates: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = -1/2 E log D(x) - 1/2 E log(1 - D(G(z)))."""
        return cross_entropy(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -1/2 E exp(sigma^-1(D(G(z)))) = -1/2 E exp(logit)."""
        return -0.5 * exponential(fake).mean()


class FeatureMatching(NonSaturating):
    """D of the non-saturating game; G's cost is the term `feature_matching` alone (Salimans et al. 2016, section 3.1).

    A loss knows logits only, so the distance of the features is a term of G's, which other losses may have too.
    """

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """Zero."""
        return fake.new_zeros(())


class LeastSquares:
    """Regression on labels: D wants `a` for fakes and `b` for reals, G wants `c` (Mao et al. 2017, equation 2).

    a, b, c = 0, 1, 1 are the labels of the paper's experiments; -1, 1, 0 make it a Pearson chi^2.
    """

    paired: ClassVar[bool] = False

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> None:
        self.a, self.b, self.c = a, b, c

    @property
    def zero_separates(self) -> bool:
        """Whether the optimal logit where p_data = p_model, (a + b) / 2, is 0."""
        return self.a + self.b == 0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = 1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2, D the logit."""
        return 0.5 * (real - self.b).square().mean() + 0.5 * (fake - self.a).square().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = 1/2 E (D(G(z)) - c)^2."""
        return 0.5 * (fake - self.c).square().mean()


class Hinge:
    """D stops at a margin of 1 on either side, G climbs D (Lim & Ye 2017; Miyato et al. 2018, section 4)."""

    paired: ClassVar[bool] = False
    zero_separates: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))), D the logit."""
        return (1 - real).relu().mean() + (1 + fake).relu().mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -E D(G(z))."""
        return -fake.mean()


class Wasserstein:
    """The earth mover's distance, if D is 1-Lipschitz (Arjovsky et al. 2017, equations 2 and 3).

    A regularizer must keep it so, `clip` as in the original or `gradient_penalty` as in WGAN-GP; without one J_D has no
    minimum.
    """

    paired: ClassVar[bool] = False
    zero_separates: ClassVar[bool] = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = E D(G(z)) - E D(x), D the logit."""
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -E D(G(z))."""
        return -fake.mean()


class Relativistic:
    """D says which of a real sample and a fake is real (Jolicoeur-Martineau 2018, RSGAN; R3GAN, 2024).

    `real` and `fake` are paired by position, so they have the same length.
    """

    paired: ClassVar[bool] = True
    zero_separates: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = E softplus(-(D(x) - D(G(z)))), D the logit."""
        return softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = E softplus(-(D(G(z)) - D(x)))."""
        assert real is not None, "a paired loss needs the real logits"
        return softplus(real - fake).mean()


class Weighted:
    """Another loss, with `weight` times its J_G: 0 leaves G to the terms added to it, while D goes on judging.

    Beside a distance of weight 1 this is the adversarial weight of Ledig et al. 2017, SRGAN, equation 3.
    """

    def __init__(self, loss: AdversarialLoss, weight: float = 1.0) -> None:
        if not weight >= 0:
            raise UserError(f"loss.weight={weight}: the weight of the adversarial loss is 0 or more")
        self.loss = loss
        self.weight = weight

    @property
    def paired(self) -> bool:
        """As the loss itself."""
        return self.loss.paired

    @property
    def zero_separates(self) -> bool:
        """As the loss itself."""
        return self.loss.zero_separates

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D."""
        return self.loss.discriminator(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """weight J_G."""
        return self.weight * self.loss.generator(fake, real)


class RelativisticAverage:
    """Each sample against the mean logit of the other side's batch (Jolicoeur-Martineau 2018, RaSGAN)."""

    paired: ClassVar[bool] = True
    zero_separates: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = E softplus(-(D(x) - E D(G(z)))) + E softplus(D(G(z)) - E D(x)), D the logit."""
        return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G is J_D with real and fake exchanged."""
        assert real is not None, "a paired loss needs the real logits"
        return self.discriminator(fake, real)

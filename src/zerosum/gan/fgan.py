"""f-GAN: D bounds an f-divergence from below, G descends the bound (Nowozin et al. 2016).

D_f(p, q) = E_q f(p/q) >= E_p g(v) - E_q f*(g(v)), with p the data, q the model, v the logit, f* the convex conjugate
of f on ratios u >= 0, and g an activation into the domain of f*. Equality holds where g(v) = f'(p/q).
"""

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from zerosum.errors import UserError, did_you_mean
from zerosum.gan.losses import EXACT_UP_TO, exponential, tempered


class Divergence(NamedTuple):
    """A row of the table: functions of the logits v, any shape to the same."""

    activation: Callable[[Tensor], Tensor]
    """g(v), increasing, so that a large logit says real for every divergence."""
    conjugate: Callable[[Tensor], Tensor]
    """f*(g(v)), composed: g alone may round to the edge of the domain of f*, where f* or its gradient is infinite."""


# Nowozin et al. 2016, tables 2 and 6, each with its f(u). Where exp would overflow, it is continued by its tangent:
# in an activation this changes the parametrization alone, since the conjugate is taken at the continued activation;
# in a conjugate it changes the bound alone, and only beyond ratios p/q of exp(20).
DIVERGENCES: dict[str, Divergence] = {
    # u log u
    "kl": Divergence(lambda v: v, lambda v: exponential(v - 1)),
    # -log u
    "reverse_kl": Divergence(lambda v: -exponential(-v), lambda v: -1 - tempered(-v)),
    # (u - 1)^2; its f* is the paper's t^2/4 + t for t >= -2 and, as f'(u) >= -2 where u >= 0, constant below
    "pearson": Divergence(lambda v: v, lambda v: (v / 2 + 1).relu().square() - 1),
    # (u - 1)^2 / u
    "neyman": Divergence(lambda v: 1 - exponential(-v), lambda v: 2 - 2 * (tempered(-v) / 2).exp()),
    # (sqrt(u) - 1)^2, the squared distance without the factor 1/2
    "hellinger": Divergence(lambda v: 1 - exponential(-v), lambda v: exponential(v) - 1),
    # u log u - (u + 1) log((u + 1) / 2), so twice the Jensen-Shannon divergence
    "jensen_shannon": Divergence(lambda v: logsigmoid(v) + math.log(2), lambda v: softplus(v) - math.log(2)),
    # u log u - (u + 1) log(u + 1), so -2 log 2 + 2 JSD: minimax without its factor 1/2
    "gan": Divergence(logsigmoid, softplus),
    # |u - 1| / 2
    "total_variation": Divergence(lambda v: v.tanh() / 2, lambda v: v.tanh() / 2),
}


def alpha_divergence(alpha: float) -> Divergence:
    """(u^alpha - 1 - alpha (u - 1)) / (alpha (alpha - 1)), table 6; tends to kl at 1 and to reverse_kl at 0."""
    limits = {0.0: "reverse_kl", 1.0: "kl"}
    if alpha in limits:
        raise UserError(f"alpha={alpha}: the limit of alpha divergences there is divergence={limits[alpha]}")
    if not math.isfinite(alpha):
        raise UserError(f"alpha={alpha}: expected a finite number")
    return alpha_above_one(alpha) if alpha > 1 else alpha_below_one(alpha)


def alpha_above_one(alpha: float) -> Divergence:
    """f*(t) = (base^power - 1) / alpha, base = (alpha - 1) t + 1, constant below base 0; t = v."""
    power = alpha / (alpha - 1)
    largest = math.exp(min(EXACT_UP_TO * (alpha - 1), 80.0))  # the base at a ratio of exp(20), finite in float32

    def conjugate(v: Tensor) -> Tensor:
        base = ((alpha - 1) * v + 1).relu()
        # A sum of both branches would lose the gradient in float32 beside the tangent's slope of up to 1e9.
        exact = base.clamp(max=largest).pow(power)
        tangent = largest**power + power * largest ** (power - 1) * (base.clamp(min=largest) - largest)
        return (torch.where(base <= largest, exact, tangent) - 1) / alpha

    return Divergence(lambda v: v, conjugate)


def alpha_below_one(alpha: float) -> Divergence:
    """f* as above, t = limit - softplus(-v - centre) with limit = 1 / (1 - alpha), so base = softplus(...) / limit.

    The paper's activation moved by `centre`, so that v = 0 says p = q; unmoved it says p/q = 4e11 at alpha 0.9.
    """
    power, limit = alpha / (alpha - 1), 1 / (1 - alpha)
    centre = -limit - math.log(-math.expm1(-limit))  # softplus(-centre) = limit

    def conjugate(v: Tensor) -> Tensor:
        return (exponential(power * (log_softplus(-v - centre) - math.log(limit))) - 1) / alpha

    return Divergence(lambda v: limit + logsigmoid(v + centre), conjugate)


def log_softplus(x: Tensor) -> Tensor:
    """log log(1 + exp(x)), which is x to rounding below -30, where softplus would underflow."""
    usual = x.clamp(min=-30.0)
    return softplus(usual).log() + (x - usual)


def divergence_of(name: str, alpha: float | None) -> Divergence:
    """The row of that name; `alpha` is the order of `divergence=alpha`, 0.5 if null."""
    if name == "alpha":
        return alpha_divergence(0.5 if alpha is None else alpha)
    if name not in DIVERGENCES:
        known = [*DIVERGENCES, "alpha"]
        raise UserError(f"divergence={name}: expected one of {', '.join(known)}.{did_you_mean(name, known)}")
    if alpha is not None:
        raise UserError(f"alpha={alpha}: divergence={name} has no order; alpha goes with divergence=alpha")
    return DIVERGENCES[name]


class FGAN:
    """D raises the bound on the divergence; G descends the practical loss or, with `saturating`, the bound itself.

    Nowozin et al. 2016. `divergence` is a key of DIVERGENCES or "alpha"; `alpha` is the order of the latter alone, 0.5
    if null, which is twice hellinger.
    """

    paired: ClassVar[bool] = False

    def __init__(self, divergence: str, alpha: float | None = None, saturating: bool = False) -> None:
        self.activation, self.conjugate = divergence_of(divergence, alpha)
        self.saturating = saturating

    @property
    def zero_separates(self) -> bool:
        """Whether the logit 0 means p = q: the optimal logit v where the ratio is p/q has (f* o g)'(v) = p/q g'(v)."""
        with torch.enable_grad():
            v = torch.zeros((), dtype=torch.float64, requires_grad=True)
            slopes = [torch.autograd.grad(curve(v), v)[0] for curve in (self.conjugate, self.activation)]
        return bool(torch.isclose(slopes[0], slopes[1]))

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = -(E g(V(x)) - E f*(g(V(G(z))))), equation 6 negated, V the logit."""
        return self.conjugate(fake).mean() - self.activation(real).mean()

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -E g(V(G(z))), section 3.2; saturating, the zero-sum -E f*(g(V(G(z))))."""
        return -(self.conjugate if self.saturating else self.activation)(fake).mean()

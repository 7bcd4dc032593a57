"""What G still learns when D is far ahead: the slope of its cost, and the gradient in its weights."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zerosum.drawing.density import to_picture
from zerosum.gan.losses import AdversarialLoss, MaximumLikelihood, Minimax, NonSaturating
from zerosum.theory.density_ratio import fresh
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import TRUTH, panels
from zerosum.theory.trial import Trial, density_of, latents

VARIANTS = {"game": ""}
COSTS: dict[str, AdversarialLoss] = {
    "minimax": Minimax(),
    "nonsat": NonSaturating(),
    "maximum_likelihood": MaximumLikelihood(),
}
COLOURS = {"minimax": "#d55e00", "nonsat": "#0072b2", "maximum_likelihood": "#cc79a7"}
MARKERS = {"minimax": ("s", 7), "nonsat": ("o", 5), "maximum_likelihood": (".", 5)}
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "minimax": lambda d: d / 2,
    "nonsat": lambda d: (1 - d) / 2,
    "maximum_likelihood": lambda d: d / (1 - d) / 2,
}
"""|dJ_G / dlogit| as a function of D = sigmoid(logit): derivatives of Goodfellow 2016, equations 10, 13 and 14"""
MOMENTS = 40


def slope(loss: AdversarialLoss, logits: Tensor) -> Tensor:
    """dJ_G / dlogit (N,), each logit in a batch of its own."""
    v = logits.detach().clone().requires_grad_()
    costs = torch.stack([loss.generator(each[None]) for each in v])
    (gradient,) = torch.autograd.grad(costs.sum(), v)
    return gradient


class Moment(NamedTuple):
    """Gradients of each cost in G's weights, while D gets better."""

    fooled: float
    """mean D(G(z))"""
    norms: dict[str, float]
    """|gradient of J_G in G's weights|"""
    by_chain_rule: dict[str, float]
    """The same from the slopes above: |mean_z slope(D(G(z))) dlogit / dweights|, the last factor by autograd"""


def norm(gradients: tuple[Tensor, ...]) -> float:
    """Of all weights together."""
    return float(torch.cat([each.flatten() for each in gradients]).norm())


def measure(generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Moment:
    """The gradients of the three costs in G's weights, by autograd and by the chain rule."""
    logits = discriminator(generator(z)).logits
    weights = list(generator.parameters())
    norms, chained = {}, {}
    for name, loss in COSTS.items():
        norms[name] = norm(torch.autograd.grad(loss.generator(logits), weights, retain_graph=True))
        slopes = SLOPES[name](logits.detach().sigmoid())
        chained[name] = norm(torch.autograd.grad((slopes * logits).mean(), weights, retain_graph=True))
    return Moment(float(logits.detach().sigmoid().mean()), norms, chained)


def examine(trials: Mapping[str, Trial]) -> Page:
    """Train D alone against the G of the start, and look at what each cost would teach G."""
    trial = trials["game"]
    generator, discriminator = trial.module.generator.double(), fresh(trial.module.discriminator).double()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.99))
    random = torch.Generator().manual_seed(trial.module.seed)
    batch, seen = trial.data.batch_size, []
    steps = trial.run.images // batch
    z = latents(generator, 1024, random).double()
    for step in range(steps + 1):
        if step % (steps // MOMENTS) == 0:
            seen.append(measure(generator, discriminator, z))
        real, _ = density_of(trial).sample(batch, random)
        fake = generator(latents(generator, batch, random).double()).detach()
        optimizer.zero_grad()
        cost = trial.module.loss.discriminator(discriminator(real.double()).logits, discriminator(fake).logits)
        cost.backward()
        optimizer.step()
    return Page(TITLE, EQUATION, LOOK, rows_of(seen), [picture_of_costs(seen)])


def rows_of(seen: list[Moment]) -> list[Row]:
    """The slopes where D is sure, and the gradients at the last moment."""
    logits = torch.linspace(-9, 9, 181, dtype=torch.float64)
    apart = {name: (slope(COSTS[name], logits).abs() - SLOPES[name](logits.sigmoid())).abs() for name in COSTS}
    last, sure = seen[-1], torch.tensor(0.01, dtype=torch.float64)
    rows = [
        Row(
            f"{name}: abs(dJ_G/dlogit) where D(G(z)) = 0.01",
            float(slope(COSTS[name], sure.logit()[None]).abs()),
            float(SLOPES[name](sure)),
        )
        for name in COSTS
    ]
    error = max(float(each.max() / SLOPES[name](logits.sigmoid()).max()) for name, each in apart.items())
    rows.append(Row("greatest relative error of the three slopes, D from 1e-4 to 1 - 1e-4", error, 0.0))
    rows.append(Row("mean D(G(z)) at the end of D's training; a perfect D would say 0", last.fooled))
    rows += [
        Row(
            f"{name}: norm of G's gradient then; analytic: the slopes above times dlogit/dweights of autograd",
            last.norms[name],
            last.by_chain_rule[name],
        )
        for name in COSTS
    ]
    ratio = last.norms["minimax"] / last.norms["nonsat"]
    return [*rows, Row("minimax over nonsat then; analytic: about D / (1 - D)", ratio, last.fooled / (1 - last.fooled))]


def picture_of_costs(seen: list[Moment]) -> Picture:
    """The slopes, and the norms while D gets better."""
    figure, (left, right) = panels(1, 2, 5, 4)
    d = torch.linspace(-7, 7, 401, dtype=torch.float64).sigmoid()
    for name, colour in COLOURS.items():
        left.plot(d, slope(COSTS[name], d.logit()).abs(), color=colour, linewidth=3, alpha=0.6, label=name)
        left.plot(d, SLOPES[name](d), color=TRUTH, linewidth=0.8, linestyle="--")
        fooled = [moment.fooled for moment in seen]
        marker, size = MARKERS[name]
        right.plot(fooled, [moment.norms[name] for moment in seen], marker, color=colour, markersize=size, label=name)
        right.plot(fooled, [moment.by_chain_rule[name] for moment in seen], color=TRUTH, linewidth=0.8, linestyle="--")
    left.plot([], [], color=TRUTH, linewidth=0.8, linestyle="--", label="the equation")
    left.set(
        xscale="logit", yscale="log", xlabel="D(G(z))", ylabel="|d$J_G$ / d logit|", title="One fake", ylim=(1e-4, 500)
    )
    right.set(
        xscale="logit", yscale="log", xlabel="mean D(G(z)); D gets better to the left", ylabel="norm of G's gradient"
    )
    right.set_title("All weights of G, while D is trained alone")
    left.legend()
    right.legend(loc="lower right")
    caption = "The slope of three costs of G, and the gradient that reaches its weights while D gets ahead."
    return Picture("vanishing_gradients", caption, [to_picture(figure)])


TITLE = "Vanishing gradients"
EQUATION = r"""
With $D = \sigma(v)$ and the factor 1/2 of Goodfellow's tutorial (2016, equations 10, 13 and 14), the slopes of G's
costs are

$$\text{minimax: } |dJ_G / dv| = D / 2 \qquad \text{nonsat: } (1 - D) / 2 \qquad
\text{maximum likelihood: } D / (2 (1 - D))$$
"""
LOOK = """
Left: where D rejects a fake, D(G(z)) near 0, the slope of minimax goes to 0 with D, and so does that of maximum
likelihood; only nonsat keeps one. Right: G stays as it was made, far from the data, and D is trained against it. The
better D gets, the less of minimax's gradient reaches G's weights, in proportion to D(G(z)). Maximum likelihood, near
the right end of the left panel, has the opposite trouble: its slope is so great for fakes that fool D that a few of
them decide the whole gradient.
"""

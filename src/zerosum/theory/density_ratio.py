"""D is a density ratio: with G frozen, the best D of every loss is a function of p_data(x) / p_G(x)."""

import copy
from collections.abc import Mapping

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from zerosum.drawing.density import to_picture
from zerosum.gan.fgan import DIVERGENCES, FGAN, Divergence
from zerosum.gan.losses import AdversarialLoss, NonSaturating
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import DISCRIMINATOR, TRUTH, draw_line_density, panels
from zerosum.theory.quadrature import density_of_fakes, midpoints, on_line
from zerosum.theory.trial import Trial, density_of, fakes_of, play

VARIANTS = {"game": ""}
BUDGET = 50
"""D is trained for this many times the images of the game before it"""


def optimal_discriminator(data: Tensor, fake: Tensor) -> Tensor:
    """D*(x) = p_data(x) / (p_data(x) + p_G(x)) (Goodfellow et al. 2014, equation 2), of densities (N,)."""
    return data / (data + fake)


def ratio_of_logit(divergence: Divergence, logit: Tensor) -> Tensor:
    """The p_data / p_G of which a logit v is the optimum: (f* o g)'(v) = p_data / p_G g'(v), same shape.

    Nowozin et al. 2016, equation 5, at its maximum: there g(v) = f'(p_data / p_G).
    """
    v = logit.detach().clone().requires_grad_()
    (rise,) = torch.autograd.grad(divergence.conjugate(v).sum(), v)
    (slope,) = torch.autograd.grad(divergence.activation(v).sum(), v)
    return rise / slope


def fit_discriminator(
    discriminator: nn.Module, loss: AdversarialLoss, real: Tensor, fake: Tensor, steps: int, batch: int, lr: float
) -> nn.Module:
    """D after `steps` of Adam on batches of the samples (N, ...), its learning rate falling to 0 as a cosine."""
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=lr, betas=(0.5, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        one, other = (side[torch.randint(len(side), (batch,), generator=random)] for side in (real, fake))
        cost = loss.discriminator(discriminator(one).logits, discriminator(other).logits)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        schedule.step()
    return discriminator


def fresh(network: nn.Module, seed: int = 0) -> nn.Module:
    """A copy of the network with new weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return copy.deepcopy(network).apply(lambda part: getattr(part, "reset_parameters", lambda: None)())


class Truth:
    """p_data, p_G and D* at evenly spaced points (N,) of a line."""

    def __init__(self, trial: Trial, count: int = 4000) -> None:
        data = density_of(trial)
        self.points = midpoints(data.reach, count)
        self.data = data.log_prob(self.points[:, None]).exp()
        self.fake = density_of_fakes(on_line(trial.module.generator), self.points)
        self.best = optimal_discriminator(self.data, self.fake)
        self.weight = (self.data + self.fake) / (self.data + self.fake).sum()

    @property
    def support(self) -> Tensor:
        """Where (p_data + p_G) / 2 has at least a hundredth of its greatest value."""
        return self.weight > 0.01 * self.weight.max()

    def mean_error(self, values: Tensor) -> float:
        """E |D(x) - D*(x)| over x of (p_data + p_G) / 2."""
        return float((self.weight * (values - self.best)).abs().nansum())

    def greatest_error(self, values: Tensor) -> float:
        """max |D(x) - D*(x)| on the support."""
        return float((values - self.best).abs()[self.support].max())


def examine(trials: Mapping[str, Trial]) -> Page:
    """Play the game, freeze G, and train D to convergence, then further by each divergence."""
    trial = trials["game"]
    play(trial, 1, lambda gan: None)
    truth = Truth(trial)
    classifier = converged(trial, fresh(trial.module.discriminator), NonSaturating(), BUDGET)
    found = {"nonsat": on_line(classifier)(truth.points).sigmoid()}
    for name, divergence in DIVERGENCES.items():
        logits = on_line(converged(trial, copy.deepcopy(classifier), FGAN(name), BUDGET // 2))(truth.points)
        found[name] = as_probability(name, divergence, logits)
    return Page(TITLE, EQUATION, LOOK, rows_of(found, truth), pictures_of(found, truth))


def converged(
    trial: Trial, discriminator: nn.Module, loss: AdversarialLoss, budget: int, samples: int = 200_000
) -> nn.Module:
    """D trained against the frozen G for `budget` times the images of the game."""
    real, _ = density_of(trial).sample(samples, torch.Generator().manual_seed(1))
    batch = 2 * trial.data.batch_size
    steps = budget * trial.run.images // batch
    fake = fakes_of(trial.module.generator, samples)
    return fit_discriminator(discriminator, loss, real, fake, steps, batch, lr=2e-3)


def as_probability(name: str, divergence: Divergence, logits: Tensor) -> Tensor:
    """What a D of any divergence says as u / (1 + u), u its density ratio; of total variation it says only u > 1."""
    if name == "total_variation":
        return divergence.activation(logits) + 0.5
    ratio = ratio_of_logit(divergence, logits).clamp(min=0)
    return ratio / (1 + ratio)


def rows_of(found: Mapping[str, Tensor], truth: Truth) -> list[Row]:
    """Mean and greatest error of each D; total variation against its own optimum, which is 1 where p_data > p_G."""
    values = found["nonsat"]
    rows = [
        Row("nonsat: mean of abs(D - D*) over (p_data + p_G) / 2", truth.mean_error(values), 0.0),
        Row("nonsat: greatest abs(D - D*) on the support", truth.greatest_error(values), 0.0),
    ]
    for name in DIVERGENCES:
        if name == "total_variation":
            right = (found[name] > 0.5) == (truth.data > truth.fake)
            rows.append(Row(f"f-GAN {name}: share of x where the sign is right", float(truth.weight[right].sum()), 1.0))
        else:
            rows.append(Row(f"f-GAN {name}: mean of abs(D - D*)", truth.mean_error(found[name]), 0.0))
    return rows


def pictures_of(found: Mapping[str, Tensor], truth: Truth) -> list[Picture]:
    """The densities with D and D* of the GAN, and the D of each divergence."""
    figure, (above, below) = panels(2, 1, 8, 2.7)
    draw_line_density(above, truth.points, truth.data, truth.fake)
    above.set(ylabel="density", title="G is frozen here; its density is exact, by the change of variables")
    above.legend()
    draw_optimum(below, found["nonsat"], truth, truth.best)
    below.set(xlabel="x", ylabel="D(x)")
    below.legend(loc="lower right")
    others, axes = panels(2, 4, 2.6, 2.3)
    for each, name in zip(axes, DIVERGENCES, strict=True):
        is_sign = name == "total_variation"
        draw_optimum(each, found[name], truth, (truth.data > truth.fake).double() if is_sign else truth.best)
        each.set_title(name, fontsize=10)
    others.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center", ncols=3)
    others.supxlabel("x")
    others.supylabel("u / (1 + u), u the density ratio that D implies")
    caption = "D after training against a frozen G, and the D* of the equation."
    return [
        Picture("density_ratio", caption, [to_picture(figure)]),
        Picture("density_ratio_divergences", "The same for every f-divergence.", [to_picture(others)]),
    ]


def draw_optimum(axes: Axes, values: Tensor, truth: Truth, best: Tensor) -> None:
    """D, and its optimum as a dashed black line where there are points to learn from."""
    best = best.where(truth.support, torch.nan)
    axes.plot(truth.points, values, color=DISCRIMINATOR, linewidth=2.2, label="D, trained")
    axes.plot(truth.points, best, color=TRUTH, linestyle="--", linewidth=1, label="D*, exact")
    outside = (~truth.support).double()
    axes.fill_between(truth.points, -0.03, 1.03, where=outside > 0, color="0.9", linewidth=0, label="hardly any points")
    axes.set(ylim=(-0.03, 1.03))


TITLE = "D is a density ratio"
EQUATION = r"""
With G fixed, the D that maximizes $E_{x \sim p_\mathrm{data}} \log D(x) + E_{x \sim p_G} \log(1 - D(x))$ is

$$D^*(x) = \frac{p_\mathrm{data}(x)}{p_\mathrm{data}(x) + p_G(x)}$$

(Goodfellow et al. 2014, equation 2). On a line $p_G(x) = \sum_{z: G(z) = x} N(z; 0, 1) / |G'(z)|$ is exact. The D of
an f-GAN with divergence $f$ has another optimum, $g(v) = f'(p_\mathrm{data} / p_G)$ (Nowozin et al. 2016), which
holds the same ratio.
"""
LOOK = """
Where there are points, D lies on D*, although it never saw a density: only samples of both sides. In the grey regions
nobody tells it anything, so what it says there means nothing. The steps of D* are kinks of G, a network of ReLUs,
which a smooth D rounds off; the greatest error sits there. Every divergence but one leads to the same ratio. D of the
total variation only says which density is greater: its optimum is a step, and not a ratio.
"""

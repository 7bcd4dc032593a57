"""A mixture of two Gaussians on a line by maximum likelihood: EM of scikit-learn, and gradient ascent."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal


class Fit(NamedTuple):
    """theta of the mixture, each (K,), in the order of the means."""

    weights: Tensor
    means: Tensor
    variances: Tensor


def mean_log_likelihood(points: Tensor, fit: Fit) -> Tensor:
    """1/N sum_i log sum_k weight_k N(x_i; mean_k, variance_k) of points (N,)."""
    mixture = MixtureSameFamily(Categorical(probs=fit.weights), Normal(fit.means, fit.variances.sqrt()))
    return mixture.log_prob(points).mean()


def expectation_maximization(points: Tensor, components: int = 2) -> Fit:
    """By scikit-learn, to a change of 1e-12."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(components, tol=1e-12, max_iter=5000, reg_covar=0.0, random_state=0)
    model.fit(points.numpy()[:, None])
    return ordered(Fit(*map(torch.from_numpy, (model.weights_, model.means_[:, 0], model.covariances_[:, 0, 0]))))


def ascend(points: Tensor, components: int = 2) -> Fit:
    """By L-BFGS on the logits of the weights, the means and the logarithms of the variances."""
    quantiles = torch.quantile(points, (torch.arange(components, dtype=points.dtype) + 0.5) / components)
    logits, means, logs = (
        start.clone().requires_grad_()
        for start in (torch.zeros_like(quantiles), quantiles, points.var().log().expand(components))
    )
    optimizer = torch.optim.LBFGS(
        [logits, means, logs], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-10, tolerance_change=1e-14
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -mean_log_likelihood(points, Fit(logits.softmax(0), means, logs.exp()))
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    return ordered(Fit(logits.softmax(0).detach(), means.detach(), logs.exp().detach()))


def ordered(fit: Fit) -> Fit:
    """The components in the order of their means."""
    order = fit.means.argsort()
    return Fit(*(each[order] for each in fit))

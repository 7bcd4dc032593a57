"""Restricted Boltzmann machines: energies, Gibbs steps, log Z and the gradient, against sums over all states."""

import itertools

import pytest
import torch

from zerosum.data.dataset import Batch
from zerosum.errors import UserError
from zerosum.families.boltzmann import BoltzmannMachine, estimate_log_z, log_mean_exp
from zerosum.families.one_loss import Noise
from zerosum.families.rbm import RBM, draw_from
from zerosum.randomness import generator


def make_machine(visible=6, hidden=4, spread=1.0):
    torch.manual_seed(0)
    machine = BoltzmannMachine(visible, hidden).double()
    with torch.no_grad():
        for weight in machine.parameters():
            weight.copy_(spread * torch.randn_like(weight))
    machine.base.copy_(0.5 * torch.randn(visible))
    return machine


def states(units):
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=units)), dtype=torch.float64)


def log_joint(machine, visible, hidden, beta=1.0):
    """(V, H) of b v + c h + h W v for all pairs, with the biases of beta."""
    bias = (1 - beta) * machine.base + beta * machine.visible_bias
    pairs = beta * (visible @ machine.weight.T @ hidden.T)
    return (visible @ bias)[:, None] + beta * (hidden @ machine.hidden_bias) + pairs


@pytest.mark.parametrize(("visible", "hidden"), [(6, 4), (4, 6)])
def test_log_z_is_the_sum_over_all_states_of_both_sides(visible, hidden):
    machine = make_machine(visible, hidden)
    every = log_joint(machine, states(visible), states(hidden))
    assert float(machine.log_z()) == pytest.approx(float(every.detach().flatten().logsumexp(0)), abs=1e-12)
    torch.testing.assert_close(machine.log_weight(states(visible)), every.logsumexp(1))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_a_gibbs_step_leaves_its_distribution_as_it_is(beta):
    """The matrix of transitions v -> v', summed over h, applied to p_beta gives p_beta."""
    machine, visible, hidden = make_machine(), states(6), states(4)
    given_visible = log_joint(machine, visible, hidden, beta).log_softmax(1).exp()  # (V, H)
    on = machine.visible_given(hidden, beta)[:, None]  # (H, 1, visible)
    given_hidden = (visible * on + (1 - visible) * (1 - on)).prod(2)  # (H, V)
    torch.testing.assert_close((machine.hidden_given(visible, beta)), given_visible @ hidden)
    probability = machine.log_weight(visible, beta).softmax(0)
    torch.testing.assert_close(probability @ given_visible @ given_hidden, probability)


def test_gibbs_chains_visit_states_in_proportion_to_their_probability():
    """Chi squared of 15 degrees of 20,000 chains after 60 steps, below 44.3 at p = 1e-4."""
    machine = make_machine(4, 3, 0.7)
    draw = draw_from(generator(1, "test"), torch.empty(20_000, 1, dtype=torch.float64))
    visible = machine.start(draw)
    for _ in range(60):
        visible = machine.step(visible, draw)
    index = (visible.long() * torch.tensor([8, 4, 2, 1])).sum(1)
    expected = 20_000 * machine.log_weight(states(4)).detach().softmax(0)
    assert float(((torch.bincount(index, minlength=16) - expected).square() / expected).sum()) < 44.3


def test_annealed_importance_sampling_encloses_the_exact_log_z():
    """12 visible and 10 hidden units: both ways to 0.05 nats with 500 temperatures, and the weights are unbiased."""
    machine = make_machine(12, 10, 0.8)
    exact = float(machine.log_z())
    draw = draw_from(generator(0, "test"), torch.empty(400, 1, dtype=torch.float64))
    estimate = estimate_log_z(machine, 400, 500, draw)
    assert abs(estimate.forward - exact) < 4 * estimate.deviation < 0.1
    assert estimate.reverse == pytest.approx(exact, abs=0.1)
    # With few temperatures the mean of Z still is Z, while log Z is too low forward and too high in reverse.
    few = [
        estimate_log_z(machine, 10, 3, draw_from(generator(index, "test"), torch.empty(10, 1, dtype=torch.float64)))
        for index in range(400)
    ]
    forward = torch.tensor([each.forward for each in few], dtype=torch.float64)
    assert float(forward.mean()) < exact - 0.1 < exact + 0.1 < sum(each.reverse for each in few) / len(few)
    relative = (forward - exact).exp()
    assert abs(log_mean_exp(forward) - exact) < 4 * float(relative.std() / relative.mean() / len(few) ** 0.5)


def make(shape=(1, 2, 3), **options):
    torch.manual_seed(0)
    model = RBM(shape, torch.optim.SGD, levels=2, **{"hidden": 4, "ais_temperatures": 50, **options})
    with torch.no_grad():
        for own, average in zip(model.network.parameters(), model.average.parameters(), strict=True):
            own.copy_(torch.randn_like(own))
            average.copy_(own)
    return model


@pytest.mark.parametrize("chains", [None, 50_000])
def test_the_gradient_of_long_chains_is_that_of_the_likelihood(chains):
    """E_data[h v] - E_model[h v], exactly by summation, to 4 deviations of 50,000 chains of 30 steps."""
    model = make(gibbs_steps=30, chains=chains)
    data = (torch.rand(50_000, 1, 2, 3, generator=torch.Generator().manual_seed(3)) < 0.3).float() * 2 - 1
    if chains:
        model.chains = model.walk(model.chains, draw_from(generator(5, "test"), model.chains))
    noise = Noise((0, 0, "noise"), 0, len(data), len(data), torch.device("cpu"))
    loss, _ = model.loss(Batch(data, None), noise)
    (found,) = torch.autograd.grad(loss, [model.network.weight])
    machine = model.network.double()
    log_z = machine.log_weight(states(6)).logsumexp(0)
    likelihood = machine.log_weight(((data + 1) / 2).flatten(1).double()).mean() - log_z
    (expected,) = torch.autograd.grad(-likelihood, [machine.weight])
    assert (found - expected).abs().max() < 4 * 0.5 / 50_000**0.5


def test_probabilities_of_all_images_sum_to_one():
    model = make((1, 3, 3))
    images = states(9).view(-1, 1, 3, 3).float() * 2 - 1
    assert model.likelihood == "exact"
    assert float(model.log_prob(images).exp().sum()) == pytest.approx(1, abs=1e-5)
    assert make((1, 5, 5), hidden=21).likelihood.startswith("estimate, log Z by AIS of 100 chains")


def test_facts_hold_both_estimates_and_follow_the_weights():
    model = make()
    before = model.facts()
    assert before["log_z_ais_forward"] == pytest.approx(before["log_z"], abs=0.5)
    assert before["log_z_ais_reverse"] == pytest.approx(before["log_z"], abs=0.5)
    model.average.visible_bias.data += 1
    assert model.facts()["log_z"] != before["log_z"]


def test_image_i_depends_on_seed_i_alone():
    model = make((1, 4, 4), sampling_steps=30)
    together = model.sample(range(12))
    assert torch.equal(torch.cat([model.sample([seed]) for seed in range(12)]), together)
    assert together.shape == (12, 1, 4, 4) and together.unique().tolist() == [-1, 1]


def test_gray_levels_and_points_are_refused():
    for shape, levels in (((1, 8, 8), 256), ((2,), None)):
        with pytest.raises(UserError, match="RBM models pixels that are black or white"):
            RBM(shape, torch.optim.SGD, levels=levels)

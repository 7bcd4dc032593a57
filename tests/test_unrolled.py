"""Looking ahead at the discriminator, against torch's own optimizers."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from zerosum.errors import UserError
from zerosum.gan.unrolled import check_optimizer, unrolled


def cost_of(network, images):
    return lambda weights: functional_call(network, weights, (images,)).square().mean()


@pytest.mark.parametrize(
    "make",
    [lambda w: torch.optim.Adam(w, lr=0.01, betas=(0.5, 0.9)), lambda w: torch.optim.SGD(w, lr=0.1)],
    ids=["adam", "sgd"],
)
@pytest.mark.parametrize("already", [0, 2])
def test_unrolled_weights_are_those_that_the_optimizer_would_reach(make, already):
    torch.manual_seed(0)
    network, images = nn.Linear(3, 1).double(), torch.randn(5, 3, dtype=torch.float64)
    optimizer = make(network.parameters())
    step(network, optimizer, images, already)
    ahead = unrolled(network, optimizer, cost_of(network, images), 3)
    step(network, optimizer, images, 3)
    for name, weight in network.named_parameters():
        torch.testing.assert_close(ahead[name], weight, rtol=1e-7, atol=1e-9)


def step(network, optimizer, images, times):
    for _ in range(times):
        optimizer.zero_grad()
        network(images).square().mean().backward()
        optimizer.step()


def test_gradients_flow_through_the_unrolled_steps():
    torch.manual_seed(0)
    network = nn.Linear(3, 1).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    start = copy.deepcopy(dict(network.named_parameters()))

    def score(images):
        ahead = unrolled(network, optimizer, cost_of(network, images), 2)
        return functional_call(network, ahead, (torch.ones(1, 3, dtype=torch.float64),))

    assert torch.autograd.gradcheck(score, torch.randn(4, 3, dtype=torch.float64, requires_grad=True))
    for name, weight in network.named_parameters():
        assert torch.equal(weight, start[name]), "the present discriminator stays as it is"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (torch.optim.RMSprop, "RMSprop"),
        (torch.optim.AdamW, "AdamW with weight_decay"),
        (lambda w: torch.optim.Adam(w, weight_decay=0.1), "Adam with weight_decay"),
        (lambda w: torch.optim.Adam(w, amsgrad=True), "Adam with amsgrad"),
        (lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9), "SGD with momentum"),
        (torch.optim.NAdam, "NAdam"),
    ],
)
def test_optimizers_whose_steps_are_not_unrolled_are_refused(make, name):
    with pytest.raises(UserError, match=f"D's optimizer is {name}: use optimizer=adam"):
        check_optimizer(make(nn.Linear(1, 1).parameters()))


@pytest.mark.parametrize("make", [torch.optim.Adam, lambda w: torch.optim.AdamW(w, weight_decay=0.0), torch.optim.SGD])
def test_plain_optimizers_are_unrolled(make):
    check_optimizer(make(nn.Linear(1, 1).parameters()))

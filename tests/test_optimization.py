"""One optimizer's step: clipping and the loss scaler of 16-mixed."""

import pytest
import torch

from zerosum.training import optimization


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_scaled_gradients_are_unscaled_once_before_clipping_and_stepping(make, clip):
    """A step with a scale of 1024 equals the step without; an optimizer that is not fused once raised here."""
    weights = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0)):
        weight = torch.nn.Parameter(torch.tensor([3.0, -4.0]))
        optimizer = make([weight], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            optimization.backward(weight.square().sum() / 2, optimizer, scaler)
            optimization.step(optimizer, clip, scaler)
        weights.append(weight.detach().clone())
    torch.testing.assert_close(weights[1], weights[0])
    if make is torch.optim.SGD and clip is not None:
        start = torch.tensor([3.0, -4.0])
        torch.testing.assert_close(weights[0], start * (1 - 2 * 0.1 * 0.5 / 5))  # along the gradient, by 0.1 * 0.5


def test_a_step_whose_gradients_overflow_is_skipped_and_the_scale_halved():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer, scaler = torch.optim.SGD([weight], lr=0.1), torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimization.backward(weight.sum() * 1e38, optimizer, scaler)
    optimization.step(optimizer, 1.0, scaler)
    assert weight.item() == 1.0 and scaler.get_scale() == 512.0

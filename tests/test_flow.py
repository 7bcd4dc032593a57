"""RealNVP against autograd's Jacobian, quadrature and zuko."""

import math

import pytest
import torch

from zerosum.errors import UserError
from zerosum.families.flow import Coupling, Flow, RealNVP, every_other
from zerosum.families.levels import from_levels


def trained(shape, levels=None, **options):
    """A flow far from the identity."""
    torch.manual_seed(0)
    flow = RealNVP(shape, None, levels=levels, **{"couplings": 3, "width": 8, **options})
    with torch.no_grad():
        for layer in flow.modules():
            if isinstance(layer, Coupling):
                torch.nn.init.normal_(layer.layers[-1].weight, 0, 0.2)
                torch.nn.init.normal_(layer.layers[-1].bias, 0, 0.2)
    flow.ema.network.load_state_dict(flow.network.state_dict())
    return flow.eval()


@pytest.mark.parametrize("glow", [False, True])
@pytest.mark.parametrize(("shape", "levels"), [((2,), None), ((3, 8, 8), 2), ((1, 28, 28), 256), ((2, 8, 16), 4)])
@torch.inference_mode()
def test_it_is_invertible_in_float32(shape, levels, glow):
    flow = trained(shape, levels, glow=glow)
    x = torch.rand(6, *shape, generator=torch.Generator().manual_seed(1))
    z, _ = flow.network(x)
    assert float((flow.network.inverse(z.flatten(1)) - x).abs().max()) < 1e-5 * max(1.0, float(x.abs().max()))
    assert float((z.view_as(x) - x).abs().max()) > 0.1


@pytest.mark.parametrize(("shape", "glow"), [((2,), True), ((1, 8, 8), False), ((1, 8, 8), True)])
def test_log_det_is_that_of_the_jacobian(shape, glow):
    """By autograd, in float64."""
    flow = trained(shape, None if len(shape) == 1 else 2, glow=glow).network.double()
    x = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    jacobian = torch.autograd.functional.jacobian(lambda point: flow(point)[0].flatten(), x).view(x.numel(), -1)
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(flow(x)[1][0], expected, rtol=1e-6, atol=1e-6)  # slogdet of the 1x1 is in float32


@pytest.mark.parametrize("glow", [False, True])
@torch.inference_mode()
def test_the_density_of_points_integrates_to_1(glow):
    flow, reach, count = trained((2,), glow=glow), 16.0, 801
    axis = torch.linspace(-reach, reach, count)
    points = torch.cartesian_prod(axis, axis)
    total = flow.log_prob(points).double().exp().sum() * (2 * reach / (count - 1)) ** 2
    assert float(total) == pytest.approx(1, abs=2e-3)


@torch.inference_mode()
def test_dequantization_bounds_the_probability_of_an_image():
    """Of two pixels of three levels: the density over each cell by quadrature, at most 1 over all cells."""
    flow, fine = trained((1, 1, 2), 3, couplings=2), 200
    axis = (torch.arange(fine) + 0.5) / fine
    cells = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    total = 0.0
    for first in range(3):
        for second in range(3):
            image = from_levels(torch.tensor([first, second]), 3).view(1, 1, 1, 2)
            density = flow.log_prob_of(flow.network, image.expand(len(cells), -1, -1, -1), cells)
            exact = float(density.double().logsumexp(0)) - math.log(len(cells))
            assert float(density.double().mean()) < exact
            total += math.exp(exact)
    assert 0.5 < total < 1  # the rest lies beyond the ends of the logit transform


@torch.inference_mode()
def test_it_agrees_with_zuko_on_equal_weights():
    zuko = pytest.importorskip("zuko")
    torch.manual_seed(0)
    ours = trained((6,), couplings=4).network
    transforms = []
    for coupling in ours.layers:
        mask = coupling.mask.flatten().bool()

        def meta(kept, coupling=coupling, mask=mask):
            whole = torch.zeros(len(kept), len(mask)).masked_scatter(mask, kept)
            log_scale, shift = coupling.layers(whole[:, :, None, None])[:, :, 0, 0].chunk(2, 1)
            affine = zuko.transforms.MonotonicAffineTransform(shift[:, ~mask], log_scale[:, ~mask], slope=1e-3)
            return zuko.transforms.DependentTransform(affine, 1)

        transforms.append(zuko.transforms.CouplingTransform(meta, mask))
    theirs = zuko.distributions.NormalizingFlow(
        zuko.transforms.ComposedTransform(*transforms), zuko.distributions.DiagNormal(torch.zeros(6), torch.ones(6))
    )
    x = torch.randn(50, 6)
    torch.testing.assert_close(ours.log_prob(x), theirs.log_prob(x), rtol=1e-4, atol=1e-4)


def test_a_coupling_starts_as_the_identity_and_keeps_its_half():
    coupling = Coupling(every_other(4), 4, 8)
    x = torch.randn(3, 4, 1, 1)
    assert torch.equal(coupling(x).y, x)
    torch.nn.init.normal_(coupling.layers[-1].weight)
    kept = every_other(4)[:, 0, 0].bool()
    assert torch.equal(coupling(x).y[:, kept], x[:, kept]) and not torch.equal(coupling(x).y, x)


def test_one_number_is_refused():
    with pytest.raises(UserError, match="take data of two or more"):
        RealNVP((1,), None, levels=None)
    assert isinstance(trained((2,)).network, Flow)


@pytest.mark.parametrize("shape", [(1, 7, 7), (1, 4, 4), (3, 8, 9)])
def test_images_without_a_checkerboard_of_even_sides_are_refused(shape):
    """There each pixel of one channel would be independent of the others."""
    with pytest.raises(UserError, match="even sides of 8 or more"):
        RealNVP(shape, None)

"""Autoregressive families: distributions that sum to 1, no blind spot, and images that are the same however drawn."""

import itertools
import math

import pytest
import torch

from zerosum.errors import UserError
from zerosum.families.autoregressive import Choice
from zerosum.families.levels import from_levels
from zerosum.families.made import MADE
from zerosum.families.nade import NADE
from zerosum.families.pixelcnn import PixelCNN
from zerosum.families.pixelrnn import PixelRNN, skew, unskew
from zerosum.sampling import uniforms

FAMILIES = {
    "made": (MADE, {"width": 24, "depth": 2}),
    "made_orders": (MADE, {"width": 24, "depth": 2, "orders": 3}),
    "nade": (NADE, {"width": 10}),
    "pixelcnn": (PixelCNN, {"width": 6, "depth": 2, "first_kernel": 5}),
    "pixelrnn": (PixelRNN, {"width": 8, "depth": 2}),
}
BINARY = ("made", "made_orders", "nade")
each_family = pytest.mark.parametrize("name", FAMILIES)


def make(name, shape=(1, 3, 3), levels=2, spread=1.0):
    """A family whose weights are `spread` times their initial ones, in float32."""
    torch.manual_seed(0)
    family, options = FAMILIES[name]
    made = family(shape, torch.optim.SGD, levels=levels, **options)
    with torch.no_grad():
        for weight in made.ema.network.parameters():
            weight.copy_(spread * (weight + 0.2 * torch.randn_like(weight)))
    made.load_state_dict(made.state_dict())
    return made


def all_images(shape, levels):
    values = torch.tensor(list(itertools.product(range(levels), repeat=math.prod(shape))))
    return from_levels(values, levels).view(-1, *shape)


@each_family
@pytest.mark.parametrize(("shape", "levels"), [((1, 3, 3), 2), ((1, 2, 2), 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_of_all_images_sum_to_one(name, shape, levels, dtype):
    """512 images of 3x3 binary pixels, 256 of 2x2 pixels of 4 levels."""
    if levels > 2 and name in BINARY:
        return
    network = make(name, shape, levels, 2.0).average.to(dtype)
    probabilities = network.log_prob(all_images(shape, levels).to(dtype)).exp()
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5 if dtype == torch.float32 else 1e-12)
    assert probabilities.max() > 4 / len(probabilities)  # and they are not all alike


@each_family
def test_samples_have_the_probabilities_of_the_likelihood(name):
    """Frequencies of the 16 images of 2x2 pixels among 20,000: chi squared of 15 degrees, below 44.3 at p = 1e-4."""
    model = make(name, (1, 2, 2), spread=1.5)
    images = all_images((1, 2, 2), 2)
    expected = 20_000 * model.log_prob(images).exp().detach()
    torch.manual_seed(1)
    drawn = model.average.double().generate(Choice(torch.rand(20_000, 4, dtype=torch.float64)))
    index = ((drawn.flatten(1) > 0).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    counted = torch.bincount(index, minlength=16)
    assert float(((counted - expected).square() / expected).sum()) < 44.3


@each_family
def test_each_value_depends_on_all_values_before_it_and_on_no_other(name):
    """Gradients of each logit, in float64: the blind spot of plain masked convolutions would be a zero before i."""
    shape = (1, 5, 6)
    network = make(name, shape).average.double()
    if name == "pixelcnn":
        network = PixelCNN(shape, torch.optim.SGD, levels=2, width=6, depth=4, first_kernel=5).average.double()
    orders = network.degrees[:, :30].tolist() if name.startswith("made") else [range(30)]
    for index, places in enumerate(orders):
        places = torch.tensor(list(places))
        images = torch.randn(16, *shape, dtype=torch.float64, requires_grad=True)
        logits = (network(images, index) if name.startswith("made") else network(images)).sum(0).flatten()
        for place in range(30):
            (gradient,) = torch.autograd.grad(logits[place], images, retain_graph=True)
            seen = gradient.abs().sum(0).flatten()
            before = places < places[place]
            assert seen[~before].max() == 0, place
            assert (seen[before] > 0).all(), place


def test_a_plain_masked_convolution_would_have_failed_that_test():
    """Two layers of 3x3 masked convolutions do not see the pixel two rows up and two to the right."""
    mask = torch.tensor([[1.0, 1, 1], [1, 1, 0], [0, 0, 0]])
    first = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0]])
    image = torch.zeros(1, 1, 5, 6, requires_grad=True)
    features = image
    for each in [first, *[mask] * 6]:
        features = torch.nn.functional.conv2d(features, each.view(1, 1, 3, 3), padding=1)
    (gradient,) = torch.autograd.grad(features[0, 0, 4, 1], image)
    assert gradient[0, 0, 3, 5] == 0 and gradient[0, 0, 0, 0] != 0


@each_family
def test_kept_and_naive_sampling_give_the_same_images_bit_for_bit(name):
    model = make(name, (1, 5, 4), 2 if name in BINARY else 3, spread=1.5)
    kept, naive = model.generate(range(40)), model.generate(range(40), naively=True)
    if name == "made_orders":  # naive is its first order alone
        return
    assert torch.equal(kept, naive)
    assert len({tuple(image) for image in kept.flatten(1).tolist()}) > 30


@pytest.mark.parametrize("name", ["nade", "pixelcnn", "pixelrnn"])
def test_kept_and_naive_logits_agree(name):
    """To 1e-12 in float64 and 1e-5 in float32, where a probability could fall on the other side of a uniform."""

    class Recorder(Choice):
        def __call__(self, place, logits):
            self.logits = [*getattr(self, "logits", []), logits]
            return super().__call__(place, logits)

    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        network = make(name, (1, 4, 5), spread=1.5).average.to(dtype)
        drawn = uniforms(range(8), 20).to(dtype)
        with torch.no_grad():
            kept, naive = Recorder(drawn), Recorder(drawn)
            network.generate(kept)
            network.generate_naively(naive)
        torch.testing.assert_close(torch.stack(kept.logits), torch.stack(naive.logits), rtol=tolerance, atol=tolerance)


@each_family
def test_image_i_depends_on_seed_i_alone(name):
    model = make(name, (1, 4, 4), spread=1.5)
    together = model.sample(range(20))
    assert torch.equal(torch.cat([model.sample([seed]) for seed in range(20)]), together)
    assert together.abs().max() == 1


@pytest.mark.parametrize("name", ["made", "nade", "pixelcnn", "pixelrnn"])
def test_the_lower_half_is_drawn_given_the_upper_half(name):
    """Frequencies of 2x2 images given the upper row against the ratio of likelihoods: to 4 deviations."""
    model = make(name, (1, 2, 2), spread=1.5)
    upper = all_images((1, 1, 2), 2)[1]
    possible = torch.cat([upper.expand(4, 1, 1, 2), all_images((1, 1, 2), 2)], 2)
    expected = model.log_prob(possible).softmax(0).detach()
    drawn = model.complete(possible[:1].expand(4000, 1, 2, 2), 1, range(4000))
    assert torch.equal(drawn[:, :, :1], upper.expand(4000, 1, 1, 2))
    index = ((drawn[:, 0, 1] > 0).long() * torch.tensor([2, 1])).sum(1)
    found = torch.bincount(index, minlength=4) / 4000
    assert ((found - expected).abs() < 4 * (expected * (1 - expected) / 4000).sqrt()).all()


def test_several_orders_complete_nothing():
    with pytest.raises(UserError, match=r"with model\.orders=1"):
        make("made_orders").complete(torch.ones(1, 1, 3, 3), 1, [0])


def test_points_and_colours_are_refused():
    for family in (MADE, NADE, PixelCNN, PixelRNN):
        with pytest.raises(UserError, match="this dataset has points"):
            family((2,), torch.optim.SGD, levels=None)
    for family in (PixelCNN, PixelRNN):
        with pytest.raises(UserError, match="gray images, this dataset has 3 channels"):
            family((3, 4, 4), torch.optim.SGD, levels=256)
    for family in (MADE, NADE):
        with pytest.raises(UserError, match="black or white, this dataset has pixels of 256 levels"):
            family((1, 4, 4), torch.optim.SGD, levels=256)
    with pytest.raises(UserError, match="odd numbers"):
        PixelCNN((1, 4, 4), torch.optim.SGD, levels=2, kernel=4)


def test_diagonals_are_skewed_and_put_back():
    images = torch.arange(24.0).view(1, 3, 4, 2)
    skewed = skew(images, -1)
    assert skewed.shape == (1, 3, 6, 2) and skewed[0, 1, :, 0].tolist() == [-1, 8, 10, 12, 14, -1]
    assert torch.equal(unskew(skewed), images)


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 1.5])
@pytest.mark.parametrize("family", [MADE, PixelCNN])
def test_a_share_of_units_that_is_none_is_refused(family, dropout):
    with pytest.raises(UserError, match="from 0 to below 1"):
        family((1, 8, 8), lambda parameters: None, levels=2, dropout=dropout)

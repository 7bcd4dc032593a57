"""Data of a known density: it integrates to 1, is that of the samples, and has a metric that needs no modes."""

import math

import numpy as np
import pytest
import torch

from zerosum.data.checkerboard import Checkerboard
from zerosum.data.curves import SwissRoll, TwoMoons
from zerosum.data.mixtures import Gaussian1D, Grid, Mixture1D, Ring
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.evaluation.mode_coverage import ModeCoverage
from zerosum.evaluation.point_metrics import PointsWasserstein, sliced_wasserstein
from zerosum.evaluation.point_protocol import PointProtocol
from zerosum.evaluation.sample_diagnostics import diagnose_points

CPU = torch.device("cpu")
LINE = [Gaussian1D(0.5, 0.7), Mixture1D((-2.0, 0.0, 1.0), 0.3)]
PLANE = [Ring(sigma=0.2), Grid(sigma=0.2), SwissRoll(gaussians=200), TwoMoons(gaussians=100), Checkerboard()]
NAMES = [type(data).__name__ for data in (*LINE, *PLANE)]


def cells(data, count):
    """Middles of equal cells of [-reach, reach]^d, (count^d, d), and the size of a cell."""
    width = 2 * data.reach / count
    ticks = -data.reach + width * (torch.arange(count, dtype=torch.float64) + 0.5)
    mesh = torch.cartesian_prod(ticks, ticks) if data.sample_shape == (2,) else ticks[:, None]
    return mesh, width ** len(mesh[0])


@pytest.mark.parametrize("data", [*LINE, *PLANE], ids=NAMES)
def test_log_prob_integrates_to_one_and_agrees_with_samples(data):
    """Midpoints of 180 x 180 cells, 40 to a square of the board; shares of 50,000 samples in 10 x 10 cells."""
    mesh, size = cells(data, 180)
    masses = data.log_prob(mesh).exp() * size
    assert float(masses.sum()) == pytest.approx(1, abs=1e-3)
    points, _ = data.sample(50_000, torch.Generator().manual_seed(0))
    assert points.shape == (50_000, *data.sample_shape)

    def share(places, weights):
        cell = ((places.double() / data.reach + 1) * 5).floor().clamp(0, 9).long()  # ten to a side
        index = cell[:, 0] * 10 + cell[:, 1] if data.sample_shape == (2,) else cell[:, 0]
        return torch.bincount(index, weights, minlength=100)

    difference = share(points, torch.full((50_000,), 1 / 50_000)) - share(mesh, masses)
    assert float(difference.abs().max()) < 0.007  # 3 standard deviations of a share of 1/2


@pytest.mark.parametrize("data", [*LINE, *PLANE], ids=NAMES)
def test_the_mean_log_density_of_samples_is_the_negative_entropy(data):
    mesh, size = cells(data, 180)
    log_density = data.log_prob(mesh)
    entropy = -float((log_density.exp() * log_density.clamp(min=-700)).sum() * size)
    points, _ = data.sample(20_000, torch.Generator().manual_seed(1))
    assert float(-data.log_prob(points.double()).mean()) == pytest.approx(entropy, abs=0.03)


def test_the_curves_are_those_of_scikit_learn():
    from sklearn.datasets import make_moons, make_swiss_roll

    moons, _ = TwoMoons(sigma=0.1).sample(20_000, torch.Generator().manual_seed(0))
    theirs = torch.from_numpy(make_moons(20_000, noise=0.1, random_state=0)[0]).float() - torch.tensor([0.5, 0.25])
    assert sliced_wasserstein(moons, theirs) < 0.02
    roll, _ = SwissRoll(sigma=0.1).sample(20_000, torch.Generator().manual_seed(0))
    scale = 3 / (4.5 * math.pi)
    theirs = torch.from_numpy(make_swiss_roll(20_000, noise=0.1 / scale, random_state=0)[0][:, [0, 2]] * scale).float()
    assert sliced_wasserstein(roll, theirs) < 0.05


def test_points_and_labels_are_functions_of_seed_and_index():
    moons = TwoMoons()
    batch = moons.stream(3, CPU).batch(5, 64, slice(0, 64))
    assert torch.equal(batch.images, moons.stream(3, CPU).batch(5, 64, slice(0, 64)).images)
    assert batch.condition.unique().tolist() == [0, 1] and moons.num_classes == 2
    assert Checkerboard().stream(0, CPU).batch(0, 4, slice(0, 4)).condition is None


def test_a_board_of_four_squares_has_eight_black_ones_of_area_one():
    board = Checkerboard()
    black, white = board.log_prob(torch.tensor([[-1.5, -1.5], [-0.5, -1.5]]))
    assert float(black) == pytest.approx(-math.log(8)) and white == -math.inf


def test_a_distance_of_points_is_that_of_the_shift():
    """W1 of a shift by (3, 4) is 5 |cos| in each direction: 5 * 2 / pi on average."""
    points = torch.randn(1000, 2, dtype=torch.float64)
    shifted = points + torch.tensor([3.0, 4.0])
    assert sliced_wasserstein(points, shifted) == pytest.approx(10 / math.pi, rel=1e-3)
    assert sliced_wasserstein(points[:, :1], points[:, :1] + 2) == pytest.approx(2)


class Samples:
    """A model whose samples are points of a dataset."""

    def __init__(self, data):
        self.data = data

    def sample(self, seeds, condition=None):
        return self.data.sample(len(seeds), torch.Generator().manual_seed(7))[0]


@pytest.mark.parametrize("data", [Gaussian1D(), SwissRoll(), Checkerboard()], ids=lambda data: data.name)
def test_data_without_modes_are_measured_by_their_distance(data):
    protocol = PointProtocol("points", {"modes": ModeCoverage(), "w": PointsWasserstein()}, n_fake=4000)
    protocol.prepare(data)
    values = protocol.measure(Samples(data))
    assert 0 < values["points_wasserstein"] < 0.1
    assert protocol.floor()["points_wasserstein"] == pytest.approx(values["points_wasserstein"], abs=0.05)
    assert ("modes" in protocol.left_out) == (not isinstance(data, Gaussian1D))
    assert protocol.diagnose()["diversity"] == pytest.approx(1, abs=0.1)
    assert protocol.card()["dataset"] == data.name


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        (Gaussian1D(), Gaussian1D(mean=5.0)),
        (Mixture1D(), Mixture1D([0.0, 9.0])),
        (Ring(), Ring(radius=5.0)),
        (Grid(), Grid(spacing=1.0)),
        (SwissRoll(), SwissRoll(radius=1.0)),
    ],
    ids=lambda data: data.name,
)
def test_cards_of_different_distributions_differ_and_usual_ones_are_as_they_were(usual, other):
    assert usual.describe() != other.describe()
    assert set(usual.describe()) <= {"modes_in_all", "gaussians", "sigma"}


def test_diversity_is_measured_without_modes():
    assert diagnose_points(SwissRoll(), torch.zeros(100, 2)) == {"diversity": 0.0}


def test_images_have_no_known_density():
    with pytest.raises(UserError, match="needs a known distribution"):
        PointProtocol("points", {"w": PointsWasserstein()}).prepare(Synthetic())


@pytest.mark.parametrize("data", [Gaussian1D(), TwoMoons(), Checkerboard()], ids=lambda data: data.name)
def test_samples_are_orange_over_a_blue_density(data):
    samples = data.sample(500, torch.Generator().manual_seed(0))[0]
    picture, without = (np.asarray(data.draw(points)).astype(int) for points in (samples, samples + 99))
    changed = (picture != without).any(2)
    assert 0.001 < changed.mean() < 0.5
    red, green, blue = (picture - without)[changed].mean(0)
    assert red > green > blue


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian1D(sigma=0), "dataset.sigma=0"),
        (lambda: Mixture1D([]), "dataset.means makes 0 modes"),
        (lambda: SwissRoll(sigma=-1), "dataset.sigma=-1"),
        (lambda: TwoMoons(gaussians=3), "dataset.gaussians=3"),
        (lambda: Checkerboard(squares=1), "dataset.squares=1"),
        (lambda: Gaussian1D(mean=math.nan), "dataset.mean: nan is no place"),
        (lambda: Mixture1D([math.inf]), "dataset.means: inf is no place"),
        (lambda: SwissRoll(radius=0), "dataset.radius=0: take a number above 0"),
        (lambda: SwissRoll(radius=math.inf), "dataset.radius=inf"),
        (lambda: Ring(radius=math.nan), "dataset.radius=nan"),
        (lambda: Grid(spacing=-1), "dataset.spacing=-1"),
        (lambda: Grid(side=-3), "dataset.side makes -9 modes"),
        (lambda: SwissRoll(gaussians=20), "Gaussians that stand 1.4 apart would be modes of their own"),
        (lambda: SwissRoll(sigma=0.005), "dataset.sigma=0.005"),
        (lambda: TwoMoons(gaussians=20), "take more dataset.gaussians"),
    ],
)
def test_impossible_options_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize("density", [*LINE, Ring(), Grid(), Mixture1D()], ids=lambda density: density.name)
def test_the_card_of_a_density_holds_words_and_numbers(density):
    """A list on it made a run's own checkpoint unreadable."""
    assert all(isinstance(value, str | int | float) for value in density.describe().values())

"""Frechet distance, features and mode figures, against closed forms and reference libraries."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from zerosum.data.mixtures import Ring
from zerosum.data.pictures import PictureDataset, Split
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.evaluation.frechet import FrechetDistance
from zerosum.evaluation.modes import ModeCoverage, mode_figures
from zerosum.features import ClassifierFeatures, InceptionFeatures
from zerosum.sampling import from_uint8


class FirstPixels(nn.Module):
    """Features that are three pixels of the picture."""

    num_features = 3

    def forward(self, pictures):
        return pictures.flatten(1)[:, :3].float()


class Pixels:
    resize = "none"
    network = FirstPixels()

    def prepare(self, dataset):
        pass

    def describe(self):
        return {"features": "pixels"}


class Arrays(PictureDataset):
    """Given pictures."""

    channels = 1

    def __init__(self, train, test, root):
        super().__init__(4, str(root))
        self.arrays = {"train": train, "test": test}

    def read(self, split):
        return Split(self.arrays[split], None)


class Fixed:
    """A model whose sample of seed i is picture i."""

    def __init__(self, pictures):
        self.pictures = from_uint8(torch.from_numpy(pictures).permute(0, 3, 1, 2))

    def sample(self, seeds, labels=None):
        return self.pictures[list(seeds)]


def drawn(count, low, high, seed):
    return np.random.default_rng(seed).integers(low, high, (count, 4, 4, 1), dtype=np.uint8)


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6, by scipy's matrix square root in float64."""
    from scipy.linalg import sqrtm

    x, y = (pictures.reshape(len(pictures), -1)[:, :3].astype(np.float64) for pictures in (one, other))
    root = sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root))


@pytest.fixture
def protocol(tmp_path):
    made = FrechetDistance(Pixels(), n_fake=200, batch_size=37)
    made.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path))
    return made


def test_frechet_distance_is_that_of_scipys_square_root(protocol):
    fakes = drawn(200, 10, 100, 3)
    expected = frechet(fakes, protocol.dataset.split("test").images)
    assert protocol.measure(Fixed(fakes))["fid"] == pytest.approx(expected, rel=1e-5)


def test_floor_is_train_against_test(protocol):
    expected = frechet(protocol.dataset.split("train").images, protocol.dataset.split("test").images)
    assert protocol.floor()["fid"] == pytest.approx(expected, rel=1e-5)


def test_measuring_twice_gives_the_same_value_and_does_not_count_reals_twice(protocol):
    model = Fixed(drawn(200, 10, 100, 3))
    assert protocol.measure(model) == protocol.measure(model)
    assert protocol.card()["n_real"] == 90


def test_real_statistics_are_read_from_the_cache_and_made_anew_for_other_pictures(protocol, tmp_path, monkeypatch):
    again = FrechetDistance(Pixels(), n_fake=200, batch_size=10)
    monkeypatch.setattr(FrechetDistance, "metric", lambda self: pytest.fail("computed again"))
    again.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path))
    for name, total in protocol.real.items():
        assert torch.equal(total, again.real[name])
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        again.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 7), tmp_path))


def test_samples_that_are_not_finite_are_refused(protocol):
    model = SimpleNamespace(sample=lambda seeds, labels=None: torch.full((len(seeds), 1, 4, 4), math.nan))
    with pytest.raises(UserError, match="NaN"):
        protocol.measure(model)


def test_one_sample_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        FrechetDistance(Pixels(), n_fake=1)


def test_points_are_sent_to_the_other_protocol():
    with pytest.raises(UserError, match="protocol=modes"):
        FrechetDistance(Pixels()).prepare(Ring())
    with pytest.raises(UserError, match="protocol=frechet"):
        ModeCoverage().prepare(Synthetic())


def test_the_classifier_learns_is_deterministic_and_cached(tmp_path, monkeypatch):
    dataset = Synthetic(16, count=512, root=str(tmp_path / "one"))
    first, other = ClassifierFeatures(steps=60), ClassifierFeatures(steps=60)
    first.prepare(dataset)
    assert first.accuracy > 0.95
    other.prepare(Synthetic(16, count=512, root=str(tmp_path / "two")))
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, other.network.state_dict()[name]), name
    monkeypatch.setattr(ClassifierFeatures, "train", lambda *_: pytest.fail("trained again"))
    cached = ClassifierFeatures(steps=60)
    cached.prepare(dataset)
    assert cached.describe() == first.describe()


def test_classifier_features_are_standardized_over_the_training_split(tmp_path):
    dataset = Synthetic(16, root=str(tmp_path))
    features = ClassifierFeatures(steps=20)
    features.prepare(dataset)
    values = torch.cat([features.network(batch) for batch in dataset.batches("train", 100)])
    torch.testing.assert_close(values.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(values.std(0), torch.ones(64), atol=1e-3, rtol=0)


def test_the_classifier_needs_labels(tmp_path):
    with pytest.raises(UserError, match="features=inception"):
        ClassifierFeatures().prepare(Arrays(drawn(9, 0, 9, 0), drawn(9, 0, 9, 0), tmp_path))


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory):
    """Random weights in the real file's format."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inception, "load_state_dict", lambda *_, **__: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        torch.save(Inception("inception-v3-compat", ["2048"]).state_dict(), path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_inception_features_are_torch_fidelitys(inception_weights, channels):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    features = InceptionFeatures(str(inception_weights))
    features.prepare(Synthetic())
    pictures = torch.randint(0, 256, (2, channels, 32, 32), dtype=torch.uint8)
    reference = Inception("inception-v3-compat", ["2048"], str(inception_weights))
    with torch.no_grad():
        (expected,) = reference(pictures.expand(-1, 3, -1, -1).contiguous())
    torch.testing.assert_close(features.network(pictures), expected, rtol=1e-4, atol=1e-5)


def test_missing_inception_weights_say_which_file_and_what_else_to_do(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"features.weights=.*no such file.*features=classifier"):
        InceptionFeatures(str(tmp_path / "none.pth")).prepare(Synthetic())

    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(UserError, match=r"no route to host.*inception-2015-12-05.*features.weights="):
        InceptionFeatures().prepare(Synthetic())


def test_a_damaged_weights_file_is_named(tmp_path):
    path = tmp_path / "inception.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(UserError, match=f"{path} is not"):
        InceptionFeatures(str(path)).prepare(Synthetic())


def test_mode_figures_of_known_samples():
    ring = Ring(modes=4, radius=1.0, sigma=0.1)
    samples = torch.cat([ring.means[:1].expand(6, 2), ring.means[1:2] * 1.29, ring.means[2:3] * 1.31])
    figures = mode_figures(samples, ring)
    share = [6 / 8, 1 / 8, 1 / 8]
    assert figures["modes"] == 2
    assert figures["high_quality"] == pytest.approx(7 / 8)
    assert figures["mode_kl"] == pytest.approx(sum(p * math.log(p * 4) for p in share), abs=1e-6)


def test_the_mixture_itself_covers_every_mode_with_the_share_of_three_sigma():
    protocol = ModeCoverage(n_fake=20_000)
    protocol.prepare(Ring())
    floor = protocol.floor()
    assert floor["modes"] == 8
    assert floor["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)  # Rayleigh within 3 sigma
    assert floor["mode_kl"] < 0.001

"""The pass over samples, its caches and its card; figures of mixtures."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from zerosum.data.mixtures import Ring
from zerosum.data.images import ImageDataset, Split
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.evaluation.distribution_metrics import FID, FIDByClass, KID
from zerosum.evaluation.mode_coverage import ModeCoverage, mode_figures
from zerosum.evaluation.neighbour_metrics import Memorization
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.reference import Reference
from zerosum.evaluation.features.extractor import FeatureOutput
from zerosum.pixels import from_uint8, to_uint8


class FirstPixels(nn.Module):
    """Features that are three pixels of the picture."""

    num_features = 3
    num_classes = None

    def forward(self, pictures):
        return FeatureOutput(pictures.flatten(1)[:, :3].float(), None)


class Pixels:
    resize = "none"
    network = FirstPixels()

    def prepare(self, dataset):
        pass

    def describe(self):
        return {"features": "pixels"}


class Arrays(ImageDataset):
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
    made = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200, batch_size=37)
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


def test_real_features_are_read_from_the_cache_and_made_anew_for_other_pictures(protocol, tmp_path, monkeypatch):
    again = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200, batch_size=10)
    monkeypatch.setattr(Reference, "computed", lambda *_: pytest.fail("computed again"))
    again.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path))
    assert torch.equal(protocol.reference.real.features, again.reference.real.features)
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        again.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 7), tmp_path))


def cached_features(tmp_path):
    (path,) = (tmp_path / "cache").glob("features-*.pt")
    return path


def test_a_damaged_cache_is_made_anew_and_one_of_other_data_is_refused(protocol, tmp_path, caplog):
    path = cached_features(tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    again = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200)
    again.prepare(protocol.dataset)
    assert "damaged" in caplog.text
    assert torch.equal(protocol.reference.real.features, again.reference.real.features)
    torch.save({**torch.load(path, weights_only=True), "made_of": {"pictures": "others"}}, path)
    with pytest.raises(UserError, match=r"made of other data.*delete it"):
        again.prepare(protocol.dataset)


def test_a_failed_pass_leaves_no_cache(tmp_path, monkeypatch):
    failing = ImageProtocol("pixels", Pixels(), {"fid": FID()})
    monkeypatch.setattr(FirstPixels, "forward", lambda *_: pytest.fail("out of memory"))
    with pytest.raises(pytest.fail.Exception):
        failing.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path))
    assert not list(tmp_path.rglob("*.pt*"))


@pytest.mark.parametrize("batch_size", [7, 50, 1000])
def test_values_do_not_depend_on_the_batch_size(protocol, batch_size, tmp_path):
    model = Fixed(drawn(200, 10, 100, 3))
    other = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200, batch_size=batch_size)
    other.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path / "other"))
    assert other.measure(model)["fid"] == pytest.approx(protocol.measure(model)["fid"], rel=1e-9)


def measure_in_process(rank, folder, values):
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    protocol = ImageProtocol("pixels", Pixels(), {"fid": FID(), "kid": KID(subsets=3)}, n_fake=63, batch_size=10)
    protocol.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), folder / "data"))
    values[rank] = protocol.measure(Fixed(drawn(63, 10, 100, 3)))
    torch.distributed.destroy_process_group()


def test_two_processes_measure_what_one_does_although_63_samples_do_not_divide_by_them(tmp_path):
    import multiprocessing

    protocol = ImageProtocol("pixels", Pixels(), {"fid": FID(), "kid": KID(subsets=3)}, n_fake=63)
    protocol.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path / "data"))
    expected = protocol.measure(Fixed(drawn(63, 10, 100, 3)))
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        values = manager.dict()
        workers = [context.Process(target=measure_in_process, args=(rank, tmp_path, values)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for rank in range(2):
            assert values[rank] == pytest.approx(expected, rel=1e-9)


def test_samples_are_rounded_to_the_nearest_level_and_truncation_would_show(protocol):
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(from_uint8(levels)), levels)
    assert to_uint8(torch.tensor([-1.7, 1.7])).tolist() == [0, 255]
    real = protocol.dataset.split("test").images
    model = Fixed(real[np.arange(200) % len(real)])
    model.pictures += 0.4 / 127.5  # less than half a level
    same = protocol.measure(model)["fid"]
    model.pictures -= 0.8 / 127.5
    assert protocol.measure(model)["fid"] == pytest.approx(same, rel=1e-12)


def test_the_card_says_what_was_left_out_and_warns_of_few_pictures(tmp_path):
    metrics = {"fid": FID(), "fid_by_class": FIDByClass(), "memorization": Memorization()}
    protocol = ImageProtocol("pixels", Pixels(), metrics, n_fake=3)
    protocol.prepare(Arrays(drawn(150, 0, 200, 1), drawn(90, 20, 256, 2), tmp_path))
    values = protocol.measure(Fixed(drawn(3, 10, 100, 3)))
    assert list(values) == ["fid", "memorization"] and math.isfinite(values["fid"])
    assert "memorization" not in protocol.floor()
    card = protocol.card()
    assert card["left_out"] == {"fid_by_class": "fid_by_class needs labelled pictures"}
    assert "biased" in card["warning"]


def test_the_first_metric_orders_checkpoints(protocol):
    assert protocol.score({"fid": 1.0}) > protocol.score({"fid": 2.0})


def test_no_metric_is_refused():
    with pytest.raises(UserError, match="metrics=fid"):
        ImageProtocol("pixels", Pixels(), {})


def test_samples_that_are_not_finite_are_refused(protocol):
    model = SimpleNamespace(sample=lambda seeds, labels=None: torch.full((len(seeds), 1, 4, 4), math.nan))
    with pytest.raises(UserError, match="NaN"):
        protocol.measure(model)


def test_one_sample_is_refused():
    with pytest.raises(UserError, match="at least 2"):
        ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=1)


def test_points_are_sent_to_the_other_protocol():
    with pytest.raises(UserError, match="protocol=points10k"):
        ImageProtocol("pixels", Pixels(), {"fid": FID()}).prepare(Ring())
    with pytest.raises(UserError, match="protocol=fid10k_test"):
        ModeCoverage().prepare(Synthetic())


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

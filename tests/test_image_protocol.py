"""Protocol of images: the pass over samples, the floor and the card."""

import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from given_images import Arrays, Fixed, Pixels, draw_images

from zerosum.data.mixtures import Ring
from zerosum.errors import DivergedError, UserError
from zerosum.evaluation.distribution_metrics import FID, KID, FIDByClass
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.neighbour_metrics import DensityCoverage, Memorization
from zerosum.pixels import from_uint8, to_uint8


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Heusel et al. 2017, equation 6, by scipy's matrix square root in float64."""
    from scipy.linalg import sqrtm

    x, y = (images.reshape(len(images), -1)[:, :3].astype(np.float64) for images in (one, other))
    root = sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root))


@pytest.fixture
def protocol(tmp_path):
    made = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200, batch_size=37)
    made.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 2), tmp_path))
    return made


def test_frechet_distance_is_that_of_scipys_square_root(protocol):
    fakes = draw_images(200, 10, 100, 3)
    expected = frechet(fakes, protocol.dataset.split("test").images)
    assert protocol.measure(Fixed(fakes))["fid"] == pytest.approx(expected, rel=1e-5)


def test_the_floor_is_as_many_training_images_as_samples_against_the_test_split(protocol, tmp_path):
    equal = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=150)
    equal.prepare(protocol.dataset)
    expected = frechet(protocol.dataset.split("train").images, protocol.dataset.split("test").images)
    assert equal.floor()["fid"] == pytest.approx(expected, rel=1e-5)
    assert equal.notes()["floor_images"] == 150 and equal.notes()["floor_split"] == "train"
    fewer = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=60)
    fewer.prepare(protocol.dataset)
    assert fewer.notes()["floor_images"] == 60 and fewer.floor() != equal.floor()


def test_the_floor_of_fewer_images_than_samples_is_extrapolated_or_left_out_with_the_reason(protocol):
    """150 training images cannot stand for 200 samples: their FID is too high by a part of its bias."""
    metrics = {"fid": FID(), "density_coverage": DensityCoverage()}
    few = ImageProtocol("pixels", Pixels(), metrics, n_fake=200)
    few.prepare(protocol.dataset)
    floor, notes = few.floor(), few.notes()
    uncorrected = frechet(protocol.dataset.split("train").images, protocol.dataset.split("test").images)
    assert list(floor) == ["fid"] and 0 < floor["fid"] < uncorrected
    assert notes["floor_images"] == 150
    assert notes["floor_left_out"] == {"density_coverage": "train has 150 images, fewer than the 200 samples"}
    alone = ImageProtocol("pixels", Pixels(), {"density_coverage": DensityCoverage()}, n_fake=200)
    alone.prepare(protocol.dataset)
    assert alone.floor() is None


def test_the_card_has_the_hash_of_the_real_features_which_decides_nothing(protocol, tmp_path):
    """Features differ in their last bits between devices, so equal protocols stay comparable."""
    other = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200)
    other.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 7), tmp_path / "other"))
    hashes = [re.fullmatch("[0-9a-f]{16}", made.notes()["reference_hash"])[0] for made in (protocol, other)]
    assert hashes[0] != hashes[1]
    assert protocol.card() == other.card()


def test_the_card_says_on_what_the_best_checkpoint_is_chosen(protocol):
    assert protocol.describe_selection() == "chosen by fid on the split test, on which it is reported too"


def test_measuring_twice_gives_the_same_value_and_does_not_count_reals_twice(protocol):
    model = Fixed(draw_images(200, 10, 100, 3))
    assert protocol.measure(model) == protocol.measure(model)
    assert protocol.card()["n_real"] == 90


@pytest.mark.parametrize("batch_size", [7, 50, 1000])
def test_values_do_not_depend_on_the_batch_size(protocol, batch_size, tmp_path):
    model = Fixed(draw_images(200, 10, 100, 3))
    other = ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=200, batch_size=batch_size)
    other.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 2), tmp_path / "other"))
    assert other.measure(model)["fid"] == pytest.approx(protocol.measure(model)["fid"], rel=1e-9)


def measure_in_process(rank, folder, values):
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    protocol = ImageProtocol("pixels", Pixels(), {"fid": FID(), "kid": KID(subsets=3)}, n_fake=63, batch_size=10)
    protocol.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 2), folder / "data"))
    values[rank] = protocol.measure(Fixed(draw_images(63, 10, 100, 3)))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_measure_what_one_does_although_63_samples_do_not_divide_by_them(tmp_path):
    import multiprocessing

    protocol = ImageProtocol("pixels", Pixels(), {"fid": FID(), "kid": KID(subsets=3)}, n_fake=63)
    protocol.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 2), tmp_path / "data"))
    expected = protocol.measure(Fixed(draw_images(63, 10, 100, 3)))
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
    model.images += 0.4 / 127.5  # less than half a level
    same = protocol.measure(model)["fid"]
    model.images -= 0.8 / 127.5
    assert protocol.measure(model)["fid"] == pytest.approx(same, rel=1e-12)


def test_the_card_says_what_was_left_out_and_warns_of_few_images(tmp_path):
    metrics = {"fid": FID(), "fid_by_class": FIDByClass(), "memorization": Memorization(fewest=1)}
    protocol = ImageProtocol("pixels", Pixels(), metrics, n_fake=3)
    protocol.prepare(Arrays(draw_images(150, 0, 200, 1), draw_images(90, 20, 256, 2), tmp_path))
    values = protocol.measure(Fixed(draw_images(3, 10, 100, 3)))
    assert list(values)[:2] == ["fid", "memorization"] and math.isfinite(values["fid"])
    assert "memorization" not in protocol.floor()
    assert protocol.notes()["left_out"] == {"fid_by_class": "fid_by_class needs labelled images"}
    assert "biased" in protocol.card()["warning"]


def test_the_first_metric_orders_checkpoints(protocol):
    assert protocol.score({"fid": 1.0}) > protocol.score({"fid": 2.0})


def test_no_metric_is_refused():
    with pytest.raises(UserError, match="metrics=fid"):
        ImageProtocol("pixels", Pixels(), {})


def test_samples_that_are_not_finite_are_refused(protocol):
    model = SimpleNamespace(sample=lambda seeds, condition=None: torch.full((len(seeds), 1, 4, 4), math.nan))
    with pytest.raises(DivergedError, match="NaN"):
        protocol.measure(model)


def test_a_value_that_is_not_finite_is_an_error(protocol):
    """It would stand in metrics.json, and best.ckpt be chosen by it."""

    class Broken(FID):
        def __call__(self, reference, fake):
            return {"fid": math.nan}

    protocol.measured = {"fid": Broken()}
    with pytest.raises(DivergedError, match="fid is nan"):
        protocol.measure(Fixed(draw_images(200, 10, 100, 3)))


@pytest.mark.parametrize("count", [0, 1, 10**11])
def test_too_few_and_too_many_samples_are_refused(count):
    with pytest.raises(UserError, match="choose from 2"):
        ImageProtocol("pixels", Pixels(), {"fid": FID()}, n_fake=count)


def test_points_are_sent_to_the_other_protocol():
    with pytest.raises(UserError, match="protocol=points10k"):
        ImageProtocol("pixels", Pixels(), {"fid": FID()}).prepare(Ring())

"""Datasets and the streams that training reads."""

import math

import numpy as np
import pytest
import torch

from zerosum.data.digits import Digits
from zerosum.data.mixtures import Grid, Ring
from zerosum.data.images import ShuffledImages, Split
from zerosum.data.synthetic import Synthetic
from zerosum.data.torchvision_datasets import CIFAR10, MNIST, FashionMNIST, resized
from zerosum.errors import UserError
from zerosum.pixels import from_uint8, to_uint8

CPU = torch.device("cpu")


def numbered(count: int, flip: bool = False, seed: int = 0) -> ShuffledImages:
    """Pictures whose left pixel is their number."""
    images = np.zeros((count, 1, 2, 1), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return ShuffledImages(Split(images, np.arange(count, dtype=np.int64)), seed, CPU, flip)


def numbers(stream: ShuffledImages, index: int, size: int, shard: slice | None = None) -> list[int]:
    batch = stream.batch(index, size, shard or slice(0, size))
    assert batch.labels is not None
    assert to_uint8(batch.images)[:, 0, 0, 0].tolist() == batch.labels.tolist()
    return batch.labels.tolist()


def test_an_epoch_shows_every_picture_once_across_batches_that_do_not_divide_it():
    stream = numbered(10)
    shown = [number for index in range(20) for number in numbers(stream, index, 3)]
    for epoch in range(6):
        assert sorted(shown[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert shown[:10] != shown[10:20]


def test_a_batch_is_a_function_of_seed_and_index_not_of_what_was_read_before():
    expected = numbers(numbered(10), 7, 4)
    stream = numbered(10)
    for index in (0, 30, 2):
        stream.batch(index, 4, slice(0, 4))
    assert numbers(stream, 7, 4) == expected
    assert numbers(numbered(10, seed=1), 7, 4) != expected


def test_shards_of_two_processes_make_the_batch_of_one():
    stream = numbered(10)
    assert numbers(stream, 3, 6, slice(0, 3)) + numbers(stream, 3, 6, slice(3, 6)) == numbers(stream, 3, 6)


def test_a_batch_larger_than_the_dataset_holds_several_epochs():
    assert sorted(numbers(numbered(3), 0, 9)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_flip_mirrors_about_half_of_the_pictures_and_only_where_asked():
    images = numbered(200, flip=True).batch(0, 200, slice(0, 200)).images
    mirrored = (to_uint8(images)[:, 0, 0, 1] > 0).float().mean()
    assert 0.35 < mirrored < 0.65
    assert (to_uint8(numbered(200).batch(0, 200, slice(0, 200)).images)[:, 0, 0, 1] == 0).all()


def test_all_256_levels_survive_the_way_to_the_unit_interval_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    pictures = from_uint8(levels)
    assert (pictures.min(), pictures.max()) == (-1, 1)
    assert torch.equal(to_uint8(pictures), levels)


def test_rounding_is_to_the_nearest_level():
    assert to_uint8(torch.tensor([-1.2, (100.4 / 127.5) - 1, (100.6 / 127.5) - 1, 1.2])).tolist() == [0, 100, 101, 255]


def test_batches_lie_channels_last():
    images = Synthetic(16, channels=3).stream(0, CPU).batch(0, 8, slice(0, 8)).images
    assert images.shape == (8, 3, 16, 16)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_digits_are_scikit_learns_with_a_fifth_held_out():
    from sklearn.datasets import load_digits

    digits = Digits(resolution=20)
    train, test = digits.split("train"), digits.split("test")
    assert (len(train.images), len(test.images)) == (1438, 359)
    assert test.images.shape == (359, 20, 20, 1)
    assert train.labels is not None and test.labels is not None
    counts = np.bincount(np.concatenate([train.labels, test.labels]))
    assert counts.tolist() == np.bincount(load_digits().target).tolist()
    shrunk = train.images[0, :, :, 0].reshape(10, 2, 10, 2).mean((1, 3)) / 255 * 16
    assert np.abs(shrunk[1:-1, 1:-1] - load_digits().images[0]).mean() < 1.0


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_official_splits_are_padded_to_32_and_keep_their_labels(dataset, shared_data):
    pictures = dataset(root=str(shared_data), download=False)
    train, test = pictures.split("train"), pictures.split("test")
    assert (train.images.shape, test.images.shape) == ((60000, 32, 32, 1), (10000, 32, 32, 1))
    assert train.images[:, :2].max() == 0 and train.images[:, 2:30].max() == 255
    original = dataset.source(shared_data, train=False)
    assert np.array_equal(test.images[:, 2:30, 2:30, 0], original.data.numpy())
    assert np.array_equal(test.labels, original.targets.numpy())


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST, CIFAR10])
def test_a_missing_dataset_says_where_it_was_looked_for(dataset, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*dataset.download=true"):
        dataset(root=str(tmp_path), download=False).prepare()


def test_a_failed_download_says_what_to_do(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise RuntimeError("no route to host")

    monkeypatch.setattr(MNIST, "source", no_network)
    with pytest.raises(UserError, match=r"could not be downloaded .no route to host.*dataset.root"):
        MNIST(root=str(tmp_path)).prepare()


def test_other_resolutions_are_resampled_without_changing_the_mean():
    pixels = torch.randint(0, 256, (5, 28, 28, 3), dtype=torch.uint8)
    assert resized(pixels, 64).shape == (5, 64, 64, 3)
    assert abs(resized(pixels, 16).float().mean() - pixels.float().mean()) < 2


def test_an_unknown_split_is_named_with_those_there_are():
    with pytest.raises(UserError, match=r"no split 'val'.*train, test"):
        Synthetic().split("val")


@pytest.mark.parametrize("mixture", [Ring(sigma=0.3), Grid(sigma=0.3)])
def test_log_prob_is_a_density_and_that_of_the_samples(mixture):
    ticks = torch.linspace(-8, 8, 801, dtype=torch.float64)
    mesh = torch.cartesian_prod(ticks, ticks)
    mixture.means = mixture.means.double()
    total = mixture.log_prob(mesh).exp().sum() * (ticks[1] - ticks[0]) ** 2
    assert float(total) == pytest.approx(1, abs=1e-6)
    points, _ = mixture.draw(50_000, torch.Generator().manual_seed(0))
    inside = (points.norm(dim=1) < 1.5).double().mean()
    expected = (mixture.log_prob(mesh).exp() * (mesh.norm(dim=1) < 1.5)).sum() * (ticks[1] - ticks[0]) ** 2
    assert float(inside) == pytest.approx(float(expected), abs=0.01)


def test_ring_and_grid_are_those_of_the_papers():
    ring, grid = Ring(), Grid()
    assert ring.means.shape == (8, 2) and torch.allclose(ring.means.norm(dim=1), torch.full((8,), 2.0))
    assert grid.means.shape == (25, 2) and grid.means.abs().max() == 4
    at_a_mode = ring.log_prob(ring.means[:1])
    assert float(at_a_mode) == pytest.approx(-math.log(8) - math.log(2 * math.pi * 0.02**2), abs=1e-5)


def test_points_are_a_function_of_seed_and_index():
    one, other = Ring().stream(3, CPU), Ring().stream(3, CPU)
    one.batch(0, 8, slice(0, 8))
    assert torch.equal(one.batch(5, 8, slice(0, 8)).images, other.batch(5, 8, slice(0, 8)).images)
    assert torch.equal(one.batch(5, 8, slice(4, 8)).images, other.batch(5, 8, slice(0, 8)).images[4:])

"""Digits in black and white: fixed splits, and draws that are functions of their seed."""

import math

import numpy as np
import pytest
import torch

from zerosum.data.binarized import BinarizedDigits, BinarizedMNIST
from zerosum.data.torchvision_datasets import MNIST


def test_digits_are_split_once_and_independent_pixels_have_the_known_bits():
    """0.568 bits a pixel (RECIPES, C1)."""
    digits = BinarizedDigits()
    train, test = (digits.split(name).images.reshape(-1, 64) for name in ("train", "test"))
    assert (len(train), len(test)) == (1500, 297) and set(np.unique(train)) == {0, 255}
    white = ((train > 0).sum(0) + 1) / (len(train) + 2)
    bits = -np.where(test > 0, np.log2(white), np.log2(1 - white)).mean()
    assert bits == pytest.approx(0.5684, abs=5e-5)


def test_digits_are_white_above_7():
    from sklearn.datasets import load_digits

    digits, expected = BinarizedDigits(), load_digits().images > 7
    found = np.concatenate([digits.split(name).images[..., 0] for name in ("train", "test")]) > 0
    assert found.sum() == expected.sum() and np.array_equal(found.sum(0), expected.sum(0))


def test_the_threshold_is_half(small_mnist):
    gray = MNIST(28, str(small_mnist)).split("test").images
    found = BinarizedMNIST(28, str(small_mnist), "threshold").split("test")
    assert np.array_equal(found.images, np.where(gray > 127.5, 255, 0))


def test_a_static_draw_is_the_brightness_on_average_and_its_name_has_another_seed(small_mnist):
    """The sum of all pixels: within four deviations of its expectation."""
    gray = MNIST(28, str(small_mnist)).split("train").images / 255
    static = BinarizedMNIST(28, str(small_mnist), "static")
    white = static.split("train").images > 0
    assert abs(white.sum() - gray.sum()) < 4 * math.sqrt((gray * (1 - gray)).sum())
    assert static.fingerprint("train") == BinarizedMNIST(28, str(small_mnist), "static").fingerprint("train")
    other = BinarizedMNIST(28, str(small_mnist), "static", seed=1)
    assert static.fingerprint("train") != other.fingerprint("train") and static.name != other.name


def test_a_dynamic_draw_is_new_each_time_and_the_same_in_two_processes(small_mnist):
    dynamic = BinarizedMNIST(28, str(small_mnist), "dynamic")
    stream = dynamic.stream(0, torch.device("cpu"))
    size = len(stream)
    first, second = (stream.batch(index, size, slice(0, size)) for index in (0, 1))
    orders = [stream.indices(index, size, slice(0, size))[0].argsort() for index in (0, 1)]
    assert not torch.equal(first.images[orders[0]], second.images[orders[1]])
    assert set(first.images.unique().tolist()) == {-1, 1}
    halves = [stream.batch(0, size, shard).images for shard in (slice(0, size // 2), slice(size // 2, size))]
    assert torch.equal(torch.cat(halves), first.images)
    static = BinarizedMNIST(28, str(small_mnist), "static")
    assert static.fingerprint("test") == dynamic.fingerprint("test")

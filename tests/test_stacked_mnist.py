"""StackedMNIST: triples of digits that depend on the seed alone."""

import numpy as np
import pytest
import torch

from zerosum.data.stacked_mnist import StackedMNIST
from zerosum.data.torchvision_datasets import MNIST
from zerosum.errors import UserError


def test_each_image_is_three_digits_and_its_class_their_number(small_mnist):
    images, labels, *_ = StackedMNIST(root=str(small_mnist), count=1000).split("train")
    assert images.shape == (1000, 32, 32, 3) and labels.min() >= 0 and labels.max() <= 999
    digits, classes, *_ = MNIST(root=str(small_mnist)).split("train")
    label = {digit.tobytes(): int(number) for digit, number in zip(digits[..., 0], classes, strict=True)}
    for image, number in zip(images, labels, strict=True):
        assert [label[image[:, :, channel].tobytes()] for channel in range(3)] == [int(d) for d in f"{number:03d}"]


def test_the_seed_chooses_the_digits_and_leaves_the_dataset_its_picture(small_mnist):
    one, same, other = (StackedMNIST(root=str(small_mnist), count=50, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.split("train").images, same.split("train").images)
    assert not np.array_equal(one.split("train").images, other.split("train").images)
    assert one.draw(one.stream(0, torch.device("cpu")).batch(0, 4, slice(0, 4)).images).size[0] > 64


def test_no_images_are_refused():
    with pytest.raises(UserError, match=r"dataset\.count=0 is no number of images: take 1 or more"):
        StackedMNIST(count=0)

"""MNIST, Fashion-MNIST and CIFAR-10: read whole and unchanged, or refused in one sentence."""

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_idx

from zerosum.data.torchvision_datasets import CIFAR10, MNIST, FashionMNIST, resize
from zerosum.errors import UserError


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_official_splits_are_padded_to_32_and_keep_their_labels(dataset, small_mnist):
    padded = dataset(root=str(small_mnist), download=False)
    train, test = padded.split("train"), padded.split("test")
    assert (train.images.shape, test.images.shape) == ((200, 32, 32, 1), (100, 32, 32, 1))
    assert train.images[:, :2].max() == 0 and train.images[:, 2:30].max() == 255
    original = dataset.source(small_mnist, train=False)
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
    assert resize(pixels, 64).shape == (5, 64, 64, 3)
    assert abs(resize(pixels, 16).float().mean() - pixels.float().mean()) < 2


def test_the_real_mnist_is_read_whole(shared_data):
    for dataset in (MNIST(root=str(shared_data)), FashionMNIST(root=str(shared_data))):
        for split, count in (("train", 60_000), ("test", 10_000)):
            images, labels, *_ = dataset.split(split)
            assert images.shape == (count, 32, 32, 1) and set(labels.tolist()) == set(range(10))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole + b"0"])
def test_an_idx_file_of_another_length_than_its_header_says_is_named(name, damage, small_mnist, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    shutil.copytree(small_mnist / "MNIST" / "raw", folder)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(UserError, match=rf"{folder}/{name} is damaged \(it .*: delete it, and dataset\.download=true"):
        MNIST(root=str(tmp_path), download=False).prepare()


LABELS = {
    "it holds 199 labels for 200 images": np.zeros(199, dtype=np.uint8),
    "it holds 201 labels for 200 images": np.zeros(201, dtype=np.uint8),
    "it holds 0 labels for 200 images": np.zeros(0, dtype=np.uint8),
    "it holds the label 200, but classes are 0 to 9": np.full(200, 200, dtype=np.uint8),
    "it does not start like an IDX file of 1 dimensions": np.zeros((200, 1), dtype=np.uint8),
}


@pytest.mark.parametrize("reason", LABELS)
@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST])
def test_labels_that_do_not_fit_the_images_are_refused(dataset, reason, small_mnist, tmp_path):
    folder = tmp_path / dataset.folder
    shutil.copytree(small_mnist / dataset.folder, folder)
    write_idx(folder / "train-labels-idx1-ubyte", LABELS[reason])
    with pytest.raises(UserError, match=rf"{folder}/train-labels-idx1-ubyte is damaged \({reason}\)"):
        dataset(root=str(tmp_path), download=False).prepare()


@pytest.mark.parametrize(("shape", "reason"), [((0, 28, 28), "0 images of 28x28"), ((200, 28, 20), "images of 28x20")])
def test_images_that_are_missing_or_not_square_are_refused(shape, reason, small_mnist, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    shutil.copytree(small_mnist / "MNIST" / "raw", folder)
    write_idx(folder / "t10k-images-idx3-ubyte", np.zeros(shape, dtype=np.uint8))
    with pytest.raises(UserError, match=rf"{folder}/t10k-images-idx3-ubyte is damaged \(it holds .*{reason}"):
        MNIST(root=str(tmp_path), download=False).split("test")


def test_a_file_that_may_not_be_read_is_named(small_mnist, monkeypatch):
    def denied(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)  # chmod does not stop root
    with pytest.raises(UserError, match=r"images-idx3-ubyte cannot be read \(Permission denied\): make it readable"):
        MNIST(root=str(small_mnist), download=False).prepare()

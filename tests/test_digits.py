"""scikit-learn's digits as a dataset."""

import numpy as np

from zerosum.data.digits import Digits


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

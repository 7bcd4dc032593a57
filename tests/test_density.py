"""Pictures of points over the true density."""

import numpy as np
import torch

from zerosum.data.mixtures import Ring
from zerosum.drawing.density import density_on_mesh


def test_the_density_peaks_at_the_modes_with_x_to_the_right_and_y_up():
    mesh = density_on_mesh(((1.0, 0.0),), 0.1, 2.0)
    row, column = np.unravel_index(mesh.argmax(), mesh.shape)
    assert (row, column) in {(199, 299), (200, 299), (199, 300), (200, 300)}  # (y, x): the row is 0, the column 1
    assert mesh.max() == 1 and mesh[0, 0] < 1e-6


def test_samples_are_orange_dots_and_modes_blue():
    ring = Ring()
    empty = np.asarray(ring.draw(torch.full((1, 2), 99.0))).astype(int)
    pixels = np.asarray(ring.draw(torch.zeros(50, 2))).astype(int)
    assert pixels.shape == (640, 640, 3)
    changed = (pixels != empty).any(2)
    assert 4 <= changed.sum() <= 100
    red, green, blue = pixels[changed].mean(0)
    assert red > green > blue
    assert (empty[..., 2] - empty[..., 0]).max() > 60

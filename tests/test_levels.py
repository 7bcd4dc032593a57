"""Levels of pixels and back, and the volume of an image's cell."""

import math

import pytest
import torch

from zerosum.families.levels import dequantize, from_levels, log_cell_volume, to_levels
from zerosum.pixels import from_uint8


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_levels_return(levels):
    values = torch.arange(levels)
    assert torch.equal(to_levels(from_levels(values, levels), levels), values)
    assert from_levels(values, levels)[[0, -1]].tolist() == [-1, 1]


def test_bytes_are_256_levels():
    pixels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_levels(from_uint8(pixels), 256), pixels.long())


def test_a_uniform_density_gives_each_image_the_same_probability():
    """1 / levels^d"""
    assert log_cell_volume((1, 4, 4), 3) == pytest.approx(-16 * math.log(3))
    noise = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    inside = dequantize(torch.ones(5, 1, 4, 4), noise, 3)
    assert (inside >= 2 / 3).all() and (inside < 1).all()

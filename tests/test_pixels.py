"""uint8 levels and the interval [-1, 1]."""

import torch

from zerosum.pixels import from_uint8, to_uint8


def test_all_256_levels_survive_the_way_to_the_unit_interval_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    images = from_uint8(levels)
    assert (images.min(), images.max()) == (-1, 1)
    assert torch.equal(to_uint8(images), levels)


def test_rounding_is_to_the_nearest_level():
    assert to_uint8(torch.tensor([-1.2, (100.4 / 127.5) - 1, (100.6 / 127.5) - 1, 1.2])).tolist() == [0, 100, 101, 255]

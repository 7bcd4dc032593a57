"""Grids of samples: every sample in its place, at a whole magnification."""

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.drawing.grid import LONG_SIDE, add_caption, as_picture, grid, save_png, stack
from zerosum.pixels import from_uint8


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_the_samples_row_by_row_unblurred(channels):
    levels = torch.arange(0, 250, 50, dtype=torch.uint8)[:, None, None, None].expand(5, channels, 8, 8)
    pixels = np.asarray(grid(from_uint8(levels)))
    scale = LONG_SIDE // (3 * 8)
    side = 8 * scale + 2
    assert pixels.shape == (2 * side + 2, 3 * side + 2, 3)
    for number in range(5):
        top, left = 2 + side * (number // 3), 2 + side * (number % 3)
        assert (pixels[top : top + side - 2, left : left + side - 2] == 50 * number).all()
    assert (pixels[:2] == 255).all() and (pixels[side + 2 :, 2 * side + 2 :] == 255).all()


def test_few_columns_of_many_rows_are_not_magnified_beyond_the_long_side():
    """Two classes of 64 samples made a picture of 640 by 10,000 pixels."""
    tall = grid(torch.zeros(64, 1, 8, 8), columns=2)
    assert tall.height <= LONG_SIDE + 2 * 33 and tall.width == 2 * (LONG_SIDE // (32 * 8) * 8 + 2) + 2


def test_a_caption_leaves_the_picture_as_it_is():
    picture = Image.effect_noise((100, 50), 80).convert("RGB")
    captioned = add_caption(picture, "128 images seen")
    assert captioned.width == 100 and captioned.crop((0, 0, 100, 50)).tobytes() == picture.tobytes()
    assert np.asarray(captioned)[50:].min() < 128


def test_stacked_pictures_stand_one_above_the_other():
    red, blue = Image.new("RGB", (4, 2), "red"), Image.new("RGB", (6, 3), "blue")
    assert stack([red, blue]).size == (6, 5)
    assert stack([red, blue]).getpixel((5, 0)) == (255, 255, 255) and stack([red, blue]).getpixel((5, 4)) == (0, 0, 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_image_has_the_pixels_of_the_tensor(tmp_path, channels):
    pixels = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
    save_png(as_picture(pixels), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.asarray(picture).reshape(5, 7, channels), pixels.permute(1, 2, 0))

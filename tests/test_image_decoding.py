"""Images of every mode, format and size become the right bytes."""

import numpy as np
import pytest
from image_folders import BLUE, GREEN, RED, WHITE, decode, is_flat
from PIL import Image

from zerosum.errors import UserError


def test_gray_gives_equal_channels(top):
    assert is_flat(decode(top, Image.new("L", (9, 7), 90)), (90, 90, 90))


def test_gray_stays_gray_with_one_channel(top):
    image = decode(top, Image.new("L", (9, 7), 90), channels=1)
    assert image.shape == (4, 4, 1) and is_flat(image, 90)


def test_rgb_keeps_every_pixel_where_the_size_fits(top):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert np.array_equal(decode(top, Image.fromarray(pixels)), pixels)


def test_rgb_with_one_channel_is_luma(top):
    assert is_flat(decode(top, Image.new("RGB", (4, 4), RED), channels=1), 76)


@pytest.mark.parametrize(
    ("background", "color"),
    [("white", WHITE), ("#102030", (16, 32, 48)), ([1, 2, 3], (1, 2, 3)), ((9, 9, 9), (9, 9, 9))],
)
def test_transparent_rgba_shows_exactly_the_background(top, background, color):
    assert is_flat(decode(top, Image.new("RGBA", (4, 4), (50, 60, 70, 0)), background=background), color)


def test_half_transparent_rgba_is_mixed_with_the_background(top):
    assert is_flat(decode(top, Image.new("RGBA", (4, 4), (255, 0, 0, 51)), background="black"), (51, 0, 0))


def test_hidden_color_does_not_bleed_into_the_edge(top):
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 0))  # green that nobody should see
    image.paste((255, 0, 0, 255), (0, 0, 32, 64))
    image = decode(top, image, background="black")
    assert (image[..., 1] == 0).all() and image[0, 0, 0] == 255


def test_palette_uses_its_colors(top):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert is_flat(decode(top, image), (10, 200, 30))


@pytest.mark.parametrize(("index", "color"), [(0, BLUE), (1, (10, 200, 30))])
def test_palette_transparency_lies_on_the_background(top, index, color):
    image = Image.new("P", (4, 4), index)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert is_flat(decode(top, image, saving={"transparency": 0}, background="blue"), color)


def test_gray_with_alpha_lies_on_the_background(top):
    image = Image.new("LA", (4, 4), (100, 0))
    image.paste((100, 255), (0, 0, 2, 4))
    image = decode(top, image, background="red")
    assert is_flat(image[:, :2], (100, 100, 100)) and is_flat(image[:, 2:], RED)


def test_cmyk_is_converted(top):
    image = decode(top, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), ".jpg", {"quality": 100})
    assert np.abs(image.astype(int) - RED).max() <= 3


def test_16_bit_gray_goes_to_the_nearest_of_256_levels(top):
    values = np.array([[0, 128, 129, 256], [32895, 32896, 65534, 65535]], dtype=np.uint16).repeat(2, 0)
    pixels = decode(top, Image.fromarray(values), channels=1)[..., 0]
    assert np.array_equal(pixels, np.rint(values / 257))
    assert pixels[0].tolist() == [0, 0, 1, 1] and pixels[2].tolist() == [128, 128, 255, 255]


def test_16_bit_gray_tiff_is_scaled_alike(top):
    values = np.full((4, 4), 30000, dtype=np.uint16)
    assert is_flat(decode(top, Image.fromarray(values), ".tiff", channels=1), round(30000 / 257))


def test_32_bit_pixels_are_reported_not_clipped(top):
    with pytest.raises(UserError, match="32-bit pixels have no known range"):
        decode(top, Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)), ".tif")


def test_1_bit_is_black_and_white(top):
    image = Image.new("1", (4, 4), 0)
    image.paste(1, (0, 0, 2, 4))
    image = decode(top, image)
    assert is_flat(image[:, :2], WHITE) and is_flat(image[:, 2:], 0)


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".gif", ".tif", ".JPG", ".jpeg"])
def test_each_suffix_is_read(top, suffix):
    saving = {"lossless": True} if suffix == ".webp" else {"quality": 100} if suffix.lower().startswith(".j") else {}
    image = decode(top, Image.new("RGB", (8, 8), (200, 100, 50)), suffix, saving)
    assert np.abs(image.astype(int) - (200, 100, 50)).max() <= (0 if suffix in (".webp", ".bmp", ".tif", ".gif") else 3)


def test_an_animation_gives_its_first_frame(top):
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, GREEN, BLUE)]
    assert is_flat(decode(top, frames[0], ".gif", {"save_all": True, "append_images": frames[1:]}), RED)


def halves(width, height):
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_orientation_6_turns_left_to_top(top, suffix):
    exif = Image.Exif()
    exif[274] = 6  # shown turned clockwise by 90 degrees
    image = decode(top, halves(4, 4), suffix, {"exif": exif})
    assert is_flat(image[:2], RED) and is_flat(image[2:], BLUE)


def test_exif_orientation_of_a_reduced_jpeg(top):
    exif = Image.Exif()
    exif[274] = 6
    image = decode(top, halves(256, 128), ".jpg", {"exif": exif, "quality": 100}, fit="resize").astype(int)
    assert np.abs(image[0] - RED).max() <= 6 and np.abs(image[-1] - BLUE).max() <= 6


def test_corrupt_exif_is_no_reason_to_refuse_an_image(top, recwarn):
    assert decode(top, Image.new("RGB", (4, 4)), ".jpg", {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"}).max() == 0
    assert not recwarn


def test_crop_keeps_the_center_square_pixel_for_pixel(top):
    image = decode(top, halves(32, 8), resolution=8)
    assert is_flat(image[:, :4], RED) and is_flat(image[:, 4:], BLUE)


def test_crop_of_an_odd_margin_does_not_blur(top):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 7, 3), dtype=np.uint8)
    assert np.array_equal(decode(top, Image.fromarray(pixels)), pixels[:, 1:5])


def test_crop_of_a_tall_image_keeps_its_middle(top):
    image = Image.new("RGB", (4, 12), RED)
    image.paste(GREEN, (0, 4, 4, 8))
    assert is_flat(decode(top, image), GREEN)


def test_crop_scales_the_short_side(top):
    scaled = halves(24, 8).resize((12, 4), Image.Resampling.LANCZOS)
    assert np.array_equal(decode(top, halves(24, 8)), np.asarray(scaled)[:, 4:8])


def test_resize_squeezes_both_sides(top):
    image = decode(top, halves(32, 8), resolution=8, fit="resize")
    assert np.array_equal(image, np.asarray(halves(32, 8).resize((8, 8), Image.Resampling.LANCZOS)))
    assert is_flat(image[:, 0], RED) and is_flat(image[:, -1], BLUE)


def test_shrinking_is_antialiased(top):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    image = decode(top, Image.fromarray(board), channels=1)
    assert np.abs(image.astype(int) - 127.5).max() <= 3


def test_small_images_are_enlarged(top):
    assert is_flat(decode(top, Image.new("RGB", (1, 2), BLUE), resolution=16), BLUE)


def test_a_reduced_jpeg_is_near_the_full_one(top):
    ramp = np.linspace(0, 255, 640)[None].repeat(640, 0)
    full = Image.fromarray(np.stack([ramp, ramp.T, 255 - ramp], 2).astype(np.uint8))
    image = decode(top, full, ".jpg", {"quality": 95}, resolution=32).astype(int)
    assert np.abs(image - np.asarray(full.resize((32, 32), Image.Resampling.LANCZOS))).max() <= 6

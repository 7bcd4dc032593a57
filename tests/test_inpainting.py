"""In-painting: its equations in closed form, and a generator whose images are known."""

import math

import pytest
import torch

from zerosum.applications.inpainting import (
    MASKS,
    Search,
    blend,
    center,
    fill,
    fill_by_mean,
    fill_by_neighbour,
    importance,
    psnr_of_missing,
)
from zerosum.errors import UserError


class Ramps:
    """Images that are linear in their place, with slopes and height by z."""

    latent_dim = 3

    def decode(self, z, condition=None):
        down, across = torch.meshgrid(torch.linspace(-0.3, 0.3, 8), torch.linspace(-0.3, 0.3, 8), indexing="ij")
        parts = torch.stack([down, across, torch.full_like(down, 0.2)])
        return (z @ parts.flatten(1)).view(len(z), 1, 8, 8)


def indifferent(images):
    return images.new_zeros(len(images))


def ramps(count, seed=0):
    return Ramps().decode(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1))


@pytest.mark.parametrize("mask", ["center", "left", "random"])
def test_what_is_missing_is_found_where_the_generator_can_make_it(mask):
    images, known = ramps(6), MASKS[mask](8, 8)
    filled = fill(Ramps(), indifferent, images, known, Search(steps=400, starts=2, kept=2))
    assert torch.equal(filled[..., known], images[..., known])
    assert psnr_of_missing(filled, images, known) > 40
    assert psnr_of_missing(fill_by_mean(ramps(500, 1), images, known), images, known) < 25


def test_missing_pixels_are_not_looked_at():
    images, known = ramps(3), center(8, 8)
    spoiled = torch.where(known, images, torch.tensor(9.0))
    settings = Search(steps=5, starts=20, kept=2)
    assert torch.equal(*(fill(Ramps(), indifferent, each, known, settings)[..., ~known] for each in (images, spoiled)))


def test_the_discriminator_decides_where_known_pixels_do_not():
    """Of ramps with every pixel missing but one far from the hole, D likes the brightest."""
    images, known = ramps(2), torch.zeros(8, 8, dtype=torch.bool)
    known[0, 0] = True
    bright = fill(Ramps(), lambda made: 50 * made.mean((1, 2, 3)), images, known, Search(100, 1, 1, prior=1.0))
    dark = fill(Ramps(), lambda made: -50 * made.mean((1, 2, 3)), images, known, Search(100, 1, 1, prior=1.0))
    assert bright.mean() > dark.mean() + 0.1


def test_known_pixels_count_by_the_share_of_missing_ones_around_them():
    known = torch.ones(5, 5, dtype=torch.bool)
    known[2, 2] = False
    expected = torch.zeros(5, 5)
    expected[1:4, 1:4] = 1 / 9
    expected[2, 2] = 0
    torch.testing.assert_close(importance(known, 3), expected)


def test_a_blend_of_an_image_with_another_height_has_no_seam():
    """With the gradients of the truth plus a constant the truth is the solution of the Poisson equation."""
    images = torch.rand(2, 3, 8, 8) - 0.5
    for mask in MASKS.values():
        torch.testing.assert_close(blend(images + 0.3, images, mask(8, 8)), images, rtol=0, atol=1e-5)


def test_a_blend_of_no_gradients_is_harmonic():
    images = ramps(2)  # linear functions are harmonic
    torch.testing.assert_close(blend(torch.zeros_like(images), images, center(8, 8)), images, rtol=0, atol=1e-5)


def test_the_nearest_neighbour_is_by_known_pixels_alone():
    images, known = ramps(4), center(8, 8)
    train = torch.cat([ramps(20, 1), torch.where(known, images, torch.tensor(0.7))])
    assert (fill_by_neighbour(train, images, known)[..., ~known] == 0.7).all()


def test_psnr_is_of_the_missing_pixels():
    known = center(8, 8)
    images = torch.zeros(2, 1, 8, 8)
    spoiled = torch.where(known, torch.tensor(0.9), torch.tensor(0.2))
    assert psnr_of_missing(spoiled.expand(2, 1, 8, 8), images, known) == pytest.approx(
        20 * math.log10(2 / 0.2), abs=1e-5
    )


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"window": 4}, {"lr": 0.0}, {"prior": -1.0}, {"starts": 2, "kept": 3}]
)
def test_a_search_that_is_none_is_refused(options):
    with pytest.raises(UserError):
        Search(**options)

"""Datasets of images with the images they are made from: conditions are what they say, and answers have their law."""

import numpy as np
import pytest
import torch

from zerosum.data.images import ImageDataset, Split
from zerosum.data.known_answers import Bounce, Dyed
from zerosum.data.moving_digits import MovingDigits, bounce
from zerosum.data.pairs import Edges, Gray, Negative, Pairs, QuarterTurn, Smaller, Unpaired
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError

CONDITIONS = [Smaller(4), Edges(), Gray(), Negative(), QuarterTurn()]


def given(dataset, split):
    """Images and condition images of a split, as numbers that can be subtracted."""
    found = dataset.split(split)
    return found.images.astype(int), found.condition_images.astype(int)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_stream_gives_each_image_with_its_own_condition(condition, channels):
    dataset = Pairs(Synthetic(16, channels, count=40), condition)
    batch = dataset.stream(0, torch.device("cpu")).batch(0, 16, slice(4, 12))
    assert batch.condition.shape[1:] == dataset.condition_shape
    assert batch.condition.dtype == torch.float32 and batch.condition.abs().max() <= 1
    images = ((batch.images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    expected = torch.from_numpy(condition(images)).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(batch.condition, expected.float(), rtol=0, atol=1e-6)


def test_a_smaller_image_is_the_mean_of_its_pixels_where_these_are_smooth():
    ramp = np.broadcast_to(np.arange(0, 128, 8)[None, None, :, None], (1, 16, 16, 1)).astype(np.uint8)
    small = Smaller(4)(ramp)
    assert small.shape == (1, 4, 4, 1)
    np.testing.assert_array_equal(small[0, :, 1:3, 0], [[44, 76]] * 4)  # inside: 8 * (4 k + 1.5)
    with pytest.raises(UserError, match="resolution=32: choose 1 to 16"):
        Smaller(32)(ramp)


def test_edges_stand_where_the_brightness_jumps():
    image = np.zeros((1, 8, 8, 1), np.uint8)
    image[:, :, 4:] = 100  # Sobel's gradient of a step is half of it, on both sides
    found = Edges(49)(image)[0, :, :, 0]
    assert (found[:, 3:5] == 255).all() and (found[:, [0, 1, 2, 5, 6, 7]] == 0).all()
    assert not Edges(51)(image).any()


def test_gray_is_the_luma_of_bt_601():
    assert Gray()(np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]], np.uint8)).flatten().tolist() == [76, 150, 29]


def test_a_negative_undoes_itself_and_four_quarter_turns_are_none():
    images = Synthetic(16).split("test").images
    np.testing.assert_array_equal(Negative()(Negative()(images)), images)
    turned = images
    for _ in range(4):
        turned = QuarterTurn()(turned)
    np.testing.assert_array_equal(turned, images)
    np.testing.assert_array_equal(QuarterTurn()(images)[:, 0, 0], images[:, 0, -1])  # against the clock


def test_no_training_image_is_shown_beside_its_own_condition_without_pairs():
    dataset = Unpaired(Synthetic(16, count=41), Negative())
    images, conditions = given(dataset, "train")
    assert len(images) == len(conditions) == 20
    assert (np.abs(images[:, None] + conditions[None] - 255).max((2, 3, 4)) > 0).all()  # none of all 400 pairs
    images, conditions = given(dataset, "test")
    np.testing.assert_array_equal(images + conditions, 255)


@pytest.mark.parametrize("own", [True, False])
def test_a_mirrored_image_has_a_mirrored_condition(own):
    dataset = Pairs(Synthetic(16, count=32, flip=not own), Negative(), flip=own)
    batch = dataset.stream(0, torch.device("cpu")).batch(0, 32, slice(0, 32))
    plain = Pairs(Synthetic(16, count=32), Negative()).stream(0, torch.device("cpu")).batch(0, 32, slice(0, 32))
    assert not torch.equal(batch.images, plain.images)
    torch.testing.assert_close(batch.condition, -batch.images, rtol=0, atol=1e-5)

    with pytest.raises(UserError, match=r"dataset\.flip=true: .*quarter turn"):
        Pairs(Synthetic(16, flip=not own), QuarterTurn(), flip=own)


def test_names_tell_datasets_apart():
    assert Pairs(Synthetic(16), Smaller(8)).name == "Synthetic from 8x8 pixels"
    assert Unpaired(Synthetic(16), Negative()).name == "Synthetic from negatives, unpaired"


class Careless(ImageDataset):
    channels = 1

    def __init__(self, condition_shape, condition_images):
        super().__init__(4)
        self.condition_shape, self.condition_images = condition_shape, condition_images

    def read(self, split):
        return Split(np.zeros((2, 4, 4, 1), np.uint8), None, condition_images=self.condition_images)


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        (None, np.zeros((2, 4, 4, 1), np.uint8)),
        ((1, 4, 4), None),
        ((1, 4, 4), np.zeros((2, 4, 4, 1), np.float32)),
        ((1, 4, 4), np.zeros((1, 4, 4, 1), np.uint8)),
        ((3, 2, 4), np.zeros((2, 4, 2, 3), np.uint8)),
    ],
)
def test_condition_images_that_are_not_as_promised_are_refused(shape, images):
    with pytest.raises(UserError, match="read as condition images of train"):
        Careless(shape, images).split("train")


@pytest.mark.parametrize("kind", [Bounce, Dyed])
def test_each_image_is_one_of_the_answers_and_each_answer_has_its_probability(kind, small_mnist):
    counts = np.zeros(len(kind(root=str(small_mnist)).law))
    for seed in range(5):
        dataset = kind(root=str(small_mnist), seed=seed)
        images, answers = dataset.split("train").images, dataset.answers("train", np.arange(200))
        same = (images[:, None] == answers).all((2, 3, 4))
        assert (same.sum(1) == 1).all()
        counts += same.sum(0)
    deviation = np.sqrt(1000 * dataset.law * (1 - dataset.law))
    assert (np.abs(counts - 1000 * dataset.law) < 4 * deviation).all(), counts


def test_a_bounce_moves_the_digit_of_the_floor_up_and_to_a_side(small_mnist):
    dataset = Bounce(resolution=32, root=str(small_mnist))
    before, floor = np.moveaxis(dataset.split("test").condition_images, 3, 0)
    answers = dataset.answers("test", np.arange(100))[..., 0]
    np.testing.assert_array_equal(np.roll(floor, -6, axis=1), before)  # it fell straight down
    for side, way in enumerate((-6, 6)):
        np.testing.assert_array_equal(np.roll(before, way, axis=2), answers[:, side])
    assert (floor[:, -16:].sum((1, 2)) == floor.sum((1, 2), dtype=int)).all()


def test_a_dyed_digit_is_as_bright_as_the_gray_one_in_its_hue(small_mnist):
    dataset = Dyed(root=str(small_mnist))
    gray, dyed = dataset.split("test").condition_images, dataset.answers("test", np.arange(100))
    np.testing.assert_array_equal(dyed.max(4), np.broadcast_to(gray[:, None, :, :, 0], dyed.shape[:4]))
    np.testing.assert_array_equal(dyed[:, 2, :, :, 1], gray[..., 0])  # the third of six hues is green
    assert not dyed[:, 2, :, :, [0, 2]].any()


@pytest.mark.parametrize("law", [[1.0], [0.5, 0.6], [1.0, 0.0]])
def test_a_law_that_is_none_is_refused(law, small_mnist):
    with pytest.raises(UserError, match=r"dataset\.law="):
        Dyed(law, root=str(small_mnist))


def test_a_bounce_needs_two_sides_and_room(small_mnist):
    with pytest.raises(UserError, match="left and right"):
        Bounce([0.2, 0.3, 0.5], root=str(small_mnist))
    with pytest.raises(UserError, match="resolution=20: choose a multiple of 16"):
        Bounce(resolution=20, root=str(small_mnist))


def test_moving_digits_fly_straight_and_bounce_off_the_walls(small_mnist):
    """One digit alone: its place in each frame, found by matching, is that of a ray of light between mirrors."""
    dataset = MovingDigits(past=12, digits=1, count=6, root=str(small_mnist))
    split = dataset.split("train")
    assert split.images.shape == (6, 64, 64, 1) and split.condition_images.shape == (6, 64, 64, 12)
    for image, condition in zip(split.images, split.condition_images, strict=True):
        frames = np.moveaxis(np.concatenate([condition, image], 2), 2, 0)
        centres = np.stack([np.argwhere(frame > 0).min(0) for frame in frames])  # the digit's own top and left
        moves = np.diff(centres, axis=0)
        assert (np.abs(frames.astype(int).sum((1, 2)) - frames[0].sum(dtype=int)) == 0).all()  # whole in every frame
        lengths = np.abs(moves).max(1)
        assert (np.linalg.norm(moves, axis=1) <= 3.6 + 1.5).all() and lengths.max() >= 2  # by 3.6, rounded to pixels
    assert len(dataset.split("test").images) == 1


def test_a_fold_is_a_triangle_wave():
    np.testing.assert_allclose(bounce(np.array([-1.0, 0, 3, 10, 12, 20, 21]), 10.0), [1, 0, 3, 10, 8, 0, 1])


def test_the_next_frame_of_one_moving_digit_follows_from_the_law(small_mnist):
    """Where no wall is met, the last frame is within a pixel of the straight line through the two before."""
    dataset = MovingDigits(past=3, digits=1, count=40, root=str(small_mnist), seed=1)
    split = dataset.split("train")
    frames = np.concatenate([split.condition_images, split.images], 3)
    corners = np.array([[np.argwhere(frame > 0).min(0) for frame in np.moveaxis(each, 2, 0)] for each in frames])
    first, second, third, fourth = np.moveaxis(corners, 1, 0)
    straight = (np.abs(third - 2 * second + first) <= 1).all(1) & (np.abs(fourth - 2 * third + second) <= 1).all(1)
    assert straight.mean() > 0.5
    np.testing.assert_allclose(fourth[straight] - first[straight], 3 * (second - first)[straight], atol=3)

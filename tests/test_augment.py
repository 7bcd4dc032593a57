"""Each operation against an independent computation; gradients; the probability's arithmetic."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

import zerosum.distributed
from zerosum.errors import UserError
from zerosum.experiment.schema import check
from zerosum.gan import augment, transforms
from zerosum.gan.augment import ADA, Augmentation, DiffAugment, InstanceNoise
from zerosum.gan.regularizers import R1, ScoredBatch
from zerosum.models.networks import Scores

CONFIGS = sorted((Path(__file__).parents[1] / "conf" / "augment").glob("*.yaml"))
MANY = 4000


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random_images(*shape: int) -> torch.Tensor:
    """U[-1, 1], nowhere 0."""
    return 2 * torch.rand(*shape, dtype=torch.float64) - 1


def everything(p: float = 1.0, **options) -> list[Augmentation]:
    return [DiffAugment(), ADA(p=p, **options)]


# InstanceNoise


def test_instance_noise_has_its_sigma_and_passes_gradients():
    for images in (torch.zeros(MANY, 2, requires_grad=True), torch.zeros(64, 3, 8, 8, requires_grad=True)):
        noisy = InstanceNoise(0.3)(images)
        torch.testing.assert_close(noisy.std().item(), 0.3, atol=0.01, rtol=0)
        noisy.sum().backward()
        assert (images.grad == 1).all()


def test_instance_noise_can_be_annealed_to_nothing():
    noise, images = InstanceNoise(0.3), random_images(4, 2)
    noise.sigma = 0.0
    assert torch.equal(noise(images), images)


@pytest.mark.parametrize("augmentation", everything(), ids=lambda module: type(module).__name__)
def test_points_are_refused_with_the_reason(augmentation):
    with pytest.raises(
        UserError, match=r"images \(C, H, W\), these data have shape \(2,\): use augment=instance_noise"
    ):
        augmentation(torch.zeros(4, 2))


# DiffAugment


def test_diffaugment_brightness_adds_one_number_to_each_image():
    images = random_images(MANY, 2, 2, 2)
    added = (augment.brighten(images) - images).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    assert added.min() < -0.49 and added.max() < 0.5 and added.max() > 0.49
    torch.testing.assert_close(added[:, 0].std().item(), 12**-0.5, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("change", "axes", "low", "high"), [(augment.saturate, 1, 0, 2), (augment.change_contrast, (1, 2, 3), 0.5, 1.5)]
)
def test_diffaugment_saturation_and_contrast_scale_the_distance_from_a_mean(change, axes, low, high):
    images = random_images(MANY, 3, 2, 2)
    changed, mean = change(images).numpy(), images.numpy().mean(axes, keepdims=True)
    factor = ((changed - mean) / (images.numpy() - mean)).reshape(MANY, -1)
    np.testing.assert_allclose(factor, np.broadcast_to(factor[:, :1], factor.shape), atol=1e-9)
    np.testing.assert_allclose(changed.mean(axes, keepdims=True), mean, atol=1e-12)
    np.testing.assert_allclose([factor.min(), factor.max()], [low, high], atol=0.01)


def shift(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """By loops, with zeros."""
    result = np.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = image[:, row - down, column - right]
    return result


def test_diffaugment_translation_is_a_shift_by_up_to_an_eighth():
    images = random_images(300, 2, 8, 17)  # an eighth: 1 and 2 pixels
    shifts = {(down, right): 0 for down in range(-1, 2) for right in range(-2, 3)}
    for before, after in zip(images.numpy(), augment.shift(images).numpy(), strict=True):
        (match,) = [move for move in shifts if np.array_equal(shift(before, *move), after)]
        shifts[match] += 1
    assert min(shifts.values()) >= 5  # 300 / 15 = 20 expected of each


def test_diffaugment_cutout_is_a_box_of_half_the_side_centered_anywhere():
    images = random_images(300, 2, 4, 6)
    boxes = {}
    for row in range(5):  # even boxes are centered between pixels, on the border too
        for column in (0, 1, 2, 3, 4, 5):  # the box of 3 is centered on a pixel
            mask = np.ones((4, 6), bool)
            mask[max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 2] = False
            boxes[row, column] = mask
    seen = set()
    for before, after in zip(images.numpy(), augment.cut_out(images).numpy(), strict=True):
        (match,) = [center for center, mask in boxes.items() if np.array_equal(before * mask, after)]
        seen.add(match)
    assert seen == set(boxes)


def test_diffaugment_does_what_its_policy_says_in_its_order():
    images = random_images(4, 3, 8, 8)
    assert torch.equal(DiffAugment([])(images), images)
    torch.manual_seed(1)
    expected = augment.cut_out(augment.shift(images))
    torch.manual_seed(1)
    assert torch.equal(DiffAugment(["translation", "cutout"])(images), expected)


# ADA's geometry


def read_at(position: float, size: int) -> list[tuple[int, float]]:
    """The two pixels around a position mirrored at the border's outer edge, with their weights."""
    distance = (position + 0.5) % (2 * size)
    inside = min(max(min(distance, 2 * size - distance) - 0.5, 0), size - 1)
    low = math.floor(inside)
    return [(low, 1 - (inside - low)), (min(low + 1, size - 1), inside - low)]


def warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """By loops, bilinearly."""
    _, height, width = image.shape
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x, y, _ = matrix @ [column - (width - 1) / 2, row - (height - 1) / 2, 1]
            for source_row, above in read_at(y + (height - 1) / 2, height):
                for source_column, left in read_at(x + (width - 1) / 2, width):
                    result[:, row, column] += above * left * image[:, source_row, source_column]
    return result


@pytest.mark.parametrize("name", transforms.GEOMETRY)
def test_images_are_read_where_the_matrix_says(name):
    images = random_images(6, 2, 7, 10)
    matrices = transforms.GEOMETRY[name](images)
    expected = [warped(*pair) for pair in zip(images.numpy(), matrices.numpy(), strict=True)]
    np.testing.assert_allclose(transforms.apply_geometry(images, [matrices]).numpy(), expected, atol=1e-9)


def test_quarter_turns_and_flips_are_torch_s():
    images = random_images(200, 3, 6, 6)
    for change, results in [
        (transforms.quarter_turns, [images.rot90(turns, (2, 3)) for turns in range(4)]),
        (transforms.flip, [images, images.flip(3)]),
    ]:
        changed = transforms.apply_geometry(images, [change(images)])
        same = torch.stack([(changed - result).abs().amax((1, 2, 3)) < 1e-9 for result in results])
        assert (same.sum(0) == 1).all()
        assert (same.sum(1) > 200 / len(results) * 0.6).all()  # each as often as the others


def test_ada_translation_is_by_whole_pixels_up_to_an_eighth():
    images = random_images(200, 1, 16, 24)
    moves = transforms.translation(images)[:, :2, 2].long()  # right, down
    assert moves[:, 0].abs().max() == 3 and moves[:, 1].abs().max() == 2
    padded = np.pad(images.numpy(), [(0, 0), (0, 0), (2, 2), (3, 3)], mode="symmetric")
    expected = [
        padded[index, :, 2 + down : 18 + down, 3 + right : 27 + right] for index, (right, down) in enumerate(moves)
    ]
    torch.manual_seed(0)
    random_images(200, 1, 16, 24)
    changed = transforms.apply_geometry(images, [transforms.translation(images)])
    np.testing.assert_allclose(changed.numpy(), expected, atol=1e-9)


def test_scaling_and_rotation_have_the_paper_s_distributions():
    images = random_images(MANY, 1, 1, 1)
    scales = transforms.scaling(images)
    torch.testing.assert_close(scales[:, 0, 0], scales[:, 1, 1])
    torch.testing.assert_close(scales[:, 0, 0].log2().std().item(), 0.2, atol=0.01, rtol=0)
    turns = transforms.rotation(images)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand_as(turns))
    angles = torch.atan2(turns[:, 0, 1], turns[:, 0, 0])
    torch.testing.assert_close(angles.std().item(), 2 * math.pi / 12**0.5, atol=0.05, rtol=0)


def test_the_first_matrix_is_applied_first():
    images = random_images(8, 1, 6, 6)
    matrices = [transforms.quarter_turns(images), transforms.flip(images)]
    expected = transforms.apply_geometry(transforms.apply_geometry(images, matrices[:1]), matrices[1:])
    torch.testing.assert_close(transforms.apply_geometry(images, matrices), expected)


# ADA's colors


def in_turn(name: str, seed: int = 1, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, the same with their colors changed, and the amounts: the same draws, made again."""
    images = random_images(50, channels, 4, 4)
    torch.manual_seed(seed)
    changed = transforms.apply_color(images, [transforms.COLORS[name](images)])
    torch.manual_seed(seed)
    return images, changed, torch.randn(50, dtype=torch.float64)[:, None, None, None]


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast(channels):
    images, changed, draws = in_turn("brightness", channels=channels)
    torch.testing.assert_close(changed, images + 0.2 * draws)
    images, changed, draws = in_turn("contrast", channels=channels)
    torch.testing.assert_close(changed, images * 2 ** (0.5 * draws))


def test_saturation_scales_the_distance_from_gray():
    images, changed, draws = in_turn("saturation")
    gray = images.mean(1, keepdim=True)
    torch.testing.assert_close(changed, gray + (images - gray) * 2**draws)


def test_luma_flip_reverses_the_gray_part():
    images, changed, _ = in_turn("luma_flip")
    flipped = (changed - images).abs().amax((1, 2, 3)) > 0
    assert 10 < flipped.sum() < 40
    expected = images - 2 * images.mean(1, keepdim=True) * flipped[:, None, None, None]
    torch.testing.assert_close(changed, expected)


def test_hue_turns_colors_about_the_gray_axis():
    images = random_images(50, 3, 4, 4)
    torch.manual_seed(1)
    matrices = transforms.hue(images)
    torch.manual_seed(1)
    angles = math.pi * (2 * torch.rand(50, dtype=torch.float64) - 1)
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / 3**0.5
    torch.testing.assert_close(matrices[:, :3, :3], torch.linalg.matrix_exp(angles[:, None, None] * cross))
    changed = transforms.apply_color(images, [matrices])
    torch.testing.assert_close(changed, torch.einsum("bij,bjhw->bihw", matrices[:, :3, :3], images))
    torch.testing.assert_close(changed.mean(1), images.mean(1))


def test_colors_are_changed_in_the_table_s_order_and_gray_like_equal_channels():
    images = random_images(50, 1, 4, 4)
    matrices = [change(images) for change in transforms.COLORS.values()]
    one_by_one = equal = images.repeat(1, 3, 1, 1)
    for matrix in matrices:
        one_by_one = transforms.apply_color(one_by_one, [matrix])
    torch.testing.assert_close(transforms.apply_color(equal, matrices), one_by_one)
    torch.testing.assert_close(transforms.apply_color(images, matrices), one_by_one.mean(1, keepdim=True))


def test_colors_of_two_channels_are_refused():
    with pytest.raises(UserError, match="2 channels"):
        ADA(p=1.0)(random_images(4, 2, 8, 8))
    ADA(["rotation"], p=1.0)(random_images(4, 2, 8, 8))


# ADA's probability


def test_p_is_the_share_of_images_an_operation_is_applied_to():
    images = random_images(MANY, 1, 2, 3)
    for p in (0.0, 0.3, 1.0):
        changed = ADA(["brightness"], p=p)(images)
        share = (changed != images).flatten(1).any(1).double().mean().item()
        assert abs(share - p) <= 4 * math.sqrt(p * (1 - p) / MANY)


@pytest.mark.parametrize("channels", [1, 3])
def test_p_of_0_is_the_identity_to_the_last_bit(channels):
    images = random_images(16, channels, 13, 11).float()
    assert torch.equal(ADA(p=0.0)(images), images)


def test_operations_are_drawn_independently():
    images = random_images(MANY, 1, 4, 4)
    changed = (ADA(["rotation", "brightness"], p=0.5)(images) != images).flatten(1).any(1).double().mean().item()
    assert abs(changed - 0.75) < 0.03


def test_p_climbs_by_images_over_ramp_while_d_is_too_sure_of_reals():
    ada = ADA(ramp=1000, every=4)
    sure = torch.tensor([5.0, 0.1, 3.0, 2.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # r = 0.8
    for step in range(8):
        ada.observe(sure, 25)
        assert ada.curves()["augment/probability"] == pytest.approx(0.1 * ((step + 1) // 4))  # 4 * 25 / 1000
    unsure = torch.tensor([5.0, 5.0, 5.0, -0.1])  # r = 0.5, though the mean logit is high
    for step in range(4):
        ada.observe(unsure, 50)
        assert ada.curves()["augment/probability"] == pytest.approx(0.2 if step < 3 else 0.0)


def test_p_follows_all_steps_since_it_last_moved():
    ada = ADA(target=0.0, ramp=100, every=2)
    for logits in ([1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]):
        ada.observe(torch.tensor(logits), 10)
        # r = 1/2: up; r = 0, on target: as it is; r = -1/2: down
    assert ada.curves()["augment/probability"] == 0.0
    ada.observe(torch.ones(2), 10)
    ada.observe(torch.ones(2), 10)
    assert ada.curves()["augment/probability"] == pytest.approx(0.2)


def test_p_stays_a_probability():
    ada = ADA(p=0.9, ramp=10, every=1)
    ada.observe(torch.ones(4), 5)
    assert ada.curves()["augment/probability"] == 1.0
    for _ in range(3):
        ada.observe(-torch.ones(4), 5)
    assert ada.curves()["augment/probability"] == 0.0


def test_without_a_target_p_stays_where_it_is():
    ada = ADA(p=0.25, target=None, every=1)
    ada.observe(torch.ones(4), 10_000)
    assert ada.curves()["augment/probability"] == 0.25


def test_ada_goes_on_from_its_state_between_two_adjustments():
    first, second = ADA(ramp=1000), ADA(ramp=1000)
    for _ in range(6):
        first.observe(torch.ones(4), 25)
    second.load_state_dict(first.state_dict())
    for ada in (first, second):
        for _ in range(2):
            ada.observe(torch.ones(4), 25)
        assert ada.curves()["augment/probability"] == pytest.approx(0.2)


def test_ada_judges_by_all_processes(monkeypatch):
    monkeypatch.setattr(zerosum.distributed, "rank_and_world_size", lambda: (0, 2))
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: value.add_(0.0))  # the other's r is 0
    ada = ADA(ramp=1000, every=1, p=0.5)
    ada.observe(torch.ones(4), 100)  # r = 1/2 < 0.6
    assert ada.curves()["augment/probability"] == pytest.approx(0.4)


def test_other_augmentations_observe_nothing():
    augmentation = DiffAugment()
    augmentation.observe(torch.ones(4), 64)
    assert not augmentation.state_dict()


# All of them


def alike(augmentation, seed=3):
    """The augmentation as a function: the same draws at each call."""

    def function(images):
        torch.manual_seed(seed)
        return augmentation(images)

    return function


@pytest.mark.parametrize("augmentation", [*everything(), InstanceNoise()], ids=lambda module: type(module).__name__)
def test_gradients_and_their_gradients_flow(augmentation):
    images = random_images(2, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(alike(augmentation), images)
    assert torch.autograd.gradgradcheck(alike(augmentation), images)


@pytest.mark.parametrize("augmentation", everything(), ids=lambda module: type(module).__name__)
def test_r1_goes_through_augmentations_to_the_weights(augmentation):
    w = torch.randn(3 * 8 * 8, dtype=torch.float64, requires_grad=True)
    images = random_images(3, 3, 8, 8).requires_grad_()
    function = alike(augmentation)
    value = R1(1.0).penalty(None, ScoredBatch(images, Scores(function(images).flatten(1) @ w)), None)
    (gradient,) = torch.autograd.grad(value, w)
    # The augmentation is affine, A x + b: R1 is E |A^T w|^2 / 2.
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x).flatten(1), images.detach())
    own = torch.stack([jacobian[index, :, index].flatten(1) for index in range(3)])  # (B, CHW, CHW)
    pulled = own.mT @ w.detach()
    torch.testing.assert_close(value.item(), 0.5 * pulled.square().sum(1).mean().item())
    torch.testing.assert_close(gradient, (own @ pulled[:, :, None]).mean(0).squeeze(1))


@pytest.mark.parametrize("augmentation", [*everything(), InstanceNoise()], ids=lambda module: type(module).__name__)
def test_draws_are_those_of_torch_s_seed_and_differ_between_images(augmentation):
    images = random_images(1, 3, 8, 8).float().repeat(4, 1, 1, 1)
    first, again, other = (alike(augmentation, seed)(images) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_shape_is_kept_and_range_where_colors_are_not_changed(channels, p):
    images = random_images(16, channels, 16, 12)
    for augmentation in everything(p):
        assert augmentation(images).shape == images.shape
    for augmentation in (DiffAugment(["translation", "cutout"]), ADA(list(transforms.GEOMETRY), p=p)):
        assert augmentation(images).abs().max() <= 1 + 1e-9


def test_bfloat16_training_augments_in_float32():
    images = random_images(8, 3, 32, 32).bfloat16()
    for augmentation in everything():
        expected = alike(augmentation)(images.float())
        with torch.autocast("cpu", torch.bfloat16):
            changed = alike(augmentation)(images)
        assert changed.dtype == torch.float32
        assert torch.equal(changed, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: DiffAugment(["colour"]),
        lambda: ADA(["rotate"]),
        lambda: ADA(p=1.5),
        lambda: ADA(every=0),
    ],
)
def test_impossible_options_are_refused(make):
    with pytest.raises(UserError, match=r"(policy=colour.*color|operations=rotate.*rotation|p=1\.5|every=0)"):
        make()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_builds_an_augmentation(path):
    node = check(OmegaConf.to_container(OmegaConf.load(path)))
    if path.stem == "none":
        assert node == {}
        return
    augmentation = instantiate(node, _convert_="all")
    assert isinstance(augmentation, Augmentation) and isinstance(augmentation, nn.Module)
    assert not list(augmentation.parameters())
    assert augmentation(torch.zeros(4, 1, 8, 8)).shape == (4, 1, 8, 8)

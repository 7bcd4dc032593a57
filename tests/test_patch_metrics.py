"""The sliced Wasserstein distance of patches against its definition."""

import numpy as np
import pytest
import torch
from given_features import GivenReference
from scipy.ndimage import convolve1d
from scipy.stats import wasserstein_distance

from zerosum.data.synthetic import Synthetic
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.distribution_metrics import FID
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.evaluation.features.patches import LaplacianPatches, laplacian_pyramid
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.patch_metrics import SlicedWasserstein
from zerosum.evaluation.protocol import directions_of_parts, score_by_first
from zerosum.evaluation.reference import FeatureSet
from zerosum.pixels import to_uint8


def features_of(images: torch.Tensor, patches: int = 4) -> tuple[LaplacianPatches, FeatureSet]:
    dataset = Synthetic(images.shape[-1], images.shape[1])
    features = LaplacianPatches(patches)
    features.prepare(dataset)
    return features, FeatureSet(features.network(images).features)


def images_of(seed: int, count: int = 20, side: int = 32, channels: int = 3, spread: float = 0.4) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return to_uint8((spread * torch.randn(count, channels, side, side, generator=random)).clamp(-1, 1))


def reference_of(images: torch.Tensor) -> GivenReference:
    features, real = features_of(images)
    reference = GivenReference(test=real)
    reference.features = features
    return reference


def scipys_pyramid(image: np.ndarray, levels: int) -> list[np.ndarray]:
    """Burt and Adelson's pyramid of one channel, by scipy's convolution."""
    taps = np.array([1, 4, 6, 4, 1]) / 16

    def blur(values: np.ndarray) -> np.ndarray:
        return convolve1d(convolve1d(values, taps, axis=0, mode="mirror"), taps, axis=1, mode="mirror")

    pyramid = [image]
    for _ in range(levels - 1):
        half = blur(pyramid[-1])[::2, ::2]
        spaced = np.zeros_like(pyramid[-1])
        spaced[::2, ::2] = half
        pyramid[-1] = pyramid[-1] - 4 * blur(spaced)
        pyramid.append(half)
    return pyramid


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_pyramid_is_that_of_its_definition_and_a_flat_image_has_no_details(dtype):
    image = torch.randn(1, 1, 64, 64, dtype=dtype, generator=torch.Generator().manual_seed(0))
    ours, expected = laplacian_pyramid(image, 3), scipys_pyramid(image[0, 0].double().numpy(), 3)
    for level, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(level[0, 0].double(), other, atol=1e-5)
    fine, coarse = laplacian_pyramid(torch.full((1, 3, 32, 32), 0.3), 2)
    torch.testing.assert_close(fine, torch.zeros_like(fine), atol=1e-6, rtol=0)
    torch.testing.assert_close(coarse, torch.full((1, 3, 16, 16), 0.3))


def test_patches_lie_in_their_level_and_keep_their_place_in_the_flattened_features():
    images = images_of(0, count=3, side=64)
    features, found = features_of(images, patches=5)
    network = features.network
    assert network.resolutions == [64, 32, 16] and found.features.shape == (3, network.num_features)
    by_level = network.by_level(found.features)
    assert by_level.shape == (3, 15, 3, 49)
    for level, patches in zip(laplacian_pyramid(images.float() / 127.5 - 1, 3), by_level, strict=True):
        windows = level.unfold(2, 7, 1).unfold(3, 7, 1).flatten(4).permute(0, 2, 3, 1, 4).flatten(1, 2)
        for index, patch in enumerate(patches):
            assert (windows[index // 5] - patch).abs().amax((1, 2)).min() < 1e-6


def test_the_distance_is_the_mean_of_scipys_over_the_same_directions():
    reference, (_, fake) = reference_of(images_of(0)), features_of(images_of(1, spread=0.2))
    metric = SlicedWasserstein(slices=40, seed=3)
    found = metric(reference, fake)
    levels = reference.features.network.by_level
    expected = []
    for real, other in zip(levels(reference.real.features), levels(fake.features), strict=True):
        directions = metric_directions(metric, 147)
        sides = []
        for side in (real.double().numpy(), other.double().numpy()):
            side = (side - side.mean((0, 2), keepdims=True)) / side.std((0, 2), keepdims=True)
            sides.append(side.reshape(len(side), -1) @ directions)
        expected.append(1000 * np.mean([wasserstein_distance(sides[0][:, i], sides[1][:, i]) for i in range(40)]))
    assert found["sliced_wasserstein_32"] == pytest.approx(expected[0], rel=1e-4)
    assert found["sliced_wasserstein_16"] == pytest.approx(expected[1], rel=1e-4)
    assert found["sliced_wasserstein"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_distance_at_each_resolution_is_better_the_same_way_and_does_not_choose_the_checkpoint():
    values = {"sliced_wasserstein": 3.0, "sliced_wasserstein_32": 1.0, "sliced_wasserstein_x": 1.0, "fid_9": 1.0}
    better = SlicedWasserstein.better
    assert directions_of_parts(values, better) == {"sliced_wasserstein_32": "lower"}
    assert score_by_first({"sliced_wasserstein": SlicedWasserstein()}, values) == (-3.0,)


def metric_directions(metric: SlicedWasserstein, size: int) -> np.ndarray:
    from zerosum.randomness import generator

    directions = torch.randn(size, metric.slices, generator=generator(metric.seed, "directions")).double()
    return (directions / directions.norm(dim=0)).numpy()


def test_equal_images_have_distance_zero_and_blurred_ones_more_than_other_draws():
    reference = reference_of(images_of(0, 400))
    assert SlicedWasserstein()(reference, reference.real)["sliced_wasserstein"] == 0
    blurred = torch.nn.functional.avg_pool2d(images_of(1, 400).float(), 3, 1, 1).round().to(torch.uint8)
    others, soft = (SlicedWasserstein()(reference, features_of(each)[1]) for each in (images_of(1, 400), blurred))
    assert others["sliced_wasserstein"] < 0.6 * soft["sliced_wasserstein"]


def test_the_larger_side_is_cut_and_the_floor_needs_as_many_images():
    reference, (_, more) = reference_of(images_of(0, 20)), features_of(images_of(1, 30))
    cut = FeatureSet(more.features[:20])
    assert SlicedWasserstein()(reference, more) == SlicedWasserstein()(reference, cut)
    assert SlicedWasserstein().extrapolate(reference, more, 1000) == SlicedWasserstein()(reference, more)
    with pytest.raises(UnmeasurableError, match="needs 20 images and has 12"):
        SlicedWasserstein().extrapolate(reference, FeatureSet(more.features[:12]), 1000)


def test_metrics_of_the_other_kind_are_left_out_and_nothing_left_is_an_error():
    both = {"fid": FID(), "sliced_wasserstein": SlicedWasserstein()}
    protocol = ImageProtocol("mine", LaplacianPatches(), both)
    assert list(protocol.measured) == ["sliced_wasserstein"] and "features=inception" in protocol.left_out["fid"]
    assert list(ImageProtocol("mine", ClassifierFeatures(), both).measured) == ["fid"]
    with pytest.raises(UserError, match="nothing can be measured: fid: it needs whole images"):
        ImageProtocol("mine", LaplacianPatches(), {"fid": FID()})


def test_patches_of_an_image_do_not_depend_on_its_batch_and_differ_between_images():
    images = images_of(0, count=10)
    features, whole = features_of(images)
    parts = torch.cat([features.network(part).features for part in images.split(3)])
    assert torch.equal(whole.features, parts)
    numbers = features.network.numbers(images)
    assert len(numbers.flatten(1).unique(dim=0)) == 10 and numbers.min() >= 0
    places = features.network.numbers(images_of(1, count=500)) % 26  # of a level of 32 pixels
    expected = places.numel() / 26
    assert ((places.flatten().bincount(minlength=26) - expected).abs() < 5 * expected**0.5).all()

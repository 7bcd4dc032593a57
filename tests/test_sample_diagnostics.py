"""Diversity, classes and nearness of samples whose answers are known."""

import pytest
import torch

from zerosum.data.mixtures import Ring
from zerosum.evaluation.sample_diagnostics import (
    compare_classes,
    compare_diversity,
    compare_nearness,
    diagnose_points,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_diversity_is_the_share_of_the_datas_total_variance(dtype):
    real = torch.randn(5_000, 8, dtype=dtype)
    assert compare_diversity(real, real) == {"diversity": 1}
    assert compare_diversity(0.5 * real + 3, real)["diversity"] == pytest.approx(0.25, rel=1e-4)
    assert compare_diversity(torch.ones(10, 8, dtype=dtype), real) == {"diversity": 0}


def test_a_class_with_less_than_a_tenth_of_its_share_is_missing():
    real = torch.arange(4).repeat_interleave(100)
    fake = torch.repeat_interleave(torch.arange(4), torch.tensor([500, 300, 190, 10]))
    found = compare_classes(fake, real, list("abcd"))
    assert found == {"class_share/a": 0.5, "class_share/b": 0.3, "class_share/c": 0.19, "class_share/d": 0.01} | {
        "classes_missing": 1.0,
        "classes_missing_share": 0.25,
    }
    assert compare_classes(fake[:0], real, list("abcd"))["classes_missing"] == 4
    assert compare_classes(fake[:0], real, list("abcd"))["classes_missing_share"] == 1


def test_copies_are_nearer_to_training_images_and_new_samples_are_not():
    train, held_out, new = torch.randn(3, 1_000, 16).unbind()
    copies = compare_nearness(train[:500], train, held_out)
    assert copies["nearest/train"] < 1e-3 < copies["nearest/held_out"] and copies["nearer_to_train"] == 1
    honest = compare_nearness(new, train, held_out)
    assert honest["nearer_to_train"] == pytest.approx(0.5, abs=0.06)
    assert honest["nearest/train"] == pytest.approx(honest["nearest/held_out"], rel=0.05)


def test_points_of_five_of_eight_modes_miss_three():
    dataset = Ring()
    points, modes = dataset.sample(4_000, torch.Generator().manual_seed(1))
    whole = diagnose_points(dataset, points)
    assert whole["classes_missing"] == 0 and whole["diversity"] == pytest.approx(1, rel=0.05)
    assert diagnose_points(dataset, points[modes < 5])["classes_missing"] == 3

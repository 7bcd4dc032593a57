"""Metrics of samples beside the truth: closed forms, and models whose law is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from zerosum.data.known_answers import Bounce, Dyed
from zerosum.data.pairs import Negative, Pairs, Smaller
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.features.patches import LaplacianPatches
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.pair_metrics import AnswerLaw, PairFidelity, chroma, compare, sharpness
from zerosum.pixels import from_uint8

CONDITIONED = SimpleNamespace(from_data=True)


class Answering:
    """A model that answers by a function of the seeds and the conditions."""

    def __init__(self, answer, conditions=CONDITIONED):
        self.answer, self.conditions = answer, conditions

    def sample(self, seeds, condition=None):
        return self.answer(seeds, condition)


def measure(dataset, metric, model, n_fake=64):
    protocol = ImageProtocol("test", LaplacianPatches(), {"metric": metric}, n_fake=n_fake, batch_size=10)
    protocol.prepare(dataset)
    return protocol, protocol.measure(model)


def test_psnr_of_a_constant_error_is_its_closed_form_and_equal_images_have_a_bound():
    real = torch.randint(0, 200, (6, 1, 16, 16), dtype=torch.uint8)
    values = compare(real + 20, real)
    assert values["psnr"] == pytest.approx(20 * math.log10(255 / 20), abs=1e-4)
    assert values["sharpness"] == pytest.approx(1, abs=1e-6)
    assert compare(real, real) == {"psnr": 100.0, "ssim": pytest.approx(1), "sharpness": pytest.approx(1)}


def test_values_are_those_of_torchmetrics_over_all_images():
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 256, (601, 3, 16, 16), dtype=torch.uint8, generator=random) for _ in range(2))
    values = compare(fake, real)
    for name, metric in {"psnr": PeakSignalNoiseRatio, "ssim": StructuralSimilarityIndexMeasure}.items():
        expected = metric(data_range=255.0)(fake.float(), real.float())
        assert values[name] == pytest.approx(float(expected), rel=1e-4)


def test_sharpness_is_the_slope_of_a_ramp_and_halves_with_contrast():
    ramp = 3.0 * torch.arange(16).expand(1, 1, 16, 16)
    assert sharpness(ramp) == pytest.approx(3)
    assert sharpness(0.5 * ramp + 0.5 * ramp.transpose(2, 3)) == pytest.approx(3 / math.sqrt(2))


def test_chroma_is_the_distance_from_gray_and_halves_with_saturation():
    """Of pure red, 255 (1, 0, 0) - 85 (1, 1, 1), it is 255 sqrt(2 / 3)."""
    red = torch.tensor([255.0, 0, 0]).view(1, 3, 1, 1).expand(2, 3, 16, 16)
    assert chroma(red) == pytest.approx(255 * math.sqrt(2 / 3))
    assert chroma(red.mean(1, keepdim=True).expand_as(red)) == 0
    pale = (red + red.mean(1, keepdim=True)) / 2
    assert compare(pale, red)["chroma"] == pytest.approx(0.5)
    assert "chroma" not in compare(red[:, :1], red[:, :1])


def test_each_sample_is_compared_with_the_image_of_its_own_condition(tmp_path):
    """A model that undoes the negative is exact, also where the split starts again; one image late it is not."""
    dataset = Pairs(Synthetic(16, count=50), Negative(), root=str(tmp_path))
    _, values = measure(dataset, PairFidelity(), Answering(lambda seeds, condition: -condition), n_fake=120)
    assert values["psnr"] == 100 and values["ssim"] == pytest.approx(1)
    _, values = measure(dataset, PairFidelity(), Answering(lambda seeds, condition: -condition.roll(1, 0)))
    assert values["psnr"] < 30


def test_a_model_without_conditions_has_no_truth(tmp_path):
    dataset = Pairs(Synthetic(16, count=50), Smaller(4), root=str(tmp_path))
    with pytest.raises(UserError, match="a model that makes an image from another"):
        measure(dataset, PairFidelity(), Answering(lambda seeds, _: torch.zeros(len(seeds), 1, 16, 16), None))


def lawful(dataset, law):
    """A model that answers each condition by the law, by the seed alone."""
    table = {image.tobytes(): row for row, image in enumerate(dataset.split("test").condition_images)}

    def answer(seeds, condition):
        rows = []
        for seed, given in zip(seeds, condition, strict=True):
            row = table[((given + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes()]
            (answers,) = dataset.answers("test", np.array([row]))
            rows.append(law(np.random.default_rng(seed), answers))
        return from_uint8(torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2))

    return Answering(answer)


@pytest.mark.parametrize("kind", [Bounce, Dyed])
def test_a_model_of_the_law_is_at_the_floor(kind, small_mnist):
    dataset = kind(root=str(small_mnist))
    model = lawful(dataset, lambda random, answers: answers[random.choice(len(dataset.law), p=dataset.law)])
    protocol, values = measure(dataset, AnswerLaw(30, 50), model)
    noise = 0.5 * np.sqrt(2 / np.pi * dataset.law * (1 - dataset.law) / 1500).sum()  # the mean distance of 1,500 draws
    assert values["law_distance"] < 3 * noise
    assert values["answers_right"] == 1
    assert values["answer_diversity"] == pytest.approx(1, abs=0.1)
    found = (1 - (1 - dataset.law) ** 50) @ dataset.law
    assert values["law_covered"] == pytest.approx(found, abs=0.03)
    floor = protocol.floor()
    assert floor is not None and floor["law_distance"] < 3 * noise and floor["answers_right"] == 1


@pytest.mark.parametrize("kind", [Bounce, Dyed])
def test_the_mean_of_all_answers_is_none_of_them(kind, small_mnist):
    dataset = kind(root=str(small_mnist))
    mean = lawful(dataset, lambda random, answers: np.tensordot(dataset.law, answers, 1).round().astype(np.uint8))
    _, values = measure(dataset, AnswerLaw(20, 4), mean)
    assert values.pop("law_distance") == 1 and max(values.values()) < 1e-9


def test_one_answer_for_all_seeds_is_as_far_from_the_law_as_the_others_are_likely(small_mnist):
    dataset = Bounce(root=str(small_mnist))
    _, values = measure(dataset, AnswerLaw(20, 4), lawful(dataset, lambda random, answers: answers[1]))
    shares = {"answer_share_0": 0, "answer_share_1": 1}
    expected = {"law_distance": 0.3, "answers_right": 1, "law_covered": 0.7, "answer_diversity": 0, **shares}
    assert values == pytest.approx(expected, abs=1e-9)


def test_a_dataset_that_does_not_know_its_answers_is_refused(tmp_path):
    dataset = Pairs(Synthetic(16, count=50), Negative(), root=str(tmp_path))
    with pytest.raises(UnmeasurableError, match="dataset=bounce or dyed"):
        AnswerLaw().check_dataset(SimpleNamespace(dataset=dataset))

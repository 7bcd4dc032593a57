"""Metrics of samples beside the real images of their conditions, and of samples beside all right answers."""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from zerosum.data.images import to_condition
from zerosum.data.known_answers import KnownAnswers
from zerosum.distributed import on_rank_zero
from zerosum.errors import UnmeasurableError, check_at_least, check_positive
from zerosum.evaluation.protocol import Direction, ImageSampling
from zerosum.pixels import from_uint8, to_uint8
from zerosum.randomness import derive, generator
from zerosum.sampling import Model

NEAR = 0.25
"""A sample is an answer if it is nearer to it than this share of the distance between the two closest answers.

The mean of two answers lies at least as far as the smaller of their probabilities: 0.3 for 0.3 and 0.7.
"""


MOST_DECIBELS = 100.0
"""The PSNR of equal images, which would be infinite"""


class PairFidelity:
    """How near samples are to the real image that their condition belongs to, in gray or RGB levels from 0 to 255.

    PSNR of the mean squared error over all images; SSIM (Wang et al. 2004) with a Gaussian window of 11 pixels,
    averaged over images; sharpness is the mean length of the samples' gradients over that of the real images', and
    chroma, of RGB images, the same of the mean distance of a pixel's color from gray.
    """

    better: ClassVar[dict[str, Direction]] = {"psnr": "higher", "ssim": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = False

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"psnr": decibels, "ssim": -1 to 1, "sharpness": ratio, of RGB also "chroma": ratio}"""
        if protocol.conditions(model, [0]) is None or protocol.dataset.condition_shape is None:
            raise UnmeasurableError(
                "psnr and ssim need a model that makes an image from another, as image_to_image does"
            )
        samples = protocol.sample_images(model).cpu()
        rows = protocol.condition_rows(range(protocol.n_fake))
        real = torch.from_numpy(protocol.dataset.split(protocol.split).images[rows]).permute(0, 3, 1, 2)
        return on_rank_zero(lambda pair: compare(*pair), (samples, real))

    def describe(self) -> dict[str, Any]:
        return {"psnr_of": "the mean squared error over all images, every channel"}


@torch.inference_mode()
def compare(samples: Tensor, real: Tensor) -> dict[str, float]:
    """PSNR, SSIM, sharpness and chroma of samples (N, C, H, W) uint8 against real images."""
    fake, true = samples.float(), real.float()
    starts = range(0, len(fake), 500)
    parts = [(fake[start : start + 500], true[start : start + 500]) for start in starts]
    alike = [structural_similarity_index_measure(*part, data_range=255.0, reduction="sum") for part in parts]
    return {
        "psnr": min(float(peak_signal_noise_ratio(fake, true, data_range=255.0)), MOST_DECIBELS),
        "ssim": float(sum(alike)) / len(fake),  # type: ignore[arg-type]
        "sharpness": sharpness(fake) / max(sharpness(true), 1e-12),
        **({"chroma": chroma(fake) / max(chroma(true), 1e-12)} if fake.shape[1] == 3 else {}),
    }


def sharpness(images: Tensor) -> float:
    """The mean length of the gradient of (N, C, H, W), by differences of neighbours, in levels a pixel."""
    down = images[:, :, 1:, :-1] - images[:, :, :-1, :-1]
    across = images[:, :, :-1, 1:] - images[:, :, :-1, :-1]
    return float((down.square() + across.square()).sqrt().mean(dtype=torch.float64))


def chroma(images: Tensor) -> float:
    """The mean distance of the pixels of (N, 3, H, W) from the gray of their mean channel, in levels."""
    return float((images - images.mean(1, keepdim=True)).square().sum(1).sqrt().mean(dtype=torch.float64))


class AnswerLaw:
    """Whether the samples of a condition follow its known law, from `samples` of each of `conditions` conditions.

    Each sample is the nearest right answer, or none if it is a quarter or more as far from it as the two closest
    answers are from each other. `answers_right` is the share that is an answer; `law_distance` the total variation
    distance of the shares from the law, with 'none' as one more outcome; `law_covered` the law's mass of the answers
    that a condition's samples found, averaged; `answer_diversity` their variance over that of the law;
    `answer_share_<k>` the share of answer k. Shares are averaged over conditions, so that a generator with one answer
    for each may follow the law on the whole: `law_covered` and `answer_diversity` tell it.
    """

    better: ClassVar[dict[str, Direction]] = {
        "law_distance": "lower",
        "answers_right": "higher",
        "law_covered": "higher",
    }
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, conditions: int = 200, samples: int = 32) -> None:
        check_positive("metrics.answer_law", conditions=conditions)
        check_at_least("metrics.answer_law", 2, samples=samples)
        self.conditions = conditions
        self.samples = samples

    @torch.inference_mode()
    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """The values; every process makes all samples, of which there are few."""
        dataset = self.check_dataset(protocol)
        if protocol.conditions(model, [0]) is None:
            raise UnmeasurableError(
                "law_distance needs a model that makes an image from another, as image_to_image does"
            )
        rows = protocol.condition_rows(range(self.conditions))
        given = dataset.split(protocol.split).condition_images
        assert given is not None
        shares = []
        for number, row in enumerate(rows):
            seeds = [derive(protocol.seed, number, sample, "answers") >> 16 for sample in range(self.samples)]
            condition = to_condition(torch.from_numpy(given[[row]])).expand(self.samples, -1, -1, -1)
            fakes = from_uint8(to_uint8(model.sample(seeds, condition))).cpu()
            shares.append(judge(fakes, answers_to(dataset, protocol.split, row), torch.from_numpy(dataset.law)))
        return summarize(torch.stack(shares), torch.from_numpy(dataset.law))

    def measure_real(self, protocol: ImageSampling) -> dict[str, float]:
        """The values of answers drawn from the law itself."""
        dataset = self.check_dataset(protocol)
        law, random = torch.from_numpy(dataset.law), generator(protocol.seed, "law")
        shares = []
        for row in protocol.condition_rows(range(self.conditions)):
            answers = answers_to(dataset, protocol.split, row)
            drawn = answers[torch.multinomial(law, self.samples, replacement=True, generator=random)]
            shares.append(judge(drawn, answers, law))
        return summarize(torch.stack(shares), law)

    def check_dataset(self, protocol: ImageSampling) -> KnownAnswers:
        """The dataset; UnmeasurableError if it does not know its answers."""
        if not isinstance(protocol.dataset, KnownAnswers):
            raise UnmeasurableError("law_distance needs a dataset that knows all answers: dataset=bounce or dyed")
        return protocol.dataset

    def describe(self) -> dict[str, Any]:
        return {"answers_of": f"{self.samples} samples of each of {self.conditions} conditions"}


def answers_to(dataset: KnownAnswers, split: str, row: int) -> Tensor:
    """(K, C, H, W) in [-1, 1]: all answers to one condition."""
    (answers,) = dataset.answers(split, np.array([row]))
    return from_uint8(torch.from_numpy(answers).permute(0, 3, 1, 2))


def judge(samples: Tensor, answers: Tensor, law: Tensor) -> Tensor:
    """(K + 2,): the share of samples (S, C, H, W) that is each answer (K, C, H, W), or none, and their diversity."""
    kinds, (ours, theirs) = len(law), (side.flatten(1).double() for side in (samples, answers))
    closest = torch.pdist(theirs).min()
    distances = torch.cdist(ours, theirs)
    nearest = distances.min(1)
    found = torch.where(nearest.values < NEAR * closest, nearest.indices, kinds)
    variance = ours.var(0).sum() / law_variance(theirs, law)
    return torch.cat([torch.bincount(found, minlength=kinds + 1).double() / len(ours), variance[None]])


def law_variance(answers: Tensor, law: Tensor) -> Tensor:
    """The trace of the covariance of an answer (K, F) drawn from the law."""
    mean = law @ answers
    return law @ (answers - mean).square().sum(1)


def summarize(judged: Tensor, law: Tensor) -> dict[str, float]:
    """The metric's values from `judge`'s (N, K + 2) of N conditions."""
    shares, diversity = judged[:, : len(law) + 1], judged[:, -1]
    expected = torch.cat([law, law.new_zeros(1)])
    return {
        "law_distance": float(0.5 * (shares.mean(0) - expected).abs().sum()),
        "answers_right": float(1 - shares[:, -1].mean()),
        "law_covered": float(((shares[:, :-1] > 0).double() @ law).mean()),
        "answer_diversity": float(diversity.mean()),
        **{f"answer_share_{kind}": float(share) for kind, share in enumerate(shares[:, :-1].mean(0))},
    }

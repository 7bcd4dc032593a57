"""How well held-out images return from a model's codes."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.distributed import on_rank_zero
from zerosum.errors import UnmeasurableError
from zerosum.evaluation.frechet import fit_gaussian, frechet_distance
from zerosum.evaluation.protocol import Direction, ImageSampling
from zerosum.pixels import from_uint8, to_uint8
from zerosum.sampling import Model, ReconstructingModel


class Reconstruction:
    """Frechet distance of the reconstructed images of the split from the images themselves (rFID), and PSNR.

    PSNR is 10 log10(255^2 / mean squared error) of an image rounded to bytes, averaged over images, in decibel.
    """

    better: ClassVar[dict[str, Direction]] = {"rfid": "lower", "psnr": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = False

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """{"rfid": distance, "psnr": decibel}"""
        if not isinstance(model, ReconstructingModel):
            raise UnmeasurableError(
                f"{type(model).__name__} reconstructs nothing: choose a model that does, such as model=autoencoder"
            )
        return on_rank_zero(lambda autoencoder: measure_reconstructions(protocol, autoencoder), model)

    def describe(self) -> dict[str, Any]:
        return {}


@torch.inference_mode()
def measure_reconstructions(protocol: ImageSampling, model: ReconstructingModel) -> dict[str, float]:
    """Both values, of all images of the split."""
    features, decibel = [], []
    for images in protocol.dataset.batches(protocol.split, protocol.batch_size):
        returned = to_uint8(model.reconstruct(from_uint8(images).to(protocol.device)))
        features.append(protocol.reference.features.network(returned.to(protocol.device)).features.float())
        decibel.append(psnr(returned.cpu(), images))
    distance = frechet_distance(protocol.reference.gaussian, fit_gaussian(torch.cat(features)))
    return {"rfid": float(distance), "psnr": float(torch.cat(decibel).mean())}


def psnr(images: Tensor, others: Tensor) -> Tensor:
    """(B,) decibel of bytes (B, C, H, W); images that are equal count as off by one level in one place."""
    squared = (images.double() - others.double()).square().flatten(1)
    return 10 * (255**2 / squared.mean(1).clamp(min=1 / squared.shape[1])).log10()

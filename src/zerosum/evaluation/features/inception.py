"""The feature extractor of published FIDs: InceptionV3 of 2015 (Heusel et al. 2017) by torch-fidelity, made faster."""

from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from zerosum.data.images import ImageDataset
from zerosum.errors import UserError, one_line
from zerosum.evaluation.features.extractor import FeatureOutput, hash_tensors

CHECKSUM = "6726825d"
"""The first digits of the SHA-256 of the official weights file"""


class Inception(nn.Module):
    """Maps gray or RGB uint8 images of any size to the 2,048 pool features and the 1,008 logits without bias.

    The resize is the original one: TensorFlow 1's bilinear, without antialiasing.
    """

    num_features = 2048
    num_classes = 1008

    def __init__(self, network: nn.Module, precision: Literal["float32", "bfloat16"]) -> None:
        super().__init__()
        self.network = network
        self.precision = precision

    def forward(self, images: Tensor) -> FeatureOutput:
        """Features (B, 2048) and logits (B, 1008) of images (B, 1 or 3, H, W) uint8."""
        rgb = images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            return FeatureOutput(*self.network(rgb))


class InceptionFeatures:
    """The features of published FIDs, from torch-fidelity's weights.

    `weights` is the path of the file; without it the file is taken from torch's hub cache, or downloaded into it.
    `compile` applies torch.compile, which pays for many samples. `precision` holds for real images and samples alike;
    values in bfloat16 do not compare with values in float32.
    """

    name = "inception-v3-compat 2048"
    resize = "299, bilinear as TensorFlow 1"

    def __init__(
        self,
        weights: str | None = None,
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
    ) -> None:
        self.weights = weights
        self.precision: Literal["float32", "bfloat16"] = precision
        self.compile = compile

    def prepare(self, dataset: ImageDataset) -> None:
        """Load the network; UserError if its weights cannot be found or downloaded."""
        path = self.find()
        network = load_network(path)
        self.hash = hash_tensors(network.state_dict())
        fold_batch_norm(network)
        self.network: Any = Inception(network.to(memory_format=torch.channels_last), self.precision)
        if self.compile:
            self.network.compile()

    def describe(self) -> dict[str, str | float]:
        """Name, precision and hash."""
        return {
            "features": self.name,
            "features_precision": self.precision,
            "features_hash": self.hash,
        }

    def find(self) -> Path:
        """The path of the weights: the one given, the one in the hub cache, or a download."""
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        name = URL_INCEPTION_V3.rsplit("/", 1)[1]
        path = Path(self.weights) if self.weights else Path(torch.hub.get_dir()) / "checkpoints" / name
        if path.is_file():
            return path
        advice = (
            f"fetch {URL_INCEPTION_V3} (SHA-256 {CHECKSUM}...) and put it there or set"
            f" features.weights=path/to/{name}, or take features=classifier, or measure nothing: ~callbacks.evaluate"
        )
        if self.weights:
            raise UserError(f"features.weights={self.weights}: there is no such file; {advice}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix=CHECKSUM, progress=True)
        except (URLError, OSError, RuntimeError) as error:
            missing = f"Inception's weights are not in {path} and could not be downloaded ({error})"
            raise UserError(f"{missing}: {advice}") from error
        return path


def load_network(path: Path) -> nn.Module:
    """torch-fidelity's network with the weights of a file."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        torch.load(path, weights_only=True)  # torch-fidelity would run code in the file
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(path))
    except Exception as error:  # torch.load and load_state_dict raise anything at a damaged file
        raise UserError(f"{path} is not torch-fidelity's InceptionV3 ({one_line(error)}): fetch it again") from error


def fold_batch_norm(network: nn.Module) -> None:
    """Fold each batch norm's scale and shift into the weights of the convolution before it; freeze the network."""
    network.eval()
    for block in network.modules():
        convolution, normalization = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d):
            block.conv, block.bn = fuse_conv_bn_eval(convolution, normalization), nn.Identity()
    network.requires_grad_(False)

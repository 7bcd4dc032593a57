"""Networks whose features are compared: never part of the model, never in its checkpoint."""

import hashlib
import logging
import math
from pathlib import Path
from typing import Protocol
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from zerosum.data.pictures import PictureDataset, ShuffledPictures
from zerosum.errors import UserError
from zerosum.files import saved_whole
from zerosum.randomness import derive
from zerosum.sampling import from_uint8

log = logging.getLogger("zerosum")


class Features(Protocol):
    """A feature extractor for pictures of one dataset."""

    resize: str
    """How pictures are brought to the network's size."""
    network: nn.Module
    """(B, C, H, W) uint8 to (B, network.num_features); there after `prepare`."""

    def prepare(self, dataset: PictureDataset) -> None:
        """Get the weights, or raise a UserError that says how to."""
        ...

    def describe(self) -> dict[str, str | float]:
        """What a metric card says of the features: their name, the hash of the weights."""
        ...


class Classifier(nn.Module):
    """Three strided convolutions and two dense layers; the features are the 64 inputs of the last ReLU.

    They are standardized: mean 0 and deviation 1 over the training split, so that the Frechet distance between
    real pictures and a constant one is at least 64, whatever the dataset.
    """

    mean: Tensor
    deviation: Tensor

    num_features = 64

    def __init__(self, channels: int, resolution: int, classes: int) -> None:
        super().__init__()
        side = math.ceil(resolution / 8)
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("deviation", torch.ones(self.num_features))
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 32, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * side**2, self.num_features),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(self.num_features, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) uint8 to features (B, 64)."""
        return (self.layers(from_uint8(pictures)) - self.mean) / self.deviation

    def classify(self, images: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] to logits (B, classes)."""
        return self.head(self.layers(images))


class ClassifierFeatures:
    """A small classifier of the dataset's own labels, trained on first use and cached.

    `steps` batches of 128 of the training split, Adam, one-cycle learning rate; a function of the data and
    the arguments. Values compare only with values in the same features.
    """

    resize = "none"

    def __init__(self, steps: int = 1000, seed: int = 0) -> None:
        self.steps = steps
        self.seed = seed

    def prepare(self, dataset: PictureDataset) -> None:
        """Train the classifier, or take it from the cache."""
        if dataset.classes is None:
            raise UserError(
                f"features=classifier needs labels and {dataset.name} has none: put each class into a sub-folder,"
                " take features=inception, or measure nothing with ~callbacks.evaluate"
            )
        self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes))
        key = derive(dataset.fingerprint("train"), self.steps, self.seed, repr(self.network))
        path = dataset.cache / f"classifier-{key:016x}.pt"
        if not path.exists():
            log.info("Training the classifier for the Frechet distance, once for this dataset ...")
            accuracy = self.train(dataset)
            content = {"weights": self.network.state_dict(), "accuracy": accuracy}
            saved_whole(path, lambda partial: torch.save(content, partial))
        stored = torch.load(path, weights_only=True)
        self.network.load_state_dict(stored["weights"])
        self.network.eval().requires_grad_(False)
        self.accuracy: float = stored["accuracy"]
        self.hash = hash_of(path)
        log.info("Classifier features: %.1f%% test accuracy (%s)", 100 * self.accuracy, path)

    def describe(self) -> dict[str, str | float]:
        """Name, test accuracy and hash."""
        return {"features": "classifier", "features_accuracy": self.accuracy, "features_hash": self.hash}

    def train(self, dataset: PictureDataset) -> float:
        """Fit the network; returns its accuracy on the held-out split."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network = Classifier(dataset.channels, dataset.resolution, len(dataset.classes or ()))
        stream = ShuffledPictures(dataset.split("train"), self.seed, torch.device("cpu"), dataset.flip)
        optimizer = torch.optim.Adam(self.network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=self.steps)
        for step in range(self.steps):
            images, labels = stream.batch(step, 128, slice(0, 128))
            assert labels is not None
            loss = cross_entropy(self.network.classify(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.standardize(dataset)
        return self.test_accuracy(dataset)

    @torch.no_grad()
    def standardize(self, dataset: PictureDataset) -> None:
        """Give the features mean 0 and deviation 1 over the training split."""
        features = torch.cat([self.network(pictures) for pictures in dataset.batches("train", 512)])
        self.network.mean, self.network.deviation = features.mean(0), features.std(0).clamp(min=1e-6)

    @torch.no_grad()
    def test_accuracy(self, dataset: PictureDataset) -> float:
        """Share of the held-out split that is classified rightly."""
        guesses = [self.network.classify(from_uint8(pictures)).argmax(1) for pictures in dataset.batches("test", 512)]
        return float((torch.cat(guesses).numpy() == dataset.split("test").labels).mean())


class RGB(nn.Module):
    """Gray pictures shown to a network for RGB as three equal channels."""

    def __init__(self, network: nn.Module, num_features: int) -> None:
        super().__init__()
        self.network = network
        self.num_features = num_features

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 1 or 3, H, W) uint8 to (B, num_features)."""
        return self.network(pictures.expand(-1, 3, -1, -1))


class InceptionFeatures:
    """The 2,048 pool features of the InceptionV3 of 2015 (Heusel et al. 2017), by torchmetrics and torch-fidelity.

    `weights` names the file where there is no network; otherwise torch's hub cache, or a download into it.
    The resize is the original one: TensorFlow 1's bilinear, without antialiasing.
    """

    resize = "299, bilinear as TensorFlow 1"

    def __init__(self, weights: str | None = None) -> None:
        self.weights = weights

    def prepare(self, dataset: PictureDataset) -> None:
        """Load the network, or say where its weights are looked for."""
        from torchmetrics.image.fid import NoTrainInceptionV3

        path = self.find()
        try:
            network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path), antialias=False)
        except Exception as error:  # torch.load and load_state_dict raise whatever the damage makes them
            raise UserError(f"{path} is not torch-fidelity's InceptionV3 ({error}): fetch it again") from error
        self.network = RGB(network.eval().requires_grad_(False), 2048)
        self.hash = hash_of(path)

    def describe(self) -> dict[str, str | float]:
        """Name and hash."""
        return {"features": "inception-v3-compat 2048", "features_hash": self.hash}

    def find(self) -> Path:
        """The weights' file: the one given, the hub cache's, or a download."""
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        name = URL_INCEPTION_V3.rsplit("/", 1)[1]
        path = Path(self.weights) if self.weights else Path(torch.hub.get_dir()) / "checkpoints" / name
        if path.exists():
            return path
        advice = (
            f"fetch {URL_INCEPTION_V3} and set features.weights=path/to/{name}, or take features=classifier, or measure"
            " nothing with ~callbacks.evaluate"
        )
        if self.weights:
            raise UserError(f"features.weights={self.weights}: there is no such file; {advice}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL_INCEPTION_V3, str(path), hash_prefix="6726825d", progress=True)
        except (URLError, OSError, RuntimeError) as error:
            missing = f"Inception's weights are not in {path} and could not be downloaded ({error})"
            raise UserError(f"{missing}: {advice}") from error
        return path


def hash_of(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

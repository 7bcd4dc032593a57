"""Features of images whose channels are separate images of digits."""

from torch import Tensor, nn

from zerosum.data.images import ImageDataset
from zerosum.data.stacked_mnist import StackedMNIST
from zerosum.errors import UserError
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.evaluation.features.extractor import FeatureOutput
from zerosum.evaluation.features.small_classifier import Classifier


class EachChannel(nn.Module):
    """Applies a classifier of single digits to each of three channels; the class is the three digits as one number."""

    num_features = 3 * Classifier.num_features
    num_classes = 1000

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> FeatureOutput:
        """(B, 3, H, W) uint8 to features (B, 192) and log-probabilities (B, 1000)."""
        features, logits = self.classifier(images.flatten(0, 1).unsqueeze(1))
        hundreds, tens, ones = logits.log_softmax(1).view(len(images), 3, -1).unbind(1)  # (B, 10) each
        together = hundreds[:, :, None, None] + tens[:, None, :, None] + ones[:, None, None, :]
        return FeatureOutput(features.view(len(images), -1), together.flatten(1))


class StackedClassifierFeatures:
    """`ClassifierFeatures` of MNIST, applied to each channel of StackedMNIST."""

    name = "classifier of each channel"
    resize = "none"

    def __init__(self, steps: int = 1000, seed: int = 0) -> None:
        self.single = ClassifierFeatures(steps, seed)

    def prepare(self, dataset: ImageDataset) -> None:
        """Train the classifier of single digits, or load it from the cache."""
        if not isinstance(dataset, StackedMNIST):
            raise UserError(f"features=stacked_classifier is for stacked_mnist, not {dataset.name}: take classifier")
        self.single.prepare(dataset.digits)
        self.network = EachChannel(self.single.network).eval()

    def describe(self) -> dict[str, str | float]:
        """Name, test accuracy on single digits and hash."""
        return {**self.single.describe(), "features": self.name}

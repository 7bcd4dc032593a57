"""How a GAN uses labels: none, trained with them, or conditioned on them (Goodfellow 2016, section 4.1)."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from zerosum.data.dataset import DataShape
from zerosum.gan.labels.conditions import Conditions

LabelUse = Literal[
    "none", "trained with labels", "conditioned on labels", "conditioned on images", "conditioned on the past"
]
"""Values of models of different uses are not comparable"""


class Labels:
    """The parts of a GAN that know of labels.

    `conditions` makes what the generator is asked for from the shape of the data; `generator` and `discriminator` build
    the two networks with room for it, from a network's constructor, an encoder and the sample shape. Without one of
    these the network itself takes the condition, or does without. A discriminator without conditions gets the encoder
    of the data's labels. `labelled` is the number of training images whose labels are used, all if None. The moving
    average of D that classifies has the half-life `classifier_half_life`, in images; without it D itself does.
    """

    def __init__(
        self,
        use: LabelUse,
        conditions: Callable[[DataShape], Conditions] | None = None,
        generator: Callable[..., nn.Module] | None = None,
        discriminator: Callable[..., nn.Module] | None = None,
        labelled: int | None = None,
        classifier_half_life: float | None = None,
    ) -> None:
        self.use = use
        self.conditions = conditions
        self.generator = generator
        self.discriminator = discriminator
        self.labelled = labelled
        self.classifier_half_life = classifier_half_life

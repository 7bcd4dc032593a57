"""How a GAN uses labels: none, trained with them, or conditioned on them (Goodfellow 2016, section 4.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from zerosum.data.dataset import DataShape
from zerosum.gan.conditions import Conditions

LabelUse = Literal["none", "trained with labels", "conditioned on labels"]
"""Values of models of different uses are not comparable"""


@dataclass(frozen=True)
class Labels:
    """The parts of a GAN that know of labels.

    `conditions` makes what the generator is asked for from the shape of the data; `generator` and `discriminator` build
    the two networks with room for it, from a network's constructor, an encoder and the sample shape. Without one of
    these the network itself takes the condition, or does without.
    """

    use: LabelUse
    conditions: Callable[[DataShape], Conditions] | None = None
    generator: Callable[..., nn.Module] | None = None
    discriminator: Callable[..., nn.Module] | None = None

"""Networks that are told a condition: any generator or discriminator, built with room for it."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from zerosum.errors import UserError
from zerosum.models.blocks import ConditionedLayers, normalize_spectrally
from zerosum.models.networks import Scores

MakeNetwork = Callable[..., nn.Module]
"""Builds a network from `sample_shape`"""


class Encoder(Protocol):
    """Turns conditions into vectors."""

    @property
    def size(self) -> int:
        """Of a vector, with all samples of a pack."""
        ...

    def __call__(self, condition: Tensor) -> Tensor:
        """Conditions (B, ...) to float (B, size)."""
        ...


@dataclass(frozen=True)
class OneHot:
    """Labels (B,), or (B, pack), as vectors of 0 and 1; mixtures of labels (B, K) are float already, and stay."""

    num_classes: int
    pack: int = 1

    @property
    def size(self) -> int:
        """pack * num_classes"""
        return self.pack * self.num_classes

    def __call__(self, condition: Tensor) -> Tensor:
        return condition if condition.is_floating_point() else one_hot(condition, self.num_classes).float().flatten(1)


@dataclass(frozen=True)
class Flat:
    """Float vectors (B, A), or (B, pack, A), as they are."""

    length: int
    pack: int = 1

    @property
    def size(self) -> int:
        """pack * length"""
        return self.pack * self.length

    def __call__(self, condition: Tensor) -> Tensor:
        return condition.float().flatten(1)


@dataclass(frozen=True)
class ImageVector:
    """Images (B, c, h, w), flattened; networks that take an image are built for its `shape` instead."""

    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """c h w"""
        return math.prod(self.shape)

    def __call__(self, condition: Tensor) -> Tensor:
        return condition.flatten(1)


def embed(layer: nn.Linear, encode: Encoder, condition: Tensor) -> Tensor:
    """(B, out_features): of labels, the layer's column of each."""
    return layer(encode(condition).to(layer.weight.dtype))


class JoinedGenerator(nn.Module):
    """A generator whose z is joined by the condition, one-hot or embedded (Mirza and Osindero 2014, section 3.2).

    The embedding is linear, of N(0, 1) weights at first, so that it is as large as z; `embedding` is its length.
    Without one the encoded condition joins z as it is (Chen et al. 2016, section 3).
    """

    def __init__(
        self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...], embedding: int | None = None
    ) -> None:
        super().__init__()
        self.latent_dim = find_latent_dim(make_network)
        self.encode = encode
        self.embed = None if embedding is None else make_embedding(encode.size, embedding)
        length = encode.size if embedding is None else embedding
        self.network = make_network(sample_shape=sample_shape, latent_dim=self.latent_dim + length)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(B, latent_dim) and conditions (B, ...) to (B, *sample_shape)."""
        return self.network(self.join(z, condition))

    def join(self, z: Tensor, condition: Tensor) -> Tensor:
        """(B, latent_dim + length): z with the encoded or embedded condition behind it."""
        joined = self.encode(condition).to(z) if self.embed is None else embed(self.embed, self.encode, condition)
        return torch.cat([z, joined], 1)


def make_embedding(size: int, length: int) -> nn.Linear:
    """A linear map without bias, of weights N(0, 1)."""
    embed = nn.Linear(size, length, bias=False)
    nn.init.normal_(embed.weight)
    return embed


def find_latent_dim(make_network: MakeNetwork) -> int:
    """The length of z that a generator would be built with; UserError if its constructor does not take one."""
    parameter = inspect.signature(make_network).parameters.get("latent_dim")
    if parameter is None or not isinstance(parameter.default, int):
        name = name_of(make_network)
        raise UserError(f"labels/generator=concat lengthens z, and {name} takes no latent_dim: give it that option")
    return parameter.default


def name_of(make_network: MakeNetwork) -> str:
    """Module and class, such as zerosum.models.dcgan.Generator."""
    made = getattr(make_network, "func", make_network)
    return f"{made.__module__}.{made.__qualname__}"


class ConditionalBatchNorm(nn.Module):
    """Batch norm with a gain and a bias for each condition (Dumoulin et al. 2017, section 2.2).

    Both are linear in the encoded condition; at first the gain is 1 and the bias 0, whatever the condition.
    """

    takes_condition: ClassVar[bool] = True

    def __init__(self, norm: _BatchNorm, encode: Encoder) -> None:
        super().__init__()
        self.encode = encode
        self.norm = type(norm)(norm.num_features, norm.eps, norm.momentum, affine=False)
        self.gain = nn.Linear(encode.size, norm.num_features, bias=not isinstance(encode, OneHot))
        self.bias = nn.Linear(encode.size, norm.num_features, bias=False)
        nn.init.constant_(self.gain.weight, 1.0 if self.gain.bias is None else 0.0)
        if self.gain.bias is not None:  # numbers, unlike ones among zeros, do not sum to 1
            nn.init.ones_(self.gain.bias)
        nn.init.zeros_(self.bias.weight)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(B, C, ...) to the same shape."""
        shape = (features.shape[0], -1, *[1] * (features.dim() - 2))  # of any batch in an exported graph too
        gain, bias = (embed(layer, self.encode, condition).view(shape) for layer in (self.gain, self.bias))
        return self.norm(features) * gain + bias


def condition_batch_norms(make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> nn.Module:
    """A generator whose batch norms in ConditionedLayers have gains and biases for each condition.

    Miyato and Koyama 2018. Others, as the one before SNGAN's last layer, stay as they are.
    """
    network = make_network(sample_shape=sample_shape)
    replaced = 0
    for layers in [module for module in network.modules() if isinstance(module, ConditionedLayers)]:
        for index, layer in enumerate(layers):
            if isinstance(layer, _BatchNorm):
                layers[index] = ConditionalBatchNorm(layer, encode)
                replaced += 1
    if not replaced:
        other = "own" if takes_condition_size(make_network) else "concat"
        raise UserError(
            f"labels/generator=batch_norm conditions batch norms in ConditionedLayers, and {type(network).__name__} of"
            f" {type(network).__module__} has none: use labels/generator={other}"
        )
    return network


def takes_condition_size(make_network: MakeNetwork) -> bool:
    """Whether a network's constructor has a place of its own for a condition."""
    return "condition_size" in inspect.signature(make_network).parameters


class OwnCondition(nn.Module):
    """A generator or discriminator that takes the encoded condition in its paper's own way.

    Its constructor takes `condition_size`, and its `forward` the vectors (B, condition_size).
    """

    def __init__(self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if not takes_condition_size(make_network):
            name = name_of(make_network)
            if isinstance(encode, Flat) and len(sample_shape) == 1:
                raise UserError(f"labels: {name} takes no past: use model=recurrent, or model=mlp labels=concat")
            raise UserError(
                f"labels: {name} has no place of its own for labels, as biggan's generator, stylegan2 and r3gan have:"
                " use labels=projection, concat or acgan, or their halves by labels/generator and labels/discriminator"
            )
        self.encode = encode
        self.network = make_network(sample_shape=sample_shape, condition_size=encode.size)

    @property
    def latent_dim(self) -> int:
        """Length of a generator's z."""
        return self.network.latent_dim  # type: ignore[return-value]

    def forward(self, inputs: Tensor, condition: Tensor) -> Any:
        """z or images, with conditions (B, ...), to images or scores."""
        return self.network(inputs, self.encode(condition))


def build_for_images(make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> nn.Module:
    """A generator or discriminator whose own `forward` takes the condition as an image, (B, *condition_shape)."""
    if not isinstance(encode, ImageVector) or "condition_shape" not in inspect.signature(make_network).parameters:
        raise UserError(
            f"labels=image: {name_of(make_network)} takes no image as its condition: set model=image_to_image, or give"
            " it the option condition_shape"
        )
    return make_network(sample_shape=sample_shape, condition_shape=encode.shape)


class JoinedDiscriminator(nn.Module):
    """A discriminator that sees the condition as further channels, equal everywhere (Mirza and Osindero 2014)."""

    def __init__(self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encode = encode
        channels, *places = sample_shape
        self.network = make_network(sample_shape=(channels + encode.size, *places))

    def forward(self, images: Tensor, condition: Tensor) -> Scores:
        """(B, *sample_shape) and conditions (B, ...) to (B,)."""
        vector = self.encode(condition).to(images.dtype)
        maps = vector.view(*vector.shape, *[1] * (images.dim() - 2)).expand(-1, -1, *images.shape[2:])
        return self.network(torch.cat([images, maps], 1))


class ProjectionDiscriminator(nn.Module):
    """linear(h) + <embed(y), h> with the features h of the last layer (Miyato and Koyama 2018, equation 3).

    The embedding has spectral norm where the network has.
    """

    def __init__(self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encode = encode
        self.network = make_network(sample_shape=sample_shape)
        self.embed = make_head(self.network, encode.size, inverted=True)

    def forward(self, images: Tensor, condition: Tensor) -> Scores:
        """(B, *sample_shape) and conditions (B, ...) to (B,)."""
        scores = self.network(images)
        assert scores.features is not None
        projection = (embed(self.embed, self.encode, condition) * scores.features).sum(1)
        return scores._replace(logits=scores.logits + projection)


class ClassifyingDiscriminator(nn.Module):
    """A discriminator with a second head, which guesses the condition from its features (Odena et al. 2017).

    It is not told the condition. `class_logits` are logits of classes, or guesses of attributes.
    """

    def __init__(self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = make_network(sample_shape=sample_shape)
        self.classifies = isinstance(encode, OneHot) and encode.pack == 1
        self.classify = make_head(self.network, encode.size)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to logits (B,) and class_logits (B, size)."""
        scores = self.network(images)
        return scores._replace(class_logits=self.classify(scores.features))


class ClassesAreReal(nn.Module):
    """K logits of classes whose logsumexp is the logit of being real (Salimans et al. 2016, section 5).

    l_k = D(x) + c_k(x), with the network's own logit and a head for the classes. Fake is one more class, its logit
    fixed at 0: p(fake | x) = 1 / (1 + sum exp l_k), so log p(real) - log p(fake) = logsumexp l_k.
    """

    classifies: ClassVar[bool] = True

    def __init__(self, make_network: MakeNetwork, encode: Encoder, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        if not isinstance(encode, OneHot):
            raise UserError("labels=semi_supervised needs classes, and this dataset has attributes: leave them out")
        if encode.pack > 1:
            raise UserError(f"game.pack={encode.pack}: a pack has no class: set game.pack=1 or another labels")
        self.network = make_network(sample_shape=sample_shape)
        self.classify = make_head(self.network, encode.size)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to logits (B,) and class_logits (B, K)."""
        scores = self.network(images)
        class_logits = scores.logits[:, None] + self.classify(scores.features)
        return scores._replace(logits=class_logits.logsumexp(1), class_logits=class_logits)


def make_head(discriminator: nn.Module, size: int, inverted: bool = False) -> nn.Linear:
    """A linear map from a discriminator's features to `size` numbers, or back, normalized as its own layers are."""
    features: Any = getattr(discriminator, "num_features", None)
    if not isinstance(features, int):
        raise UserError(
            f"labels: {type(discriminator).__name__} gives no features to tell classes by: let it have num_features and"
            " return Scores(logits, features=...), as docs/extending.md shows"
        )
    head = nn.Linear(size, features, bias=False) if inverted else nn.Linear(features, size)
    nn.init.normal_(head.weight, std=1 / math.sqrt(features))
    if any(is_parametrized(layer, "weight") for layer in discriminator.modules()):
        normalize_spectrally(head)
    return head

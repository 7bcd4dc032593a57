"""WaveNet (van den Oord et al. 2016, arXiv 1609.03499): sound, value by value, by dilated causal convolutions."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad, relu

from zerosum.data.dataset import Batch, Dataset
from zerosum.data.tones import Tones
from zerosum.errors import UserError, check_positive
from zerosum.families.autoregressive import Autoregressive, AutoregressiveNetwork, Choice
from zerosum.families.levels import to_levels
from zerosum.families.one_loss import Noise
from zerosum.training.module import Illustration
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings

LEVELS = 256
MU = LEVELS - 1
HEARD_SECONDS = 2.0
"""Of the sound in the report"""


def compress(waves: Tensor) -> Tensor:
    """sign(x) ln(1 + mu |x|) / ln(1 + mu), mu = 255, of x in [-1, 1] (ITU-T G.711): quiet values keep more levels."""
    return waves.sign() * (MU * waves.abs()).log1p() / math.log1p(MU)


def expand(compressed: Tensor) -> Tensor:
    """The inverse of `compress`."""
    return compressed.sign() * (compressed.abs() * math.log1p(MU)).expm1() / MU


class DilatedLayer(nn.Module):
    """A gated convolution of two values, `dilation` apart, with a residual and a skip connection (figure 4)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.pair = nn.Conv1d(width, 2 * width, 2, dilation=dilation)
        self.output = nn.Conv1d(width, width, 1)
        self.skip = nn.Conv1d(width, width, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, width, T) to features and skip of the same shape."""
        return self.finish(features, self.pair(pad(features, (self.dilation, 0))))

    def step(self, feature: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """One value, of features (B, width, 1) now and `dilation` values ago."""
        return self.finish(feature, conv1d(torch.cat([earlier, feature], 2), self.pair.weight, self.pair.bias))

    def finish(self, features: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        """tanh(one half) sigmoid(other half), through both connections (equation 2)."""
        one, other = gates.chunk(2, 1)
        gated = one.tanh() * other.sigmoid()
        return features + self.output(gated), self.skip(gated)


class DilatedStacks(AutoregressiveNetwork):
    """`stacks` times layers of dilation 1, 2, 4, ... 2^(depth - 1), on the level of the value before.

    Values are mu-law compressed, in [-1, 1].
    """

    layers: Sequence[DilatedLayer]

    def __init__(self, sample_shape: Sequence[int], width: int, depth: int, stacks: int) -> None:
        super().__init__(sample_shape, LEVELS)
        self.enter = nn.Embedding(LEVELS, width)
        dilations = [2**index for index in range(depth)] * stacks
        self.layers = nn.ModuleList(DilatedLayer(width, each) for each in dilations)  # type: ignore[assignment]
        self.middle = nn.Conv1d(width, width, 1)
        self.head = nn.Conv1d(width, LEVELS - 1, 1)

    @property
    def receptive_field(self) -> int:
        """How many values before a value it depends on: 1 + the sum of the dilations."""
        return 1 + sum(layer.dilation for layer in self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """(B, T) to logits (B, levels - 1, T)."""
        entered = self.enter(to_levels(images[:, :-1], LEVELS)).transpose(1, 2)
        features = pad(entered, (1, 0))
        skips = torch.zeros_like(features)
        for layer in self.layers:
            features, skip = layer(features)
            skips = skips + skip
        return self.logits(skips)

    def logits(self, skips: Tensor) -> Tensor:
        """(B, width, T) to (B, levels - 1, T)."""
        return self.head(relu(self.middle(relu(skips))))

    def generate(self, choose: Choice) -> Tensor:
        """(B, T), T any length, with the features of the last `dilation` values of each layer kept in a ring.

        A value so costs one step of each layer (Le Paine et al. 2016, Fast Wavenet).
        """
        values = torch.zeros_like(choose.uniforms)
        feature = values.new_zeros(len(values), self.enter.embedding_dim, 1)
        rings = [feature.expand(-1, -1, layer.dilation).clone() for layer in self.layers]
        for place in range(values.shape[1]):
            skips = torch.zeros_like(feature)
            for layer, ring in zip(self.layers, rings, strict=True):
                now = place % ring.shape[2]
                earlier = ring[:, :, now : now + 1].clone()
                ring[:, :, now : now + 1] = feature
                feature, skip = layer.step(feature, earlier)
                skips = skips + skip
            values[:, place] = choose(place, self.logits(skips)[:, :, 0])
            feature = self.enter(to_levels(values[:, place, None], LEVELS)).transpose(1, 2)
        return values


class WaveNet(Autoregressive):
    """Dilated stacks on mu-law levels; the likelihood is that of the 256 levels of a wave's values."""

    network: DilatedStacks

    def __init__(
        self,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        training: TrainingSettings | None = None,
        seed: int = 0,
        width: int = 32,
        depth: int = 8,
        stacks: int = 1,
    ) -> None:
        if len(sample_shape) != 1 or sample_shape[0] < 16:
            kind = "images" if len(sample_shape) == 3 else "points"
            raise UserError(f"model: WaveNet models sound, this dataset has {kind}: take dataset=tones")
        check_positive("model", width=width, depth=depth, stacks=stacks)
        super().__init__(DilatedStacks(sample_shape, width, depth, stacks), optimizer, training, seed)

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean negative log-likelihood of waves (B, T), nats a value."""
        (length,) = self.network.sample_shape
        return -self.network.log_prob(compress(batch.images)).mean() / length, {}

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats of waves (B, T), by the moving average."""
        return self.average.log_prob(compress(images))

    def generate(self, seeds: Sequence[int], given: Tensor | None = None, naively: bool = False) -> Tensor:
        """Waves (len(seeds), T) in [-1, 1]; `given` is kept, to a level, where it is not NaN."""
        return expand(super().generate(seeds, None if given is None else compress(given), naively))

    @torch.no_grad()
    def play(self, uniforms: Tensor) -> Tensor:
        """Waves (B, T) of any length, each value drawn by one of the uniform numbers (B, T) in [0, 1)."""
        return expand(self.average.generate(Choice(uniforms.to(self.device))))

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """A sound of two seconds, as a WAV file and as a spectrogram."""
        if not isinstance(dataset, Tones):
            return {}
        from zerosum.drawing.sound import draw_spectrogram, encode_wav  # matplotlib takes a second to import

        random = torch.Generator().manual_seed(0)
        (sound,) = self.play(torch.rand(1, round(HEARD_SECONDS * dataset.sample_rate), generator=random))
        picture = draw_spectrogram(sound, dataset.sample_rate, dataset.frequencies)
        caption = (
            f"{HEARD_SECONDS:g} seconds of generated sound, with ticks at the true tones; report/sound.wav plays it."
        )
        return {"sound": Illustration(picture, caption, encode_wav(sound, dataset.sample_rate))}

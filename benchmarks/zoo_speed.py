"""Speed of the zoo's networks, whole and part by part against the usual way to write each part.

    python benchmarks/zoo_speed.py [rounds] > benchmarks/results/zoo_speed_<hardware>_<date>.md

Networks: images/s of a step of D and one of G without data, 32x32x3, at the papers' widths and in bf16 too. Parts: a
forward and a backward of ours and of the other form in turns; the ratio is the median over rounds, with its range. On a
CPU all of it is on the threads that torch is given.
"""

import platform
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, max_pool2d

from zerosum.gan.losses import NonSaturating
from zerosum.models import biggan, dcgan, r3gan, sngan, stylegan2
from zerosum.models.attention import SelfAttention
from zerosum.models.resampling import FILTER, Upsample
from zerosum.models.residual import GeneratorBlock

SHAPE = (3, 32, 32)
BATCH = 16
NETWORKS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "dcgan (64 base channels)": lambda: (dcgan.Generator(SHAPE), dcgan.Discriminator(SHAPE)),
    "sngan": lambda: (sngan.Generator(SHAPE), sngan.Discriminator(SHAPE)),
    "sagan": lambda: (
        sngan.Generator(SHAPE, attention=2, spectral_norm=True),
        sngan.Discriminator(SHAPE, attention=1),
    ),
    "biggan": lambda: (biggan.Generator(SHAPE), biggan.Discriminator(SHAPE)),
    "stylegan2": lambda: (stylegan2.Generator(SHAPE), stylegan2.Discriminator(SHAPE, group=BATCH)),
    "r3gan": lambda: (r3gan.Generator(SHAPE), r3gan.Discriminator(SHAPE)),
}


class GroupedModulation(stylegan2.ModulatedConv2d):
    """One kernel for each image, all in one grouped convolution: the form of most implementations."""

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        batch, _, *places = features.shape
        kernels = self.gain * self.weight * self.style(w)[:, None, :, None, None]  # (B, after, before, k, k)
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        found = conv2d(features.reshape(1, -1, *places), kernels.flatten(0, 1), padding=self.padding, groups=batch)
        return found.view(batch, -1, *places)


class ExplicitAttention(SelfAttention):
    """Products, softmax, products."""

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        query = self.query(features).flatten(2)
        key, value = (max_pool2d(part(features), 2).flatten(2) for part in (self.key, self.value))
        weights = torch.bmm(query.transpose(1, 2), key).softmax(2)
        found = torch.bmm(value, weights.transpose(1, 2)).unflatten(2, features.shape[2:])
        return features + self.scale * self.output(found)


class WideShortcut(GeneratorBlock):
    """The shortcut doubles before its 1x1 convolution."""

    def forward(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        doubled = interpolate(features, scale_factor=2)
        return self.second(self.first(features)) + self.shortcut[0](doubled)


class PaddedUpsample(nn.Module):
    """Zeros are written between the places, then filtered."""

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(FILTER)
        self.register_buffer("kernel", taps[:, None] * taps / 16)

    def forward(self, features: Tensor) -> Tensor:
        batch, channels, height, width = features.shape
        spread = features.new_zeros(batch, channels, height, 2, width, 2)
        spread[:, :, :, 0, :, 0] = features
        padded = nn.functional.pad(spread.view(batch, channels, 2 * height, 2 * width), (2, 1, 2, 1))
        return conv2d(padded, self.kernel.expand(channels, 1, 4, 4), groups=channels)


def hooked(layer: nn.Module) -> nn.Module:
    """Spectral norm by torch's older hook."""
    return nn.utils.spectral_norm(layer)


def parametrized(layer: nn.Module) -> nn.Module:
    """Spectral norm by torch's parametrization, as the zoo has it."""
    return nn.utils.parametrizations.spectral_norm(layer)


def parts() -> dict[str, tuple[nn.Module, nn.Module, tuple[Tensor, ...]]]:
    """{what: (ours, the other form, inputs)}."""
    features, w = torch.randn(BATCH, 256, 16, 16), torch.randn(BATCH, 256)
    return {
        "modulated 3x3, 256 channels, 16x16: scaled maps / grouped kernels": (
            stylegan2.ModulatedConv2d(256, 256, 3, 256),
            GroupedModulation(256, 256, 3, 256),
            (features, w),
        ),
        "attention, 256 channels, 16x16: scaled_dot_product_attention / explicit": (
            SelfAttention(256),
            ExplicitAttention(256),
            (features,),
        ),
        "spectral norm of a 3x3, 256 channels, 16x16: parametrization / hook": (
            parametrized(nn.Conv2d(256, 256, 3, padding=1)),
            hooked(nn.Conv2d(256, 256, 3, padding=1)),
            (features,),
        ),
        "block of G, 256 channels, 16x16 to 32x32: 1x1 before doubling / after": (
            GeneratorBlock(256, 256, nn.BatchNorm2d),
            WideShortcut(256, 256, nn.BatchNorm2d),
            (features,),
        ),
        "filtered doubling, 256 channels, 16x16: transposed convolution / zeros written": (
            Upsample(),
            PaddedUpsample(),
            (features,),
        ),
    }


def seconds(run: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - start) / times


def forward_and_backward(network: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    leaf = inputs[0].detach().to(memory_format=torch.channels_last).requires_grad_()
    network.to(memory_format=torch.channels_last)

    def run() -> None:
        network(leaf, *inputs[1:]).sum().backward()

    return run


def step(generator: nn.Module, discriminator: nn.Module, bf16: bool) -> Callable[[], None]:
    """One step of D and one of G by Adam, without data."""
    loss, real = NonSaturating(), torch.randn(BATCH, *SHAPE).to(memory_format=torch.channels_last)
    players = [network.to(memory_format=torch.channels_last) for network in (discriminator, generator)]
    optimizers = [torch.optim.Adam(player.parameters(), 2e-4, fused=True) for player in players]

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            fakes = generator(torch.randn(BATCH, generator.latent_dim))
            logits = [discriminator(images).logits.float() for images in (real, fakes.detach())]
            cost = loss.discriminator(*logits)
        cost.backward()
        optimizers[0].step()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            cost = loss.generator(discriminator(fakes).logits.float())
        cost.backward()
        optimizers[1].step()
        for optimizer in optimizers:
            optimizer.zero_grad()

    return run


def compare_parts(rounds: int) -> list[str]:
    rows = ["| part: ours / other form | speed-up | lowest to highest |", "|---|---|---|"]
    for name, (ours, other, inputs) in parts().items():
        runs = [forward_and_backward(network, inputs) for network in (ours, other)]
        for run in runs:
            seconds(run, 2)
        ratios = [seconds(runs[1], 5) / seconds(runs[0], 5) for _ in range(rounds)]
        rows.append(f"| {name} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return rows


def time_networks(rounds: int) -> list[str]:
    rows = [
        "| network | parameters of G and D | images/s, float32 | images/s, bf16 | bf16 / float32 |",
        "|---|---|---|---|---|",
    ]
    for name, make in NETWORKS.items():
        networks = make()
        counts = " and ".join(f"{sum(each.numel() for each in net.parameters()) / 1e6:.2f} M" for net in networks)
        runs = [step(*networks, bf16=bf16) for bf16 in (False, True)]
        for run in runs:
            seconds(run, 1)
        times = [[seconds(run, 1) for run in runs] for _ in range(rounds)]
        plain, half = (BATCH / statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(row[0] / row[1] for row in times)
        rows.append(f"| {name} | {counts} | {plain:.1f} | {half:.1f} | {ratio:.2f} |")
    return rows


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.manual_seed(0)
    print("# Speed of the zoo\n")
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{date.today()}, {machine}, {count} rounds\n")
    print("\n".join(compare_parts(count)), flush=True)
    print(f"\nA step of D and one of G, {BATCH} images of 32x32x3, no data, no penalty:\n")
    print("\n".join(time_networks(count)))

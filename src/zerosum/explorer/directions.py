"""Principal directions of a layer, as directions of codes (Harkonen et al. 2020, GANSpace)."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zerosum.errors import UserError, did_you_mean
from zerosum.models.code_space import CodeSpace
from zerosum.randomness import generator


@dataclass(frozen=True)
class Directions:
    """Directions (K, D) of codes, each as long as one deviation of its principal component."""

    vectors: Tensor
    variance: Tensor
    """(K,) shares of the layer's variance"""
    layer: str


def find_directions(
    space: CodeSpace, count: int = 5, layer: str | None = None, samples: int = 2000, condition: Tensor | None = None
) -> Directions:
    """The first principal components of a layer's activations for random codes, carried back to the codes.

    Of a network with styles the layer is w itself, unless named; of others by default the first layer that is not
    linear in z. The activations' coordinates X (N, K) on the components are regressed on the codes: u minimizes
    sum |X u - code|^2 (section 3.2 there, BigGAN). `condition` (1, ...) is that of all samples.
    """
    z = torch.randn(samples, space.latent_dim, generator=generator("principal directions"))
    repeated = None if condition is None else condition.repeat(samples, *[1] * (condition.dim() - 1))
    with torch.inference_mode():
        codes = torch.cat([space.encode(*part).cpu() for part in batches(z, repeated)]).double()
        if layer is None and space.name == "w":
            name, activations = "w", codes
        else:
            name = layer or first_nonlinear_layer(space, condition)
            parts = [run_layer(space, name, *part) for part in batches(codes.float(), repeated)]
            activations = torch.cat(parts)
    count = min(count, activations.shape[1], samples - 1)
    coordinates, variance = principal_components(activations, count)
    centred = codes - codes.mean(0)
    vectors = coordinates.T @ centred / coordinates.square().sum(0)[:, None]  # least squares: columns are orthogonal
    deviations = coordinates.std(0)[:, None]
    return Directions((vectors * deviations).float(), variance.float(), name)


def principal_components(activations: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Coordinates (N, count) of rows (N, F) on their first components, and shares of variance (count,).

    By the eigenvectors of the smaller of the two products with itself, in float64; where rows are long, 4,096 columns
    at a time.
    """
    if activations.shape[1] <= activations.shape[0]:
        centred = activations.double() - activations.double().mean(0)
        values, vectors = largest_first(centred.T @ centred, count)
        return fix_signs(centred @ vectors), values / centred.square().sum()
    product = torch.zeros(len(activations), len(activations), dtype=torch.float64)
    for part in activations.split(4096, 1):
        centred = part.double() - part.double().mean(0)
        product += centred @ centred.T
    values, vectors = largest_first(product, count)
    return fix_signs(vectors * values.sqrt()), values / product.trace()


def largest_first(product: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues (count,) of a symmetric matrix, and their vectors (N, count)."""
    values, vectors = torch.linalg.eigh(product)
    return values.flip(0)[:count].clamp(min=0), vectors.flip(1)[:, :count]


def fix_signs(coordinates: Tensor) -> Tensor:
    """Columns (N, K) with a positive largest entry: an eigenvector's sign is arbitrary, and so the same everywhere."""
    return coordinates * coordinates.gather(0, coordinates.abs().argmax(0, keepdim=True)).sign()


def batches(codes: Tensor, condition: Tensor | None, size: int = 100) -> list[tuple[Tensor, Tensor | None]]:
    """Codes and conditions a hundred at a time."""
    conditions = [None] * len(codes) if condition is None else condition.split(size)
    return list(zip(codes.split(size), conditions, strict=False))


def watch(network: nn.Module, outputs: dict[str, Tensor], stack: ExitStack, only: str | None = None) -> None:
    """Within `stack`, keep a copy of each layer's output, or of one: layers that work in place would change it."""

    def keep(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs.setdefault(name, output.detach().clone())

        return hook

    for name, module in network.named_modules():
        if name and only in (None, name):
            stack.callback(module.register_forward_hook(keep(name)).remove)


def run_layer(space: CodeSpace, name: str, codes: Tensor, condition: Tensor | None) -> Tensor:
    """(B, F): a layer's activations for codes, on the CPU; UserError if there is no such layer."""
    names = [each for each, _ in space.network.named_modules() if each]
    if name not in names:
        raise UserError(f"layer={name}: there is none.{did_you_mean(name, names)} The first are {', '.join(names[:8])}")
    outputs: dict[str, Tensor] = {}
    with ExitStack() as stack:
        watch(space.network, outputs, stack, name)
        space.decode(codes, condition)
    if name not in outputs:
        raise UserError(f"layer={name} is not used by {type(space.network).__name__}: choose another")
    return outputs[name].flatten(1).cpu()


def first_nonlinear_layer(space: CodeSpace, condition: Tensor | None = None) -> str:
    """The first layer f, in order of computation, with f(a) + f(b) unlike f(a + b) + f(0)."""
    z = torch.randn(2, space.latent_dim, generator=generator("linear"))
    four = torch.stack([z[0], z[1], z[0] + z[1], torch.zeros_like(z[0])])
    repeated = None if condition is None else condition.repeat(4, *[1] * (condition.dim() - 1))
    outputs: dict[str, Tensor] = {}
    with ExitStack() as stack, torch.inference_mode():
        watch(space.network, outputs, stack)
        space.decode(four, repeated)
    for name, output in outputs.items():
        if len(output) == 4:
            a, b, both, none = output.double()
            if float((a + b - both - none).abs().max()) > 1e-4 * float(output.abs().max()):
                return name
    raise UserError("every layer is linear in z: name one by layer=...")

"""A generator as one graph of standard operations, for ONNX and torch.export."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.func import functional_call

from zerosum.errors import UserError, one_line
from zerosum.files import save_whole
from zerosum.runs.exported import ExportedModel

NOISE = "noise"
"""Name of the buffers that a graph takes as inputs"""
EXAMPLES = 3
"""Batch of the example inputs; torch would take 0 and 1 for fixed sizes"""


class Graph(nn.Module):
    """Images of z, the condition of a conditional generator, and the noise maps of one that adds noise, in this order.

    Noise is an input because a graph that draws it could be neither seeded nor compared. `inputs` names them all.
    """

    def __init__(self, model: ExportedModel) -> None:
        super().__init__()
        network = copy.deepcopy(model.network).cpu().eval()
        self.network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.noise = {name: buffer for name, buffer in self.network.named_buffers() if name.split(".")[-1] == NOISE}
        self.z = torch.zeros(EXAMPLES, model.latent_dim)
        self.condition = None if model.conditions is None else model.conditions.draw(range(EXAMPLES)).cpu()
        self.inputs = ["z", *([] if self.condition is None else ["condition"]), *map(as_input, self.noise)]

    def forward(self, z: Tensor, *others: Tensor) -> Tensor:
        """(B, latent_dim), conditions (B, ...) and one (side, side) map for each layer with noise, to images."""
        condition = None if self.condition is None else others[0]
        maps = others[len(others) - len(self.noise) :]
        return functional_call(self.network, dict(zip(self.noise, maps, strict=True)), (z, condition))

    @property
    def examples(self) -> tuple[Tensor, ...]:
        """Inputs of a batch of three; the noise is that of training's end, by which zerosum samples."""
        return (self.z, *([] if self.condition is None else [self.condition]), *self.noise.values())


def as_input(name: str) -> str:
    """The buffer's place in the network as the name of an input."""
    return f"{NOISE}_{name.rpartition('.')[0].replace('.', '_')}".rstrip("_")


def trace(graph: Graph) -> ExportedProgram:
    """The graph for batches of any size; UserError if torch cannot make one."""
    batch = Dim("batch", min=1)
    of_batch = 1 if graph.condition is None else 2
    each: list[dict[int, Any]] = [{0: batch}] * of_batch
    others = (*each[1:], *[{}] * len(graph.noise))
    shapes = (each[0], others) if others else (each[0],)
    try:
        with torch.no_grad():
            return torch.export.export(graph, graph.examples, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch.export raises whatever the network's operations make it
        name = type(graph.network).__name__
        raise UserError(f"{name} cannot be made a graph ({one_line(error)}): share it by format=safetensors") from error


def save_torch_export(model: ExportedModel, path: Path) -> None:
    """Save generator.pt2: torch.export.load(path).module()(z, ...) needs torch alone."""
    program = trace(Graph(model))
    save_whole(path, lambda partial: write_with_suffix(partial, ".pt2", lambda file: torch.export.save(program, file)))


def save_onnx(model: ExportedModel, path: Path) -> None:
    """Save an ONNX model whose noise inputs may be left out: they then are as in training's last evaluation."""
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError:
        raise UserError("format=onnx needs the extra onnx: pip install 'zerosum[onnx]'") from None
    graph = Graph(model)
    program = torch.onnx.export(trace(graph), input_names=graph.inputs, output_names=["images"], verbose=False)
    assert program is not None
    written = program.model_proto
    for name, value in zip(map(as_input, graph.noise), graph.noise.values(), strict=True):
        # An initializer with the name of an input is its default.
        written.graph.initializer.append(onnx.numpy_helper.from_array(value.numpy(), name))
    onnx.checker.check_model(written)
    content = written.SerializeToString()
    save_whole(path, lambda partial: partial.write_bytes(content), len(content))


def write_with_suffix(partial: Path, suffix: str, write: Callable[[Path], object]) -> None:
    """Write to a path with a suffix, which torch insists on, and rename it to `partial`."""
    file = partial.with_name(partial.name + suffix)
    try:
        write(file)
        file.replace(partial)
    finally:
        file.unlink(missing_ok=True)

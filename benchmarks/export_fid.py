"""FID of the images of one generator by PyTorch and, from the exported graph, by onnxruntime: the same z, the same FID?

    python benchmarks/export_fid.py RUN ROOT [COUNT] > benchmarks/results/export_fid_<run>_<hardware>_<date>.md

RUN is a finished run and ROOT the folder of its data. COUNT images of the seeds 0, 1, ... are measured by the run's own
protocol. Both sides are rounded to uint8 as always, so the pixels that rounding moves across a level are counted too.
"""

import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from zerosum.commands.export import describe_command, export
from zerosum.pixels import to_uint8
from zerosum.runs.exported import ExportedModel, read
from zerosum.runs.load import load_protocol, saved_config
from zerosum.sampling import images, latents

METRICS = {"fid": {"_target_": "zerosum.evaluation.distribution_metrics.FID"}}


class ByONNX:
    """The generator's graph, asked for samples as the model is."""

    def __init__(self, file: Path, model: ExportedModel) -> None:
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.model = model
        self.conditions = model.conditions

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        if condition is None and self.conditions is not None:
            condition = self.conditions.draw(seeds)
        inputs = {"z": latents(seeds, self.model.latent_dim).numpy()}
        if condition is not None:
            inputs["condition"] = condition.numpy()
        return torch.from_numpy(self.session.run(None, inputs)[0])


def main(run: Path, root: str, count: int = 10_000) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        export(run, ["onnx"], output=folder)
        model = read(Path(folder))
        graph = ByONNX(Path(folder) / "generator.onnx", model)
        one, other = (torch.cat([*images(side, range(count))]) for side in (model, graph))
        protocol = load_protocol(run, {"metrics": METRICS}, root)
        protocol.n_fake = count
        fid = {name: protocol.measure(side)["fid"] for name, side in (("PyTorch", model), ("onnxruntime", graph))}
    card = protocol.card()
    levels = (to_uint8(one).int() - to_uint8(other).int()).abs()
    print("# FID of one generator by PyTorch and by onnxruntime\n")
    print(
        f"{date.today()}, {platform.machine()}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, CPU."
    )
    print(f"Run: `{describe_command(saved_config(run))}`, {model.images_seen:,} images, its moving average.")
    print(
        f"{count:,} images of the seeds 0 to {count - 1:,} on both sides against {card['n_real']:,} images of the split"
    )
    print(f"{card['split']}, {card['features']} features.\n")
    print("| | FID |\n|---|---:|")
    print("\n".join(f"| {name} | {value:.9g} |" for name, value in fid.items()))
    print(f"| difference | {fid['onnxruntime'] - fid['PyTorch']:+.2g} |\n")
    print(f"Images differ by at most {(one - other).abs().max().item():.2g} in [-1, 1]; rounding to uint8 puts")
    print(f"{(levels > 0).double().mean().item():.2g} of the pixels on another level, at most {levels.max()} away.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))

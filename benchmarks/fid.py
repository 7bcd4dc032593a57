"""FID: zerosum against torch-fidelity and plain torchmetrics on the same work, in one run.

    python benchmarks/fid.py                    3 interleaved rounds, tables to benchmarks/results/
    python benchmarks/fid.py 5 path/to/weights  5 rounds, with a real weights file

Without a file the network has random weights whose batch norms were set by real activations: the work is the same and
the features are as good as any to compare code with. Matrix roots are checked against closed forms.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance
from training_speed import processor

from zerosum.data.synthetic import Synthetic
from zerosum.evaluation.features.inception import InceptionFeatures
from zerosum.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance, trace_of_root

SIZE = 2048
IMAGES = 100
"""Extracted by each contestant in each round; the distances are of so many on a side."""

Contestants = dict[str, Callable[[], float]]


def random_weights(folder: Path) -> Path:
    """A file in the format of the real one."""
    import torch_fidelity.feature_extractor_inceptionv3 as module

    load, FeatureExtractorInceptionV3.load_state_dict = FeatureExtractorInceptionV3.load_state_dict, lambda *_: None
    module.load_state_dict_from_url = lambda *_, **__: {}
    torch.manual_seed(0)
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    FeatureExtractorInceptionV3.load_state_dict = load
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    network.train()(make_images(0)[:32])
    torch.save(network.state_dict(), folder / "inception.pth")
    return folder / "inception.pth"


def make_images(seed: int) -> Tensor:
    """(IMAGES, 3, 32, 32) uint8 patchworks."""
    draw = torch.Generator().manual_seed(seed)
    patches = torch.randint(50 * seed, 256, (IMAGES, 3, 8, 8), generator=draw, dtype=torch.uint8)
    return patches.repeat_interleave(4, 2).repeat_interleave(4, 3)


def full_rank() -> tuple[Gaussian, Gaussian, float]:
    """Two covariances with C_2 = T C_1 T, so that Tr sqrt(C_1 C_2) = Tr(C_1 T)."""
    draw = torch.Generator().manual_seed(0)
    spectrum = 1 / torch.arange(1, SIZE + 1, dtype=torch.float64)
    factors = [torch.randn(SIZE, 2 * SIZE, generator=draw, dtype=torch.float64) / (2 * SIZE) ** 0.5 for _ in range(2)]
    one, transport = ((spectrum.sqrt()[:, None] * factor) @ (spectrum.sqrt()[:, None] * factor).T for factor in factors)
    transport = transport + torch.eye(SIZE, dtype=torch.float64)
    zero = torch.zeros(SIZE, dtype=torch.float64)
    other = transport @ one @ transport
    return Gaussian(zero, one, None), Gaussian(zero, (other + other.T) / 2, None), float((one * transport).sum())


def few_samples(count: int = 1000) -> tuple[Gaussian, Gaussian, float]:
    """Rows U S V^T and W T V^T of equal V: the root's trace is sum(s t)."""
    draw = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(SIZE, count, generator=draw, dtype=torch.float64))[0].T  # (count, SIZE)
    sides, scales = [], []
    for _ in range(2):
        left = torch.linalg.qr(torch.randn(count, count, generator=draw, dtype=torch.float64))[0]
        scales.append(torch.rand(count, generator=draw, dtype=torch.float64))
        rows = left @ (scales[-1][:, None] * turn)
        sides.append(Gaussian(torch.zeros(SIZE, dtype=torch.float64), rows.T @ rows, rows))
    return sides[0], sides[1], float((scales[0] * scales[1]).sum())


def roots(sides: tuple[Gaussian, Gaussian, float]) -> Contestants:
    """Each gives its relative error."""
    one, other, exact = sides

    def torchmetrics() -> float:
        return float(torch.linalg.eigvals(one.covariance @ other.covariance).sqrt().real.sum()) / exact - 1

    return {
        "torchmetrics": torchmetrics,
        "zerosum": lambda: float(trace_of_root(one, other)) / exact - 1,
    }


def networks(weights: Path) -> dict[str, Callable[[Tensor], Tensor]]:
    """Feature extractors, images to (N, 2048)."""
    reference = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(weights))
    made: dict[str, Callable[[Tensor], Tensor]] = {"torch-fidelity": lambda batch: reference(batch)[0]}
    for name, precision in (("zerosum", "float32"), ("zerosum, bfloat16", "bfloat16")):
        features = InceptionFeatures(str(weights), precision)  # type: ignore[arg-type]
        features.prepare(Synthetic())
        made[name] = lambda batch, network=features.network: network(batch).features.float()  # type: ignore[misc]
    return made


@torch.inference_mode()
def extracted(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Features in batches of 50."""
    return torch.cat([network(batch) for batch in images.split(50)])


def rounds_of(contestants: Contestants, count: int) -> dict[str, tuple[list[float], float]]:
    """Seconds of each in turns, and the last result."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    results = {}
    for _ in range(count):
        for name, contestant in contestants.items():
            start = time.perf_counter()
            results[name] = contestant()
            seconds[name].append(time.perf_counter() - start)
    return {name: (seconds[name], results[name]) for name in contestants}


def table(title: str, measured: dict[str, tuple[list[float], float]], base: str, result: str) -> list[str]:
    """Median seconds, the ratio to `base` round by round, and what came out."""
    lines = [
        f"## {title}",
        "",
        f"| | seconds, median | times {base} (lowest to highest) | {result} |",
        "|---|---|---|---|",
    ]
    for name, (seconds, value) in measured.items():
        ratios = [theirs / own for theirs, own in zip(measured[base][0], seconds, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {name} | {statistics.median(seconds):.2f} | {spread} | {value:.8g} |")
    return [*lines, ""]


def distances(weights: Path) -> list[str]:
    """The same images through each library, whole."""
    real, fake = make_images(0), make_images(1)
    features = {
        name: [extracted(network, side) for side in (real, fake)] for name, network in networks(weights).items()
    }
    identity = torch.nn.Identity()
    identity.num_features = SIZE  # type: ignore[assignment]
    plain = FrechetInceptionDistance(identity)
    for side, is_real in ((0, True), (1, False)):
        plain.update(features["torch-fidelity"][side], real=is_real)
    statistics_ = [fid_features_to_statistics(side) for side in features["torch-fidelity"]]
    gaussians = {name: [fit_gaussian(side) for side in sides] for name, sides in features.items()}
    rows = {
        "torch-fidelity": fid_statistics_to_metric(*statistics_, verbose=False)["frechet_inception_distance"],
        "torchmetrics, torch-fidelity's features": float(plain.compute()),
        "float64 and exact root, torch-fidelity's features": float(frechet_distance(*gaussians["torch-fidelity"])),
        "zerosum": float(frechet_distance(*gaussians["zerosum"])),
        "zerosum, bfloat16 on both sides": float(frechet_distance(*gaussians["zerosum, bfloat16"])),
    }
    lines = [f"## FID of {IMAGES} images against {IMAGES}", "", "| | FID |", "|---|---|"]
    return [*lines, *(f"| {name} | {value:.7f} |" for name, value in rows.items()), ""]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(sys.argv[2]) if len(sys.argv) > 2 else random_weights(Path(folder))
        lines = [
            "# FID",
            "",
            f"{processor()}, {torch.get_num_threads()} threads; torch {torch.__version__}; {count} interleaved rounds;"
            f" {date.today()}.",
            f"Weights: {'random' if len(sys.argv) < 3 else weights.name}. Made by `python benchmarks/fid.py {count}`.",
            "",
        ]
        for title, sides in (
            (f"The root, {SIZE} features, full rank", full_rank()),
            (f"The root, {SIZE} features, 1,000 samples on a side", few_samples()),
        ):
            lines += table(title, rounds_of(roots(sides), count), "torchmetrics", "relative error")
        images = make_images(0)
        made = networks(weights)
        wanted = extracted(made["torch-fidelity"], images[:50])

        def extraction(network: Callable[[Tensor], Tensor]) -> Callable[[], float]:
            return lambda: float((extracted(network, images)[:50] - wanted).norm() / wanted.norm())

        measured = rounds_of({name: extraction(network) for name, network in made.items()}, count)
        title = f"Features of {IMAGES} images"
        lines += table(title, measured, "torch-fidelity", "relative difference of features")
        lines += distances(weights)
    text = "\n".join(lines)
    print(text)
    path = Path(__file__).parent / "results" / f"fid_cpu{torch.get_num_threads()}_{date.today()}.md"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

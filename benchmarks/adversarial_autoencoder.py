"""An autoencoder by mean squared error, and with an adversarial loss beside it: rFID, PSNR, and how often it diverges.

    python benchmarks/adversarial_autoencoder.py <folder of MNIST and cifar10/> <folder for the runs> > \\
        benchmarks/results/adversarial_autoencoder_<hardware>_<date>.md

Images of 16x16 pixels, on which a run takes half a minute of one core. Runs that are in the folder already are only
read. `cifar10/` has train/ and test/ with one folder a class.
"""

import json
import platform
import sys
from datetime import date
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from zerosum.errors import DivergedError
from zerosum.evaluation.measurement import read_record
from zerosum.experiment.compose import compose
from zerosum.experiment.train import train
from zerosum.training.process import silence_libraries

SEEDS = range(5)
IMAGES, START, EVERY = 40_000, 10_000, 10_000
QUIET = tuple(
    f"~callbacks.{name}" for name in ("report", "samples", "weights", "logits", "doctor", "banner", "progress")
)
COMMON = (
    *("features=classifier", "metrics=reconstruction", "protocol=fid10k_test", "protocol.n_fake=100"),
    *("protocol.floor=false", "trainer=cpu", "model.base_channels=16", "optimizer.lr=0.001"),
    *("optimizer.betas=[0.5,0.999]", f"run.images={IMAGES}", f"callbacks.evaluate.every={EVERY}", *QUIET),
)
MODELS = {
    "L2": ("model=autoencoder",),
    "L2 + hinge": ("model=autoencoder_gan", f"model.start={START}"),
    "L2 + relativistic": ("model=autoencoder_gan", "loss@model.adversarial=relativistic", f"model.start={START}"),
}


def data_options(root: Path) -> dict[str, tuple[str, ...]]:
    """Both datasets at 16x16 pixels."""
    cifar10 = ("dataset=image_folder", f"dataset.path={root / 'cifar10'}", "model.latent_dim=64")
    return {
        name: (*options, "dataset.resolution=16", f"dataset.root={root}")
        for name, options in {"MNIST": ("dataset=mnist",), "CIFAR-10, JPEG copy": cifar10}.items()
    }


def measure(folder: Path, options: tuple[str, ...]) -> dict[str, Any]:
    """rFID and PSNR of every evaluation of a run, which is trained unless its folder holds them."""
    path = folder / "result.json"
    if not path.exists():
        stopped = None
        try:
            outcome = train(compose(*COMMON, *options, f"run.folder={folder}", "run.name=run"))
            if outcome.stopped_by is not None:
                sys.exit("interrupted: start again, finished runs are kept")
        except DivergedError as error:
            stopped = str(error)
        history = [measurement.values for measurement in read_record(folder / "metrics.json").history]
        path.write_text(json.dumps({"history": history, "stopped": stopped}))
    return json.loads(path.read_text())


def has_diverged(result: dict[str, Any]) -> bool:
    """Whether it was stopped at NaN, ended with twice its best rFID, or lost 1 dB of its best PSNR."""
    history = result["history"]
    best_rfid, best_psnr = min(each["rfid"] for each in history), max(each["psnr"] for each in history)
    return bool(result["stopped"]) or history[-1]["rfid"] > 2 * best_rfid or history[-1]["psnr"] < best_psnr - 1


def row(dataset: str, model: str, results: list[dict[str, Any]]) -> str:
    """A line of the table: mean and standard deviation over seeds of the last values."""
    cells = []
    for name, digits in (("rfid", 3), ("psnr", 2)):
        values = [result["history"][-1][name] for result in results]
        spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
        cells.append(f"{mean(values):.{digits}f}{spread}")
    diverged = sum(map(has_diverged, results))
    return f"| {dataset} | {model} | {len(results)} | {' | '.join(cells)} | {diverged} of {len(results)} |"


def name_of(dataset: str, model: str, seed: int) -> str:
    """The folder of a run."""
    return "_".join(f"{dataset} {model} {seed}".replace("+", "").replace(",", "").split())


def main(root: Path, folder: Path) -> None:
    """Train what is missing, seed by seed, and print the page."""
    silence_libraries()
    torch.set_num_threads(1)
    datasets = data_options(root)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in SEEDS:
        for dataset, data in datasets.items():
            for model, options in MODELS.items():
                result = measure(folder / name_of(dataset, model, seed), (*data, *options, f"seed={seed}"))
                found.setdefault((dataset, model), []).append(result)
    print_page(found)


def print_page(found: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    """The protocol and the table, a row for each dataset and loss."""
    print("# An adversarial loss as a part of an autoencoder\n")
    print(f"{date.today()}, {platform.machine()}, torch {torch.__version__}, 1 thread. By")
    print("`python benchmarks/adversarial_autoencoder.py <folder of MNIST and cifar10/> <folder for the runs>`.\n")
    print(f"Images of 16x16 pixels, {IMAGES:,} shown; D begins at {START:,}. Codes have 32 numbers for MNIST, 64 for")
    print("CIFAR-10 (a JPEG copy, so no published figure compares). Both by Adam, 0.001, betas 0.5 and 0.999; R1 with")
    print("gamma 1. rFID is by the features of the small classifier of each dataset, PSNR in dB, both of all held-out")
    print(
        "images at the end of training, mean ± standard deviation over seeds. A run has diverged if it was stopped at"
    )
    print("NaN, or ended with twice its best rFID or 1 dB below its best PSNR.\n")
    print("| data | loss | seeds | rFID ↓ | PSNR ↑ | diverged |\n|---|---|---|---|---|---|")
    for (dataset, model), results in found.items():
        print(row(dataset, model, results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The controller of gamma against a sweep of gamma, on digits, the grid and MNIST.

    python benchmarks/gamma_control.py <folder of MNIST> > benchmarks/results/gamma_control_<hardware>_<date>.md
    python benchmarks/gamma_control.py <folder of MNIST> mnist      # one of the three, or several

Every run has regularizer=r1_r2, and one seed, two on the grid. `callbacks=[default,gamma_control]` starts from the
gamma that stands beside it. Runs lie in a temporary folder; what is made of the data is kept in the folder given.
"""

import csv
import logging
import platform
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import torch

from zerosum.experiment.compose import compose
from zerosum.experiment.train import train
from zerosum.training.process import silence_libraries

GAMMAS = (0.01, 0.1, 1, 10, 100)
STARTS = (0.01, 1, 100)
QUIET = ("~callbacks.report", "~callbacks.samples", "~callbacks.weights", "~callbacks.logits", "~callbacks.doctor")
COMMON = ("regularizer=r1_r2", "trainer=cpu", *QUIET)


class Case(NamedTuple):
    """A dataset with its budget in images, and the seeds that it is run with."""

    options: tuple[str, ...]
    images: int
    seeds: tuple[int, ...]
    values: tuple[str, ...]
    """Of the last evaluation"""
    control: tuple[str, ...] = ()
    """Options of the controller"""


CASES = {
    "digits": Case(("dataset=digits",), 20_000, (0,), ("fid",)),
    "grid": Case(
        ("experiment=grid",),
        400_000,
        (0, 1),
        ("modes", "high_quality", "mode_kl"),
        # Batches are four times as large, and a point says less than an image.
        ("callbacks.gamma_control.every=2048", "callbacks.gamma_control.images=20000"),
    ),
    "mnist": Case(("dataset=mnist", "model.base_channels=16"), 15_000, (0,), ("fid",)),
}


class Result(NamedTuple):
    """The last values of one run, and gamma and the ratio at its end where they were controlled."""

    values: dict[str, float]
    gamma: float
    ratio: float | None
    protocol: dict[str, object]


def run(case: Case, gamma: float, seed: int, controlled: bool, root: str, folder: Path) -> Result:
    control = ("callbacks=[default,gamma_control]", *case.control) if controlled else ()
    budget = (f"run.images={case.images}", f"callbacks.evaluate.every={case.images}", f"seed={seed}", f"gamma={gamma}")
    data = () if "experiment=grid" in case.options else (f"dataset.root={root}",)
    config = compose(*control, *case.options, *COMMON, *budget, *data)
    config.run.folder = str(folder)
    evaluate = train(config).evaluate
    assert evaluate is not None
    last = evaluate.history[-1]
    end = read_last(folder / "metrics.csv") if controlled else (gamma, None)
    return Result({name: last.values[name] for name in case.values}, *end, last.card.protocol)


def read_last(path: Path) -> tuple[float, float]:
    """Gamma and the ratio of the last quarter of a run, the ratio as a mean over its rows."""
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("game/gamma")]
    ratios = [float(row["game/squared_gradient_ratio"]) for row in rows[-(len(rows) // 4) :]]
    return float(rows[-1]["game/gamma"]), mean(ratios)


def format_row(name: str, results: list[Result], values: tuple[str, ...]) -> str:
    cells = [" / ".join(f"{result.values[value]:.4g}" for result in results) for value in values]
    gammas = " / ".join(f"{result.gamma:.3g}" for result in results)
    ratios = " / ".join("" if result.ratio is None else f"{result.ratio:.3g}" for result in results)
    return f"| {name} | {' | '.join(cells)} | {gammas} | {ratios.strip(' /')} |"


def format_protocol(protocol: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in protocol.items() if not isinstance(value, dict))


def measure_case(name: str, case: Case, root: str, folder: Path) -> None:
    """Print the table of one dataset, a row at a time."""
    seeds = " / ".join(map(str, case.seeds))
    print(f"\n## {name}\n\n`{' '.join(case.options)} run.images={case.images}`, seed {seeds}\n", flush=True)
    print(f"| gamma | {' | '.join(case.values)} | gamma at the end | ratio at the end |")
    print("|---" * (len(case.values) + 3) + "|", flush=True)
    plan = [(gamma, False) for gamma in GAMMAS] + [(gamma, True) for gamma in STARTS]
    for gamma, controlled in plan:
        label = f"from {gamma}, controlled" if controlled else str(gamma)
        results = [
            run(case, gamma, seed, controlled, root, folder / f"{name}_{label.replace(', ', '_')}_{seed}")
            for seed in case.seeds
        ]
        print(format_row(label, results, case.values), flush=True)
    print(f"\nProtocol: {format_protocol(results[-1].protocol)}", flush=True)


if __name__ == "__main__":
    silence_libraries()
    logging.getLogger("zerosum").setLevel(logging.ERROR)
    root, started = sys.argv[1] if len(sys.argv) > 1 else "data", time.perf_counter()
    print("# The controller of gamma against a sweep of gamma\n")
    print(f"{date.today()}, {platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread")
    print("\nValues are of the last evaluation, ratios means over the last quarter of a run.")
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[2:] or CASES:
            measure_case(name, CASES[name], root, Path(folder))
    minutes = (time.perf_counter() - started) / 60, time.process_time() / 60
    print(f"\nThis took {minutes[0]:.0f} minutes, {minutes[1]:.0f} of them on a core.")

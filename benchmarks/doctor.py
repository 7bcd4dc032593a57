"""Plant faults, and see what the doctor finds.

python benchmarks/doctor.py train --datasets digits ring --seeds 0 1 2 3 4     # hours; what is there is kept
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from planted import BASES, FAULTS

from zerosum.errors import UserError
from zerosum.experiment.compose import CONF, compose
from zerosum.experiment.train import train

OUTPUTS = Path("outputs/doctor")


def healthy(dataset: str) -> list[str]:
    """The recipes that the dataset's table of losses is made of."""
    prefix = "ring_" if dataset == "ring" else "image_"
    return sorted(path.stem for path in (CONF / "recipe").glob(f"{prefix}*.yaml"))


def run_once(folder: Path, overrides: tuple[str, ...]) -> None:
    """Train unless the folder holds a run that ended; one that fails keeps its reason in failed.txt."""
    if (folder / "ended.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    started, reason = time.perf_counter(), "budget"
    try:
        train(compose(*overrides, f"run.folder={folder.absolute()}", "~callbacks.samples", "~callbacks.progress"))
    except UserError as error:
        reason = str(error)
    (folder / "ended.txt").write_text(f"{time.perf_counter() - started:.0f} s: {reason}\n", encoding="utf-8")
    print(folder, (folder / "ended.txt").read_text().strip()[:150], flush=True)


def train_all(datasets: list[str], seeds: list[int], only: list[str]) -> None:
    """Every fault and every healthy recipe of the datasets."""
    for seed in seeds:
        for dataset in datasets:
            for fault, overrides in FAULTS[dataset].items():
                if not only or fault in only:
                    run_once(OUTPUTS / dataset / fault / str(seed), (*BASES[dataset], *overrides, f"seed={seed}"))
            for recipe in healthy(dataset):
                if not only or recipe in only:
                    base = [word for word in BASES[dataset] if dataset != "ring" or not word.startswith("experiment")]
                    run_once(OUTPUTS / dataset / recipe / str(seed), (*base, f"recipe={recipe}", f"seed={seed}"))


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["train"])
    parser.add_argument("--datasets", nargs="+", default=["digits", "ring"], choices=list(BASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=[])
    options = parser.parse_args()
    logging.getLogger("zerosum").setLevel(logging.WARNING)
    train_all(options.datasets, options.seeds, options.only)


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    main()

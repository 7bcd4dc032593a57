"""Plant faults, and measure how often and how early the doctor finds them, and whether its advice helps.

    python benchmarks/doctor.py train --datasets digits ring --seeds 0 1 2 3 4     # hours; what has ended is kept
    python benchmarks/doctor.py restart --datasets digits ring                     # seed 0 of each, with the advice
    python benchmarks/doctor.py judge                                              # writes results and docs/doctor.md

The rules are applied again to the curves of the runs, so that a change of a threshold needs no training.
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from doctor_runs import read_run
from doctor_verdicts import write_page
from planted import BASES, FAULTS

from zerosum.errors import UserError
from zerosum.experiment.compose import CONF, compose
from zerosum.experiment.train import train

OUTPUTS = Path("outputs/doctor")


def healthy(dataset: str) -> list[str]:
    """The recipes that the dataset's table of losses is made of."""
    prefix = "ring_" if dataset == "ring" else "image_"
    return sorted(path.stem for path in (CONF / "recipe").glob(f"{prefix}*.yaml"))


def overrides_of(dataset: str, setting: str, seed: int) -> tuple[str, ...]:
    """The options of a fault or of a healthy recipe; a recipe of the ring is an experiment by itself."""
    base = BASES[dataset]
    if setting in FAULTS[dataset]:
        return (*base, *FAULTS[dataset][setting], f"seed={seed}")
    shared = [word for word in base if dataset != "ring" or not word.startswith("experiment")]
    return (*shared, f"recipe={setting}", f"seed={seed}")


def run_once(folder: Path, overrides: tuple[str, ...]) -> None:
    """Train unless the folder holds a run that ended; ended.txt says why it did."""
    if (folder / "ended.txt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    started, reason = time.perf_counter(), "budget"
    leave_out = [f"~callbacks.{name}" for name in ("samples", "progress", "report") if has_callback(name)]
    try:
        train(compose(*overrides, f"run.folder={folder.absolute()}", *leave_out))
    except UserError as error:
        reason = str(error)
    (folder / "ended.txt").write_text(f"{time.perf_counter() - started:.0f} s: {reason}\n", encoding="utf-8")
    print(folder, (folder / "ended.txt").read_text(encoding="utf-8").strip()[:150], flush=True)


def has_callback(name: str) -> bool:
    """Whether the default callbacks have this one."""
    return f"\n{name}:" in (CONF / "callbacks" / "default.yaml").read_text(encoding="utf-8")


def train_all(datasets: list[str], seeds: list[int], only: list[str]) -> None:
    """Every fault and every healthy recipe of the datasets."""
    for seed in seeds:
        for dataset in datasets:
            for setting in [*FAULTS[dataset], *healthy(dataset)]:
                if not only or setting in only:
                    run_once(OUTPUTS / dataset / setting / str(seed), overrides_of(dataset, setting, seed))


def restart_all(datasets: list[str], only: list[str]) -> None:
    """Each fault of seed 0 again from the start, with the advice that its run was given added to its options."""
    for dataset in datasets:
        for fault in FAULTS[dataset]:
            run = read_run(OUTPUTS / dataset / fault / "0")
            advice = None if run is None else run.advice(fault)
            if advice and (not only or fault in only):
                words = (*overrides_of(dataset, fault, 0), *advice.split())
                run_once(OUTPUTS / dataset / fault / "restarted", words)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "restart", "judge"])
    parser.add_argument("--datasets", nargs="+", default=["digits", "ring"], choices=list(BASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--only", nargs="+", default=[])
    options = parser.parse_args()
    logging.getLogger("zerosum").setLevel(logging.WARNING)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if options.action == "train":
        train_all(options.datasets, options.seeds, options.only)
    elif options.action == "restart":
        restart_all(options.datasets, options.only)
    else:
        write_page(OUTPUTS)


if __name__ == "__main__":
    main()

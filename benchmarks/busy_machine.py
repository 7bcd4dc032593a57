"""Training speed on an idle machine and beside one busy process, by how OpenMP's threads wait.

    python benchmarks/busy_machine.py [rounds] > benchmarks/results/busy_machine_<hardware>_<date>.md

Each cell is the median images per second of the digits preset's DCGAN with R1 over 4,800 images, in its own process;
settings take turns, so that a machine that slows down slows all of them.
"""

import os
import platform
import statistics
import subprocess
import sys
from datetime import date

SETTINGS: dict[str, dict[str, str]] = {
    "default of GNU OpenMP": {},
    "zerosum's choice": {"ZEROSUM_CHOOSES": "yes"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}
TRAIN = """
import os, time
if "ZEROSUM_CHOOSES" in os.environ:
    from zerosum.commands.threads import prepare_threads
    prepare_threads()
from lightning import Callback
from zerosum.experiment.build import build
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.training.process import prepare_process, silence_libraries

silence_libraries()
prepare_process()
config = compose("experiment=digits", "trainer=cpu", "run.images=6_400", "run.folder=outputs/busy")
config.callbacks, config.logger = {}, {}
built = build(validate(config))

class Clock(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 25:
            self.start = time.perf_counter()
        if trainer.global_step == 100:
            print(75 * 64 / (time.perf_counter() - self.start))

built.trainer.callbacks.append(Clock())
built.trainer.fit(built.module, datamodule=built.data)
"""
BUSY = "while True: pass"
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def speed(setting: dict[str, str]) -> float:
    """Images per second of one run."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], env={**environment, **setting}, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def measure(busy: bool) -> dict[str, float]:
    """One round of all settings, beside a busy process or not."""
    process = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    try:
        return {name: speed(setting) for name, setting in SETTINGS.items()}
    finally:
        if process is not None:
            process.kill()


def main(rounds: int) -> None:
    """Rounds of idle and busy in turn, as a table."""
    cells: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for busy in (False, True):
            for name, value in measure(busy).items():
                cells.setdefault((name, busy), []).append(value)
    print("# Training beside a busy process\n")
    machine = f"{os.cpu_count()} CPU cores, {platform.machine()}"
    print(f"{date.today()}, {machine}; images per second, median (lowest to highest)")
    print(f"of {rounds} rounds, digits preset with R1. Made by `python benchmarks/busy_machine.py {rounds}`.\n")
    print("| setting | idle | beside one busy process | share of the default's idle speed kept |\n|---|---:|---:|---:|")
    base = statistics.median(cells["default of GNU OpenMP", False])
    for name in SETTINGS:
        idle, busy = cells[name, False], cells[name, True]
        kept = statistics.median(busy) / base
        print(f"| {name} | {spread(idle)} | {spread(busy)} | {kept:.0%} |")


def spread(values: list[float]) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)

"""Measure the share of a training's time that its report takes: python benchmarks/report_cost.py [overrides]"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import zerosum
from zerosum.training.callbacks.report import Report

DEFAULT = ("experiment=digits", "run.images=30_000")


def main(overrides: list[str]) -> None:
    times: list[tuple[str, float]] = []
    processor = 0.0
    attempt = Report.attempt

    def timed(self: Report, trainer: Any, act: Any) -> None:
        nonlocal processor
        started, before = time.perf_counter(), time.process_time()
        attempt(self, trainer, act)
        processor += time.process_time() - before
        times.append((f"{trainer.lightning_module.images_seen:,}", time.perf_counter() - started))

    Report.attempt = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        started, before = time.perf_counter(), time.process_time()
        zerosum.train(zerosum.compose(*overrides, f"run.folder={run}"))
        whole, processor_whole = time.perf_counter() - started, time.process_time() - before
        size = (run / "report.html").stat().st_size
    spent = sum(seconds for _, seconds in times)
    for images, seconds in times:
        print(f"report at {images} images: {seconds:.2f} s")
    print(f"{' '.join(overrides)}: {spent:.2f} of {whole:.1f} s, {spent / whole:.2%}; {size / 1e6:.1f} MB")
    share = processor / processor_whole  # other programs on the machine do not count here
    print(f"processor time: {processor:.2f} of {processor_whole:.1f} s, {share:.2%}")


if __name__ == "__main__":
    main(sys.argv[1:] or list(DEFAULT))

"""The share of training time that the diagnostics and the doctor take: python benchmarks/diagnostics_cost.py

Each hook is timed within one run of the default settings, so that a busy machine slows both alike.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from tempfile import TemporaryDirectory
from typing import Any

from zerosum.doctor.callback import Doctor
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.point_protocol import PointProtocol
from zerosum.experiment.build import build
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.gan.logits import Logits
from zerosum.training.callbacks.weights import Weights

HOOKS = ("on_train_start", "on_train_batch_start", "on_train_batch_end", "on_train_end", "observe")


def timed(seconds: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which adds its time to `seconds`."""

    def run(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            seconds[name] += time.perf_counter() - started

    return run


def measure(*overrides: str) -> dict[str, float]:
    """Shares of the run's time by part."""
    seconds: dict[str, float] = defaultdict(float)
    for kind in (Logits, Weights, Doctor):
        for hook in HOOKS:
            if hook in kind.__dict__:
                setattr(kind, hook, timed(seconds, kind.__name__, getattr(kind, hook)))
    for protocol in (ImageProtocol, PointProtocol):
        setattr(protocol, "diagnose", timed(seconds, "samples", protocol.diagnose))  # noqa: B010
    with TemporaryDirectory() as folder:
        experiment = build(validate(compose(*overrides, f"run.folder={folder}", "~callbacks.progress")))
        started = time.perf_counter()
        experiment.trainer.fit(experiment.module, datamodule=experiment.data)
        total = time.perf_counter() - started
    return {name: part / total for name, part in seconds.items()} | {"seconds": total}


def main() -> None:
    """Print the shares of the options given, by default those of the digits."""
    shares = measure(*(sys.argv[1:] or ["experiment=digits", "run.images=60_000"]))
    total = shares.pop("seconds")
    for name, share in shares.items():
        print(f"| {name} | {share:.2%} |")
    print(f"| together | {sum(shares.values()):.2%} of {total:.0f} s |")


if __name__ == "__main__":
    main()

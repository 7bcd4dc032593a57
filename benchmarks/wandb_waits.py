"""How long a run waits for Weights & Biases, at its start and at its end, where no server can be used.

    python benchmarks/wandb_waits.py [rounds] > benchmarks/results/wandb_waits_<hardware>_<date>.md

Each cell is of whole runs of 640 images on a ring, each a process of its own; cases take turns, so that a machine that
slows down slows all of them.
"""

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAIN = """
import sys, time
from zerosum.commands import train
from zerosum.training.wandb_logger import WandbRun

def timed(name, method):
    def call(*arguments, **named):
        start = time.perf_counter()
        try:
            return method(*arguments, **named)
        finally:
         W    print("B WAITED", name, time.perf_counter() - start, flush=True)
    return call

WandbRun.log_hyperparams = timed("start", WandbRun.log_hyperparams)
WandbRun.finalize = timed("end", WandbRun.finalize)
train.main()
"""
OPTIONS = ["dataset=ring", "model=mlp", "protocol=points10k", "metrics=mode_coverage", "trainer=cpu"]
OPTIONS += ["run.images=640", "training.batch_size=32", "~callbacks.samples"]
CLOSED = "http://127.0.0.1:9"
KEY = {"WANDB_API_KEY": "0" * 40}
LINE = "W&B logs offline"


def hold(connection: socket.socket) -> None:
    """Never answer."""
    time.sleep(3600)


def drip(connection: socket.socket) -> None:
    """Answer by one byte a second of a header that does not end."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"x" * 3600:
            connection.send(bytes([byte]))
            time.sleep(1)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that accepts every connection and answers it so."""
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def run(logger: str, environment: dict[str, str]) -> dict[str, float]:
    """Seconds of one run: at the start, at the end, and as a whole; whether a line said that it logs offline."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    with tempfile.TemporaryDirectory() as folder:
        ours |= {"NETRC": f"{folder}/none", "WANDB_CONFIG_DIR": folder, "HOME": folder, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", TRAIN, *OPTIONS, f"logger={logger}", f"hydra.run.dir={folder}/run"]
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env={**ours, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        whole = time.perf_counter() - began
        assert done.returncode == 0, done.stdout
        waits = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("WAITED")]
        found = {"start": 0.0, "end": 0.0, **{name: float(seconds) for name, seconds in waits}, "whole": whole}
        return {**found, "lines": float(done.stdout.count(LINE))}


def main(rounds: int) -> None:
    """Rounds of all cases in turn, as a table."""
    with server(hold) as silent, server(drip) as dripping:
        cases: dict[str, tuple[str, dict[str, str]]] = {
            "logger=csv": ("csv", {}),
            "no key": ("wandb", {"WANDB_BASE_URL": CLOSED}),
            "a key, and nothing listens": ("wandb", {"WANDB_BASE_URL": CLOSED, **KEY}),
            "a key, and a server that accepts and never answers": ("wandb", {"WANDB_BASE_URL": silent, **KEY}),
            "a key, and a server that sends one byte a second": ("wandb", {"WANDB_BASE_URL": dripping, **KEY}),
        }
        seconds: dict[str, list[dict[str, float]]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                seconds[name].append(run(*case))
                print(name, seconds[name][-1], file=sys.stderr)
    names = "W&B", "wait at the start", "wait at the end", "whole run", "lines that say it logs offline"
    print("# Waiting for W&B\n")
    print(f"{date.today()}, {os.cpu_count()} CPU cores, {platform.machine()}; seconds, median (lowest to highest) of")
    print(f"{rounds} runs of 640 images on a ring. Made by `python benchmarks/wandb_waits.py {rounds}`.\n")
    print(f"| {' | '.join(names)} |\n|---|---:|---:|---:|---:|")
    for name, found in seconds.items():
        cells = [spread([each[part] for each in found]) for part in ("start", "end", "whole")]
        print(f"| {name} | {' | '.join(cells)} | {statistics.median(each['lines'] for each in found):.0f} |")


def spread(values: list[float]) -> str:
    """Median (lowest to highest)."""
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

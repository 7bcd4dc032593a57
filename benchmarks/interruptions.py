"""Compares runs that are killed and resumed with runs that are not, bit for bit.

    python benchmarks/interruptions.py        10 kills of each of four games; the table goes to benchmarks/results/
    python benchmarks/interruptions.py 3      3 kills of each

SIGKILL comes up to two seconds after the first checkpoint since the last start, and checkpoints are written at every
other step, so that some kills come while one is written; the last kill comes in the last evaluation. Compared are
weights, moving averages, optimizers, the states of callbacks, curves, values, best.ckpt and the list of files.
"""

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch

ROOT = Path(__file__).parents[1]
SMALL = (
    *("dataset=synthetic", "features.steps=20", "protocol.n_fake=512", "callbacks.samples.frames=2", "trainer=cpu"),
    *("callbacks.samples.count=4", "callbacks.checkpoint.every=32", "callbacks.curves.every=64"),
    *("callbacks.evaluate.every=640", "callbacks.logits.every=320", "seed=3", "training.batch_size=16"),
)
GAMES = {
    "dcgan, nonsat": ("model.base_channels=8", "loss=nonsat"),
    "mlp, nonsat": ("model=mlp", "loss=nonsat"),
    "dcgan, relativistic + r1_r2 + lecam, ada": (
        *("model.base_channels=8", "loss=relativistic", "regularizer=[r1_r2,lecam]", "augment=ada"),
        *("callbacks=[default,anneal]", "callbacks.anneal.attribute=regularizers.r1.weight"),
    ),
    "mlp, relativistic + r1_r2 + lecam, ada": (
        *("model=mlp", "loss=relativistic", "regularizer=[r1_r2,lecam]", "augment=ada"),
        *("callbacks=[default,anneal]", "callbacks.anneal.attribute=regularizers.r1.weight"),
    ),
}


class Outcome(NamedTuple):
    """Kills of one run, and its differences from a straight one."""

    kills: int
    while_writing: int
    """Kills that left a half-written temporary file behind"""
    in_last_evaluation: bool
    """Whether the last kill came before the last evaluation had ended"""
    differences: list[str]


def command(folder: Path, images: int, game: Sequence[str]) -> list[str]:
    """Start the run, or resume it."""
    where = [f"hydra.run.dir={folder}", f"dataset.root={folder.parent / 'data'}", f"run.images={images}"]
    return [sys.executable, str(ROOT / "train.py"), *SMALL, *game, *where, "resume=auto"]


def environment() -> dict[str, str]:
    """One thread: sums of two may differ."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def finish(folder: Path, images: int, game: Sequence[str]) -> None:
    """Run to the end."""
    done = subprocess.run(command(folder, images, game), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def kill(folder: Path, images: int, game: Sequence[str], delay: float) -> bool:
    """Run until `delay` seconds after the first checkpoint since the start; False if it ended before."""
    last = folder / "last.ckpt"
    before = last.stat().st_mtime_ns if last.exists() else 0
    process = subprocess.Popen(
        command(folder, images, game), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (last.exists() and last.stat().st_mtime_ns > before):
        time.sleep(0.005)
    time.sleep(delay)
    ended = process.poll() is not None
    process.kill()
    process.wait()
    return not ended


def kill_in_last_evaluation(folder: Path, images: int, game: Sequence[str]) -> bool:
    """Run until the curves reach the budget, which is logged just before the last evaluation; False if it ended."""
    path, last = folder / "metrics.csv", f"\n{images},"
    process = subprocess.Popen(
        command(folder, images, game), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not (path.exists() and last in path.read_text(encoding="utf-8")):
        time.sleep(0.002)
    process.kill()
    process.wait()
    stored = torch.load(folder / "last.ckpt", weights_only=True)
    return stored["images_seen"] < images


def interrupted(place: Path, images: int, game: Sequence[str], kills: int, draw: random.Random) -> Outcome:
    """Compare a straight run with one that is killed at random moments and in its last evaluation."""
    finish(place / "straight", images, game)
    killed, writing = 0, 0
    for _ in range(kills):
        killed += kill(place / "killed", images, game, draw.uniform(0, 2))
        writing += bool(list((place / "killed").rglob(".*.partial")))
    last = kill_in_last_evaluation(place / "killed", images, game)
    finish(place / "killed", images, game)
    return Outcome(killed + last, writing, last, differences(place / "straight", place / "killed"))


def differences(one: Path, other: Path) -> list[str]:
    """Files of two runs, and places in their checkpoints, that differ."""
    found = []
    for name in ("last.ckpt", "best.ckpt"):
        stored = [torch.load(run / name, weights_only=True) for run in (one, other)]
        found += [f"{name}: {path}" for path in unequal(*stored)]
    for name, read in (("metrics.csv", curves), ("metrics.json", values)):
        if read(one / name) != read(other / name):
            found.append(name)
    names = [{str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} for run in (one, other)]
    return found + sorted(names[0] ^ names[1])


def unequal(one: Any, other: Any, path: str = "") -> list[str]:
    """Paths of the entries that differ, apart from seconds and minutes."""
    if path.endswith(("minutes", "seconds")):
        return []
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [inner for key in one for inner in unequal(one[key], other[key], f"{path}.{key}")]
    if isinstance(one, list | tuple) and len(one) == len(other):
        return [
            inner
            for index, pair in enumerate(zip(one, other, strict=True))
            for inner in unequal(*pair, f"{path}.{index}")
        ]
    same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
    return [] if same else [path]


def curves(path: Path) -> list[dict[str, str]]:
    """Every row without its speed."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: text for name, text in row.items() if not name.startswith("speed/")} for row in rows]


def values(path: Path) -> list[tuple[Any, ...]]:
    """Every measurement without its time."""
    record = json.loads(path.read_text(encoding="utf-8"))
    return [(entry["values"], entry["card"]["run"]["images"]) for entry in [record["best"], *record["history"]]]


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    lines = [
        "# Interruptions",
        "",
        f"SIGKILL at random moments, then resume=auto; torch {torch.__version__}, CPU, one thread; {date.today()}.",
        f"Made by `python benchmarks/interruptions.py {kills}`. Compared bit for bit with a run that was left alone.",
        "",
        "| game | kills survived | of them while a file was written | differences |",
        "|---|---|---|---|",
    ]
    for name, game in GAMES.items():
        with tempfile.TemporaryDirectory() as folder:
            outcome = interrupted(Path(folder), 16_000, game, kills, random.Random(name))
        found = "; ".join(outcome.differences) or "none"
        lines.append(f"| {name} | {outcome.kills} | {outcome.while_writing} | {found} |")
        print(lines[-1], flush=True)
    path = ROOT / "benchmarks" / "results" / f"interruptions_cpu_{date.today()}.md"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()

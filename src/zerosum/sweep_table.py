"""One table of a whole sweep: a row for each setting, mean and range over its seeds."""

import json
import logging
import statistics
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from zerosum.files import saved_whole

log = logging.getLogger("zerosum")


class SweepTable(Callback):
    """Writes table.md into a sweep's folder when its last job has ended.

    Jobs that differ in nothing but `seed` share a row; a row is named by the values of `names`, config keys with dots.
    """

    def __init__(self, names: list[str], title: str) -> None:
        self.names = names
        self.title = title

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read each job's config.yaml and metrics.json; a job that failed has none and is counted."""
        folder = Path(config.hydra.sweep.dir)
        text = table(folder, self.names, self.title)
        saved_whole(folder / "table.md", lambda partial: partial.write_text(text))
        print(f"{text}\nwritten to {folder / 'table.md'}")


def table(folder: Path, names: list[str], title: str) -> str:
    """The sweep of a folder as Markdown: last values, mean (lowest to highest) over seeds."""
    rows: dict[tuple[str, ...], list[dict[str, float]]] = {}
    failed, card = 0, {}
    for job in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not (job / "metrics.json").exists():
            failed += 1
            continue
        config = OmegaConf.load(job / "config.yaml")
        report = json.loads((job / "metrics.json").read_text())
        card = report["last"]["card"]
        row = tuple(str(OmegaConf.select(config, name)) for name in names)
        rows.setdefault(row, []).append({**report["last"]["values"], "minutes": report["last"]["minutes"]})
    lines = [f"# {title}", "", protocol(card, failed), ""]
    values = list(next(iter(rows.values()))[0]) if rows else []
    lines += [f"| {' | '.join([*names, 'seeds', *values])} |", "|---" * (len(names) + 1 + len(values)) + "|"]
    for row, runs in sorted(rows.items()):
        cells = [spread([run[value] for run in runs]) for value in values]
        lines.append(f"| {' | '.join([*row, str(len(runs)), *cells])} |")
    return "\n".join([*lines, ""])


def protocol(card: dict[str, Any], failed: int) -> str:
    """What the figures are, from one run's card, and how many jobs ended without any."""
    kept = {name: value for name, value in card.items() if name not in ("seed", "seconds")}
    missing = f" {failed} jobs failed and are left out." if failed else ""
    said = ", ".join(f"{name} {value}" for name, value in kept.items())
    return f"Last step, mean (lowest to highest) over seeds; {said}.{missing}"


def spread(values: list[float]) -> str:
    """Mean (lowest to highest), shorter where they are one."""
    mean, low, high = (f"{value:.3g}" for value in (statistics.mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"

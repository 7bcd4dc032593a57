"""Run folders written by hand, as train.py leaves them."""

import json
import math
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from zerosum.report.grouping import group_by_setting
from zerosum.report.measured_runs import read_runs

PROTOCOL = {"protocol": "fid10k_test", "n_fake": 10_000, "features_hash": "abc", "weights": "ema"}
CODE = {"git": "1234567", "versions": {"torch": "2.15", "numpy": "2.1"}}
R1 = {"r1": {"_target_": "zerosum.gan.regularizers.R1", "weight": 1.0}}
R2 = {"r2": {"_target_": "zerosum.gan.regularizers.R2", "weight": 1.0}}


def fake_run(
    folder: Path,
    loss: str = "Hinge",
    seed: int = 0,
    fids: tuple[float | None, ...] = (100.0, 4.0),
    protocol: dict[str, Any] | None = None,
    run: dict[str, Any] | None = None,
    code: dict[str, Any] | None = None,
    floor: float | None = 1.0,
    regularizer: dict[str, Any] | None = None,
    typed: tuple[str, ...] | None = None,
    choices: dict[str, Any] | None = None,
    name: str | None = None,
    **keys: Any,
) -> Path:
    """A run measured every 1,000 images and 2 minutes; `typed` on the command line, or trained from Python if None."""
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "loss": {"_target_": f"zerosum.gan.losses.{loss}"},
        "regularizer": regularizer or {},
        "callbacks": {"samples": {"folder": str(folder), "title": name or folder.name}},
        "logger": {"csv": {"folder": str(folder)}},
        "dataset": {"root": str(folder.parent / f"data{seed}")},
        "run": {"images": 1000 * (len(fids) - 1), "name": name or folder.name, "folder": str(folder)},
        "seed": seed,
        "resume": None,
        "data": {"sample_shape": [1, 8, 8], "num_classes": None},
        "command": {} if typed is None else {"overrides": list(typed), "choices": choices or {}},
    }
    for key, value in keys.items():
        OmegaConf.update(node := OmegaConf.create(config), key.replace("__", "."), value)
        config = OmegaConf.to_container(node)  # type: ignore[assignment]
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(config)), encoding="utf-8")
    history = [
        {
            "values": {"kid": 0.5} if fid is None else {"fid": fid},
            "card": {
                "protocol": PROTOCOL | (protocol or {}),
                "run": {"images": 1000 * step, "seed": seed, "seconds": seed / 3} | (run or {}),
                "code": CODE | (code or {}),
            },
            "minutes": 2.0 * step,
        }
        for step, fid in enumerate(fids)
    ]
    best = min(history, key=lambda entry: entry["values"].get("fid", math.inf))
    report = {"best": best, "last": history[-1], "floor": floor and {"fid": floor}, "history": history}
    (folder / "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def table_rows(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")][2:]


def row_names(*folders: Path) -> list[str]:
    """The names of the settings found in these folders."""
    return [setting.name for setting in group_by_setting(read_runs(folders)[0])[0]]

"""A run's figures again, from its checkpoint, by its own protocol or another."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zerosum import experiment
from zerosum.callbacks.evaluate import carded, described
from zerosum.errors import UserError
from zerosum.evaluation import EvaluationProtocol
from zerosum.evaluation.pairs import nearest_pairs
from zerosum.evaluation.pictures import PictureProtocol
from zerosum.files import saved_whole
from zerosum.gan import GAN
from zerosum.pictures import save_png
from zerosum.quiet import hush


def write(
    run: Path,
    checkpoint: str,
    weights: str = "ema",
    choices: Mapping[str, Any] | None = None,
    root: str | None = None,
    trusted: str | Sequence[str] = (),
) -> str:
    """Measure a checkpoint, into evaluation_<checkpoint>.json in its run's folder; returns the values and their card.

    `choices` are nodes of the config (protocol, features, metrics) that take the place of the run's own.
    """
    hush()
    if checkpoint not in ("best", "last", "previous") or weights not in ("ema", "raw"):
        raise UserError(
            f"checkpoint={checkpoint} weights={weights}: checkpoint is best, last or previous, weights ema or raw"
        )
    gan = experiment.load(run, checkpoint, weights, trusted)
    protocol = experiment.load_protocol(run, choices, root, trusted)
    base = run / f"evaluation_{checkpoint}{'_raw' if weights == 'raw' else ''}"
    written = [base.with_suffix(".json")]

    def measure() -> dict[str, float]:
        if isinstance(protocol, PictureProtocol) and "memorization" in protocol.metrics:
            written.append(base.with_name(f"{base.name}_nearest.png"))
            return measured_and_drawn(protocol, gan, written[-1])
        return protocol.measure(gan)

    measured = {**carded(protocol, gan, measure, weights), "floor": protocol.floor()}
    measured["card"]["checkpoint"] = checkpoint
    saved_whole(written[0], lambda partial: partial.write_text(json.dumps(measured, indent=1)))
    return "\n".join([table(protocol, measured), f"written to {' and '.join(map(str, written))}"])


def measured_and_drawn(protocol: PictureProtocol, gan: GAN, path: Path) -> dict[str, float]:
    """The values, and a picture of the samples that are nearest to training pictures."""
    fake = protocol.sampled(gan)
    values = protocol.values(fake, protocol.metrics)
    save_png(nearest_pairs(protocol, gan, fake), path)
    return values


def table(protocol: EvaluationProtocol, measured: dict[str, Any]) -> str:
    """Values beside their floors, then the card."""
    floor = measured["floor"] or {}
    width = max(map(len, [*measured["values"], *measured["card"]]))
    lines = [f"{'':{width}}  {'value':>10}  {'floor':>10}"] if floor else [described(measured["values"])]
    if floor:
        cells = {name: f"{floor[name]:10.4g}" if name in floor else "" for name in measured["values"]}
        lines += [f"{name:{width}}  {value:10.4g}  {cells[name]}" for name, value in measured["values"].items()]
    lines += [f"  {name:{width}}  {said(value)}" for name, value in measured["card"].items()]
    return "\n".join(lines)


def said(value: Any) -> str:
    """A card's entry on one line."""
    return ", ".join(f"{name} {inner}" for name, inner in value.items()) if isinstance(value, dict) else str(value)

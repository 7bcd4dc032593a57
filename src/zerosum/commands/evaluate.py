"""Measure a trained model again: zerosum evaluate run=outputs/<run>"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.evaluation.measurement import Measurement, measure, with_arrow
from zerosum.experiment.compose import CONF
from zerosum.files import save_whole
from zerosum.runs.asked import check_exists, check_weights_asked
from zerosum.training.power_functions import name_of

CONFIG_NAME = "evaluate"


@command
@hydra.main(version_base="1.3", config_path=str(CONF), config_name=CONFIG_NAME)
def main(config: DictConfig) -> None:
    """Print the values and write them, with their card, beside the checkpoint."""
    parts = {name: config.get(name) for name in ("protocol", "features", "metrics")}
    choices = {name: node and OmegaConf.to_container(node, resolve=False) for name, node in parts.items()}
    with errors_as_sentences(CONFIG_NAME):
        where = Path(config.run), config.checkpoint, config.weights
        print(evaluate(*where, choices, config.dataset.root, config.trusted, config.ema))


def evaluate(
    run: Path,
    checkpoint: str,
    weights: str = "ema",
    choices: Mapping[str, Any] | None = None,
    root: str | None = None,
    trusted: str | Sequence[str] = (),
    ema: float | None = None,
) -> str:
    """Write evaluation_<checkpoint>.json into the run's folder and return the values with their card as text.

    `choices` are nodes of the config (protocol, features, metrics) that replace the run's own; `ema` is the width of a
    power-function average to measure.
    """
    check_exists(run)
    check_weights_asked(checkpoint, weights, ema)
    from zerosum.runs.load import load, load_protocol
    from zerosum.training.process import silence_libraries

    silence_libraries()
    module = load(run, checkpoint, weights, trusted, ema)
    protocol = load_protocol(run, choices, root, trusted)
    name = f"evaluation_{checkpoint}{'_raw' if weights == 'raw' else ''}{'' if ema is None else f'_ema{ema:g}'}"
    written = [run / f"{name}.json"]

    def compute() -> dict[str, float]:
        if "memorization" in getattr(protocol, "measured", {}):
            written.append(run / f"{name}_nearest.png")
            return measure_and_draw(protocol, module, written[-1])
        return protocol.measure(module)

    floor = protocol.floor()
    named = weights if ema is None else name_of(ema)
    measurement = measure(protocol, module, compute, named, {"checkpoint": checkpoint, **module.facts()})
    content = json.dumps({**measurement.to_dict(), "floor": floor}, indent=1)
    save_whole(written[0], lambda partial: partial.write_text(content, encoding="utf-8"))
    return "\n".join([format_measurement(measurement, floor), f"written to {' and '.join(map(str, written))}"])


def measure_and_draw(protocol: Any, module: Any, path: Path) -> dict[str, float]:
    """The values, and a picture of the samples that are nearest to training images."""
    from zerosum.drawing.grid import save_png
    from zerosum.evaluation.nearest_pairs import draw_nearest_pairs

    values = protocol.measure(module)
    save_png(draw_nearest_pairs(protocol, module, protocol.last_fake), path)
    return values


def format_measurement(measurement: Measurement, floor: Mapping[str, float] | None) -> str:
    """Values beside their floors, ↓ where lower is better and ↑ where higher is, then the card."""
    card = {**measurement.card.protocol, **measurement.card.run, **measurement.card.code}
    better, floor = card.pop("better", {}), floor or {}
    width = 2 + max(map(len, [*measurement.values, *card]))
    lines = [f"{'':{width}}  {'value':>10}{'  ' + 'floor'.rjust(10) if floor else ''}"]
    for name, value in measurement.values.items():
        cell = f"  {floor[name]:10.4g}" if name in floor else ""
        lines.append(f"{with_arrow(name, better):{width}}  {value:10.4g}{cell}")
    return "\n".join([*lines, *(f"  {name:{width}}  {format_field(value)}" for name, value in card.items())])


def format_field(value: Any) -> str:
    """A field of a card on one line."""
    return ", ".join(f"{name} {inner}" for name, inner in value.items()) if isinstance(value, dict) else str(value)


if __name__ == "__main__":
    main()

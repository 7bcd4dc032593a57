"""The model card of an exported generator, in Markdown: data, figures beside their floor, use and limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerosum.errors import printable
from zerosum.evaluation.measurement import LARGEST_FILE, Measurement, check_values, read_record, with_arrow
from zerosum.runs.exported import WEIGHTS, ExportedModel

GRID = "samples.png"
FILES = {"onnx": "generator.onnx", "torch_export": "generator.pt2"}
"""Of each further format"""
UNKNOWN = "not known to zerosum: say it by data_license=... before this folder is shared"


@dataclass(frozen=True)
class Figures:
    """A measurement of the exported weights, and the floor of its values."""

    measurement: Measurement
    floor: Mapping[str, float]


def read_figures(run: Path, checkpoint: str, weights: str) -> Figures | None:
    """The values of these weights that evaluate.py wrote last, else those of training; None if there are none."""
    marks = {"ema": "", "raw": "_raw"}
    name = f"evaluation_{checkpoint}{marks.get(weights, '_' + weights)}.json"
    try:
        if (run / name).is_file():
            node = read_json(run / name)
            return Figures(Measurement.from_dict(node), check_values(node["floor"] or {}))
        record = read_record(run / "metrics.json")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    measurement = {"best": record.best, "last": record.last}.get(checkpoint)
    if measurement is None or measurement.protocol.get("weights") != weights:
        return None
    return Figures(measurement, record.floor or {})


def read_json(path: Path) -> Any:
    """A file of evaluate.py; ValueError if it is too large to be one."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Origin:
    """Where a generator comes from: its data, its training, its figures, and what its owner says of licences."""

    dataset: str
    data_license: str | None
    license: str | None
    command: str | None
    """That trained it"""
    parts: Mapping[str, str]
    """Loss, regularizers and the like by name"""
    figures: Figures | None
    measure: str
    """The command that measures it"""


def write_card(model: ExportedModel, origin: Origin, formats: list[str]) -> str:
    """The whole card."""
    sections = [
        front_matter(origin),
        f"# {safe(model.name)}\n\n{summarize(model, origin)}\n\n![Samples]({GRID})",
        f"## Use\n\n{show_use(model, formats)}",
        f"## Data\n\n{show_data(model, origin)}",
        f"## Training\n\n{show_training(model, origin)}",
        f"## Figures\n\n{show_figures(origin)}",
        f"## Intended use and limits\n\n{show_limits(model, origin)}",
    ]
    return "\n\n".join(sections) + "\n"


def front_matter(origin: Origin) -> str:
    """The YAML head that the Hugging Face Hub reads."""
    licence = [f"license: {json.dumps(origin.license)}"] if origin.license else []
    return "\n".join(["---", *licence, "library_name: zerosum", "tags: [gan, image-generation]", "---"])


def summarize(model: ExportedModel, origin: Origin) -> str:
    """What it is, in two sentences."""
    size = " x ".join(map(str, model.shape.sample_shape))
    numbers = sum(parameter.numel() for parameter in model.network.parameters())
    network = type(model.network).__module__.rpartition(".")[2]
    asked = "" if model.conditions is None else f", asked for by {describe_condition(model)}"
    return (
        f"A generator ({network}, {numbers:,} parameters) of {size} samples of {safe(origin.dataset)}{asked}. It was"
        f" trained by zerosum on {model.images_seen:,} images; the weights are {describe_weights(model.weights)}."
    )


def describe_condition(model: ExportedModel) -> str:
    """What it is asked for, in words."""
    if model.shape.num_attributes is not None:
        return f"{model.shape.num_attributes} attributes"
    if model.num_classes is None:
        return "codes that it found by itself"
    names = "" if model.classes is None else f" ({', '.join(map(safe, model.classes[:20]))})"
    return f"a label from 0 to {model.num_classes - 1}{names}"


def describe_weights(weights: str) -> str:
    """Which weights they are, in words."""
    known = {"ema": "their moving average", "raw": "those of the last step"}
    return known.get(weights, f"the power-function average {safe(weights)}")


def show_use(model: ExportedModel, formats: list[str]) -> str:
    """Lines that load it, for each format that is there."""
    label = "" if model.num_classes is None else ", labels=0"
    parts = ["```python", "import zerosum", "", 'model = zerosum.load("this_folder")  # or its .safetensors file']
    parts += [f"model.sample(seeds=range(16){label})", "```", ""]
    parts += [
        f"`{WEIGHTS}` has the weights, and the config of `config.json` in its header. Opening either runs no code."
    ]
    if "torch_export" in formats:
        parts += ["", "With torch alone:", *show_torch_export(model)]
    if "onnx" in formats:
        parts += ["", "With onnxruntime and NumPy alone:", *show_onnx(model)]
    if has_noise(model) and formats:
        parts += ["", "Further inputs are maps of noise, one for each layer; ONNX has those of the run as defaults."]
    return "\n".join(parts)


def show_torch_export(model: ExportedModel) -> list[str]:
    """Lines that load generator.pt2."""
    inputs = ["z"] + ([] if model.conditions is None else ["condition"])
    lines = ["```python", "import torch", "", f'program = torch.export.load("{FILES["torch_export"]}")']
    lines += [f"z = torch.randn(7, {model.latent_dim})"]
    if model.conditions is not None:
        shape, dtype = shape_of_condition(model)
        lines += [f"condition = torch.zeros({shape}, dtype=torch.{dtype})"]
    noise = [f"*program.example_inputs[0][{len(inputs)}:]"] if has_noise(model) else []
    return [*lines, f"images = program.module()({', '.join([*inputs, *noise])})", "```"]


def show_onnx(model: ExportedModel) -> list[str]:
    """Lines that load generator.onnx."""
    lines = ["```python", "import numpy, onnxruntime", ""]
    quiet = ""
    if has_noise(model):
        lines += ["options = onnxruntime.SessionOptions()"]
        lines += ["options.log_severity_level = 3  # it would warn that the maps of noise may be given, as they may"]
        quiet = ", options"
    lines += [f'session = onnxruntime.InferenceSession("{FILES["onnx"]}"{quiet})']
    feed = f'"z": numpy.random.randn(7, {model.latent_dim}).astype("float32")'
    if model.conditions is not None:
        shape, dtype = shape_of_condition(model)
        feed += f', "condition": numpy.zeros({shape}, "{dtype}")'
    return [*lines, f"(images,) = session.run(None, {{{feed}}})", "```"]


def shape_of_condition(model: ExportedModel) -> tuple[str, str]:
    """Shape and type of the conditions of seven images, as Python writes them."""
    assert model.conditions is not None
    example = model.conditions.draw(range(7))
    return str(tuple(example.shape)), str(example.dtype).removeprefix("torch.")


def has_noise(model: ExportedModel) -> bool:
    """Whether its layers add noise."""
    return any(name.endswith(".noise") for name, _ in model.network.named_buffers())


def show_data(model: ExportedModel, origin: Origin) -> str:
    """Name and licence of the training data."""
    return f"- Data: {safe(origin.dataset)}\n- Licence of the data: {safe(origin.data_license or UNKNOWN)}"


def show_training(model: ExportedModel, origin: Origin) -> str:
    """Parts, budget and command."""
    rows = [f"- {name}: {safe(value)}" for name, value in origin.parts.items()]
    rows += [f"- images seen: {model.images_seen:,}"]
    command = [] if origin.command is None else ["", f"    {printable(origin.command)}"]
    return "\n".join([*rows, *command])


def show_figures(origin: Origin) -> str:
    """Values beside their floors, and the protocol that decides what they may be compared with."""
    if origin.figures is None:
        return f"These weights were not measured. Export again after\n\n    {printable(origin.measure)}"
    measurement, floor = origin.figures.measurement, origin.figures.floor
    better = measurement.card.run.get("better") or {}
    rows = ["| value | samples | floor: real images |", "|---|---:|---:|"]
    for name, value in measurement.values.items():
        below = f"{floor[name]:.4g}" if name in floor else ""
        rows.append(f"| {safe(with_arrow(name, better))} | {value:.4g} | {below} |")
    facts = ", ".join(f"{name} {value}" for name, value in measurement.protocol.items())
    chosen = measurement.card.run.get("selection")
    after = f" The checkpoint was {safe(str(chosen))}." if chosen else ""
    return "\n".join([*rows, "", f"Protocol: {safe(facts)}.{after} Values of other protocols are not comparable."])


def show_limits(model: ExportedModel, origin: Origin) -> str:
    """What it may be used for, and what is not known of it."""
    lines = [
        "- For research and teaching on generative models, and for pictures of no consequence.",
        f"- It makes {' x '.join(map(str, model.shape.sample_shape))} samples like those of"
        f" {safe(origin.dataset)}, with its gaps and biases, and nothing else.",
        "- Samples may resemble training images; `python explore.py run=... neighbours` looks for copies.",
        "- Figures of a few thousand samples do not show rare failures.",
        "- Not for decisions about people, nor as evidence of anything.",
    ]
    licence = origin.license or "not stated: say it by license=... before this folder is shared"
    return "\n".join([*lines, f"- Licence of the weights: {safe(licence)}"])


def safe(text: str) -> str:
    """Text, perhaps a stranger's, on one line, in which Markdown finds no markup."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|!#" else character for character in printable(text))

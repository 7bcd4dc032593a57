"""Share a trained generator: zerosum export run=outputs/<run> format=onnx license=mit"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.compose import CONF
from zerosum.files import save_whole
from zerosum.runs.asked import check_exists, check_places, check_weights_asked

CONFIG_NAME = "export"
FORMATS = ("safetensors", "onnx", "torch_export")
"""The first is written always"""


@command
@hydra.main(version_base="1.3", config_path=str(CONF), config_name=CONFIG_NAME)
def main(config: DictConfig) -> None:
    """Write the folder and say what is in it."""
    with errors_as_sentences(CONFIG_NAME):
        licences = {name: config[name] for name in ("license", "data_license")}
        weights = config.checkpoint, config.weights, config.ema
        formats = [config.format] if isinstance(config.format, str) else list(config.format)
        print(export(Path(config.run), formats, *weights, licences, config.output, config.trusted))


def export(
    run: Path,
    formats: Sequence[str] = (),
    checkpoint: str = "best",
    weights: str = "ema",
    ema: float | None = None,
    licences: Mapping[str, str | None] | None = None,
    output: str | None = None,
    trusted: str | Sequence[str] = (),
) -> str:
    """Write weights, config, card and a picture of samples into a folder, and return a sentence that says where."""
    check_exists(run)
    check_weights_asked(checkpoint, weights, ema)
    check_options(formats, licences or {})
    check_places(output=output, trusted=trusted)
    from zerosum.export import card
    from zerosum.gan.gan import GAN
    from zerosum.runs import exported
    from zerosum.runs.load import load, saved_config
    from zerosum.training.process import silence_libraries

    silence_libraries()
    module, config = load(run, checkpoint, weights, trusted, ema), saved_config(run, trusted)
    if not isinstance(module, GAN):
        raise UserError(f"{run} has a {type(module).__name__}, which has no generator from z to export: load the run")
    folder = Path(output) if output else run / "export"
    chosen = weights if ema is None else f"ema{ema:g}"
    dataset = find_dataset(run, trusted)
    name = run.resolve().name
    exported.save(module, exported.describe(module, config, name, chosen, getattr(dataset, "classes", None)), folder)
    model = exported.read(folder, trusted)  # as those who get it do
    formats = [name for name in card.FILES if name in formats]
    save_graphs(model, formats, folder)
    save_samples(model, dataset, folder / card.GRID)
    origin = card.Origin(
        dataset=getattr(dataset, "name", type(dataset).__name__),
        data_license=(licences or {}).get("data_license") or getattr(dataset, "licence", None),
        license=(licences or {}).get("license"),
        command=describe_command(config),
        parts=describe_parts(config),
        figures=card.read_figures(run, checkpoint, chosen),
        measure=describe_measuring(checkpoint, weights, ema),
    )
    text = card.write_card(model, origin, formats)
    save_whole(folder / "README.md", lambda partial: partial.write_text(text, encoding="utf-8"))
    files = [exported.WEIGHTS, exported.CONFIG, "README.md", *(card.FILES[each] for each in formats)]
    return f"{name} at {module.images_seen:,} images, {chosen}: {folder} with {', '.join(files)}"


def check_options(formats: Sequence[str], licences: Mapping[str, Any]) -> None:
    """UserError at an option that is none, before torch is imported."""
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"format={name}: choose one of {', '.join(FORMATS)}.{did_you_mean(str(name), FORMATS)}")
    for name, licence in licences.items():
        if not (licence is None or isinstance(licence, str)):
            raise UserError(f"{name}={licence}: name a licence, such as mit")


def find_dataset(run: Path, trusted: str | Sequence[str]) -> Any:
    """The dataset of a run, which is not read; None if it cannot be built without its files."""
    from zerosum.runs.load import load_dataset

    try:
        return load_dataset(run, trusted)
    except UserError:
        return None


def save_graphs(model: Any, formats: Sequence[str], folder: Path) -> None:
    """Write the files of further formats, and remove those of an earlier export, whose weights may be others."""
    from zerosum.export import card, graph

    writers = {"onnx": graph.save_onnx, "torch_export": graph.save_torch_export}
    for name, write in writers.items():
        (folder / card.FILES[name]).unlink(missing_ok=True)
        if name in formats:
            write(model, folder / card.FILES[name])


def save_samples(model: Any, dataset: Any, path: Path) -> None:
    """Draw samples: of a conditional model a column for each condition, of points over their density."""
    import torch

    from zerosum import sampling
    from zerosum.drawing.grid import add_heading, grid, save_png

    is_image = len(model.shape.sample_shape) == 3
    if not is_image and dataset is None:
        return
    seeds, condition, columns, names = sampling.arrange(model, 64 if is_image else dataset.samples_to_draw)
    samples = torch.cat([part.float().cpu() for part in sampling.images(model, seeds, condition)])
    picture = grid(samples, columns) if is_image else dataset.draw(samples, columns)
    save_png(add_heading(picture, names) if names and is_image else picture, path)


def describe_command(config: Mapping[str, Any]) -> str | None:
    """The command that trained a run, without the folders of a machine."""
    import shlex

    words = (config.get("command") or {}).get("overrides")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return None
    places = ("dataset.root=", "dataset.path=", "hydra.", "run.folder=")
    return shlex.join(["python", "train.py", *(word for word in words if not word.startswith(places))])


def describe_measuring(checkpoint: str, weights: str, ema: float | None) -> str:
    """The command that measures these weights, without the folders of a machine."""
    command = f"python evaluate.py run=outputs/<run> checkpoint={checkpoint}"
    if ema is not None:
        return f"{command} ema={ema:g}"
    return command if weights == "ema" else f"{command} weights={weights}"


def describe_parts(config: Mapping[str, Any]) -> dict[str, str]:
    """Network, loss, regularizers, labels and seed of a run by name."""

    def name(node: Any) -> str:
        return str(node.get("_target_", "")).rpartition(".")[2]

    terms = [f"{key} ({name(node)})" for key, node in config["regularizer"].items()]
    found = {
        "network": config["model"]["generator"]["_target_"],
        "loss": name(config["loss"]),
        "regularizers": ", ".join(terms) or "none",
        "labels": str((config["labels"] or {}).get("use", "none")),
        "seed": str(config["seed"]),
    }
    return {key: str(value) for key, value in found.items()}


if __name__ == "__main__":
    main()

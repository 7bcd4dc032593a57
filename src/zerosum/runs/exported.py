"""A generator as a file to share: safetensors with a JSON config, which runs no code of whoever wrote it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes
from torch import Tensor, nn

from zerosum.data.dataset import DataShape
from zerosum.errors import UserError, one_line
from zerosum.experiment.build import build_generator, make
from zerosum.experiment.schema import check
from zerosum.files import save_whole
from zerosum.gan.gan import GAN
from zerosum.gan.labels.conditions import Conditions, LabelConditions
from zerosum.gan.labels.use import Labels
from zerosum.runs.checkpoints import first_difference
from zerosum.runs.folder import LARGEST_CONFIG
from zerosum.runs.load import device, saved_shape
from zerosum.runs.trust import check_trusted
from zerosum.sampling import latents

FORMAT = "zerosum generator 1"
CONFIG, WEIGHTS = "config.json", "generator.safetensors"
KEYS = {"format", "zerosum", "name", "model", "labels", "data", "classes", "images_seen", "weights"}
MOST_CLASSES = 2**16
Found = TypeVar("Found")


@dataclass(frozen=True)
class ExportedModel:
    """A generator with what it is asked for, without a discriminator; it can be sampled, not trained."""

    network: nn.Module
    conditions: Conditions | None
    shape: DataShape
    name: str
    images_seen: int
    weights: str
    """ema, raw, or the width of an average"""
    classes: tuple[str, ...] | None
    """Names of the labels"""

    @property
    def latent_dim(self) -> int:
        """Length of z."""
        return self.network.latent_dim  # type: ignore[return-value]

    @property
    def num_classes(self) -> int | None:
        """How many labels it can be asked for; None if it is not asked by label."""
        return self.conditions.num_classes if isinstance(self.conditions, LabelConditions) else None

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        return next(self.network.parameters()).device

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape), images in [-1, 1]; sample i depends on seed i and row i of `condition` alone."""
        if condition is None and self.conditions is not None:
            condition = self.conditions.draw(seeds)
        return self.decode(latents(seeds, self.latent_dim), condition)

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, *sample_shape) of latents (B, latent_dim)."""
        return self.network(z.to(self.device), None if condition is None else condition.to(self.device))


def is_exported(path: Path) -> bool:
    """Whether it is an exported file, or a folder with one, or with what is left of one."""
    has_part = (path / CONFIG).is_file() or (path / WEIGHTS).is_file()
    return path.suffix == ".safetensors" or (has_part and not (path / "config.yaml").exists())


def describe(
    module: GAN, config: dict[str, Any], name: str, weights: str, classes: Sequence[str] | None
) -> dict[str, Any]:
    """The JSON config: the parts of a run's config that its generator is made of, and what it is called."""
    labels = config["labels"] if module.conditions is not None else {}
    kept = {key: labels[key] for key in ("_target_", "use", "conditions", "generator") if labels.get(key)}
    return {
        "format": FORMAT,
        "zerosum": version("zerosum"),
        "name": name,
        "model": {"generator": config["model"]["generator"]},
        "labels": kept,
        "data": {
            key: config["data"].get(key) for key in ("sample_shape", "num_classes", "num_attributes", "condition_shape")
        },
        "classes": None if classes is None else list(classes),
        "images_seen": module.images_seen,
        "weights": weights,
    }


def save(module: GAN, config: dict[str, Any], folder: Path) -> None:
    """Write config.json and generator.safetensors, which has the config in its header too."""
    text = json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False)
    state = {name: value.detach().cpu().contiguous() for name, value in holder(module).state_dict().items()}
    content = as_bytes(state, {"zerosum": text})  # written here: safetensors' own file only its owner may read
    save_whole(folder / WEIGHTS, lambda partial: partial.write_bytes(content), len(content))
    save_whole(folder / CONFIG, lambda partial: partial.write_text(text + "\n", encoding="utf-8"))


def holder(model: GAN | ExportedModel) -> nn.ModuleDict:
    """Generator and conditions, whose state is what a file holds."""
    network = model.ema.network if isinstance(model, GAN) else model.network
    parts = {"generator": network, "conditions": model.conditions}
    return nn.ModuleDict({name: part for name, part in parts.items() if part is not None})


def read(path: Path, trusted: str | Sequence[str] = ()) -> ExportedModel:
    """Load an exported folder or file, which may be a stranger's; its config names classes of zerosum alone."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"there is no {file}: choose a folder that export.py made, or its .safetensors file")
    source = path / CONFIG if path.is_dir() else file
    if not source.is_file():
        raise UserError(f"there is no {source}: load {file}, which has the config too, or export the run again")
    config = undamaged(
        source, lambda: parse(source.read_text(encoding="utf-8") if path.is_dir() else read_header(file))
    )
    state = undamaged(file, lambda: load_file(file))
    packages = [trusted] if isinstance(trusted, str) else list(trusted)
    check_trusted({name: config[name] for name in ("model", "labels")}, packages)
    try:
        outline = build(config, source, "cpu" if packages else "meta")
        refuse_others(outline, state, file)
        model = outline if packages else build(config, source, "cpu")
    except UserError:
        raise
    except Exception as error:  # networks raise anything if they cannot be built
        raise UserError(f"{source} describes no generator ({one_line(error)}): export the run again") from error
    parts = holder(model)
    parts.load_state_dict(state)
    parts.eval().requires_grad_(False)
    model.network.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def undamaged(file: Path, read_it: Callable[[], Found]) -> Found:
    """What is read of a file; UserError, with its name, whatever the damage makes a parser raise."""
    try:
        return read_it()
    except Exception as error:
        raise UserError(f"{file} cannot be read ({one_line(error)}): it is damaged, export the run again") from error


def read_header(file: Path) -> str:
    """The config in the header of a .safetensors file."""
    with safe_open(file, "pt") as opened:
        found = (opened.metadata() or {}).get("zerosum")
    if found is None:
        raise ValueError("zerosum did not write it")
    return found


def parse(text: str) -> dict[str, Any]:
    """The config; ValueError unless it has every key, in its type, and refers to nothing else."""
    if len(text) > LARGEST_CONFIG:
        raise ValueError(f"a config has no more than {LARGEST_CONFIG:,} characters")
    config = json.loads(text)
    if "${" in json.dumps(config, ensure_ascii=False):  # Hydra would read the reader's environment
        raise ValueError("it refers to something else, and the config of an exported model does not")
    if not isinstance(config, dict) or config.get("format") != FORMAT or config.keys() != KEYS:
        raise ValueError(f"it is no '{FORMAT}'")
    types = {"model": dict, "labels": dict, "data": dict, "name": str, "weights": str, "images_seen": int}
    for key, kind in types.items():
        if type(config[key]) is not kind:
            raise ValueError(f"{key} is no {kind.__name__}")
    generator, classes = config["model"].get("generator"), config["classes"]
    if config["model"].keys() != {"generator"} or not isinstance(generator, dict) or "_target_" not in generator:
        raise ValueError("model has something else than a generator")
    if not 0 <= config["images_seen"] < 2**63:
        raise ValueError("images_seen is no number of images")
    names = isinstance(classes, list) and len(classes) <= MOST_CLASSES and all(type(name) is str for name in classes)
    if classes is not None and not names:
        raise ValueError("classes are no names")
    if classes is not None and len(classes) != config["data"].get("num_classes"):
        raise ValueError("classes are not as many as data.num_classes")
    return config


def build(config: dict[str, Any], source: Path, place: str) -> ExportedModel:
    """The model of the config of a file, on the device `place`; its weights are random yet."""
    checked = check({name: config[name] for name in ("model", "labels")})
    shape = saved_shape(config, source)
    with torch.random.fork_rng(devices=[]), torch.device(place):
        labels: Labels = make(checked["labels"]) if checked["labels"] else Labels("none")
        conditions = None if labels.conditions is None else labels.conditions(shape)
        network = build_generator(checked["model"]["generator"], labels, conditions, shape.sample_shape)
    classes = None if config["classes"] is None else tuple(config["classes"])
    facts = (config["name"], config["images_seen"], config["weights"], classes)
    return ExportedModel(network, conditions, shape, *facts)


def refuse_others(outline: ExportedModel, state: dict[str, Tensor], file: Path) -> None:
    """UserError unless the file has exactly the weights of this generator, all finite."""
    if difference := first_difference(holder(outline).state_dict(), state, None):
        raise UserError(f"{file} holds another generator than its config describes: {difference}")
    for name, value in state.items():
        if not value.isfinite().all():
            raise UserError(f"{file} holds NaN or infinite values ({name}): export another checkpoint")


def refuse_choice(model: ExportedModel, path: Path, checkpoint: str, weights: str, ema: float | None) -> None:
    """UserError where an exported model is asked for weights that it does not have."""
    if checkpoint != "best" or ema is not None or (weights != "ema" and weights != model.weights):
        raise UserError(
            f"{path} is an exported model, which has one set of weights, {model.weights}: leave checkpoint, weights and"
            " ema out, or load the run that it was made of"
        )

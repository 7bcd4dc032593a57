"""Opens a run folder: its model, dataset and protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zerosum.data.dataset import Dataset, DataShape
from zerosum.errors import UserError, one_line
from zerosum.evaluation.protocol import EvaluationProtocol
from zerosum.experiment.build import build_module, make
from zerosum.experiment.settings import validate
from zerosum.runs.averages import list_snapshots, load_average
from zerosum.runs.checkpoints import TRUE_PRECISIONS, check_weights, read_checkpoint
from zerosum.runs.folder import read_config
from zerosum.runs.trust import check_trusted, refuse_root
from zerosum.training.module import GenerativeModule
from zerosum.training.power_functions import check_choice


def saved_config(run: Path, trusted: str | Sequence[str] = ()) -> dict[str, Any]:
    """Read the config of a run folder; it may name classes of zerosum and of `trusted` packages alone."""
    return check_trusted(read_config(run), [trusted] if isinstance(trusted, str) else list(trusted))


def load(
    run: str | Path,
    checkpoint: str = "best",
    weights: str = "ema",
    trusted: str | Sequence[str] = (),
    ema: float | None = None,
) -> GenerativeModule:
    """Load the model of a run folder from best.ckpt or last.ckpt, ready to sample from.

    `weights` is ema, the moving average, or raw, the weights of the last step; `trusted` names packages, besides
    zerosum, whose classes the run's config may name. `ema` is the relative width of a power-function average that is
    made from the run's snapshots, at the latest of them that the checkpoint has seen.
    """
    check_choice(weights, ema)
    config = validate(saved_config(Path(run), trusted))
    snapshots = None if ema is None else list_snapshots(Path(run))
    path = Path(run) / f"{checkpoint}.ckpt"
    module = rebuild(config, read_checkpoint(path), path, trusted)
    if weights == "raw":
        module.load_raw_weights()
    if ema is not None and snapshots is not None:
        dtype = TRUE_PRECISIONS.get(str(config["trainer"].get("precision")))
        module.images_seen = load_average(snapshots, ema, module.ema.network, module.images_seen, dtype)
    return module.eval().to(device())


def rebuild(
    config: dict[str, Any], stored: dict[str, Any], path: Path, trusted: str | Sequence[str] = ()
) -> GenerativeModule:
    """Build the model of a config with the weights of a checkpoint, bit for bit.

    zerosum's own models are built on the meta device first, to be compared with the checkpoint without memory.
    """
    try:
        shape = saved_shape(config, path.parent / "config.yaml")
        with torch.device("cpu" if trusted else "meta"):
            outline = build_module(config, shape)
        check_weights(outline, stored, path, config["trainer"].get("precision"))
        module = outline if trusted else build_module(config, shape)
        module.load_state_dict(stored["state_dict"])
    except UserError:
        raise
    except Exception as error:  # networks raise anything if they cannot be built
        raise UserError(
            f"{path.parent / 'config.yaml'} describes no model ({one_line(error)}): choose another run"
        ) from error
    module.on_load_checkpoint(stored)
    return module


def saved_shape(config: dict[str, Any], file: Path) -> DataShape:
    """The shape of the data, which the file with the config has so that the model can be opened without them."""
    shape = config["data"].get("sample_shape")
    if not isinstance(shape, list) or not shape or not all(is_size(size) for size in shape):
        raise UserError(f"{file} has no data.sample_shape: choose a run that a training made, or export it again")
    counts = [config["data"].get(name) for name in ("num_classes", "num_attributes", "levels")]
    if not all(count is None or is_size(count) for count in counts):
        raise UserError(f"{file} has no data.num_classes: choose a run that a training made, or export it again")
    given = config["data"].get("condition_shape")
    if given is not None and not (isinstance(given, list) and len(given) == 3 and all(map(is_size, given))):
        raise UserError(f"{file} has a damaged data.condition_shape: choose another run, or export it again")
    num_classes, num_attributes, levels = counts
    return DataShape(tuple(shape), num_classes, num_attributes, levels, None if given is None else tuple(given))


def is_size(value: Any) -> bool:
    """Whether it is a whole number that may be a size."""
    return type(value) is int and 0 < value <= 2**16


def device() -> torch.device:
    """The device that trained models are sampled on: CUDA if there is any."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_dataset(run: str | Path, trusted: str | Sequence[str] = ()) -> Dataset:
    """Build the dataset of a run, without reading its data."""
    return make(validate(saved_config(Path(run), trusted))["dataset"])


def load_protocol(
    run: str | Path,
    choices: Mapping[str, Any] | None = None,
    root: str | None = None,
    trusted: str | Sequence[str] = (),
) -> EvaluationProtocol:
    """Build the protocol that a run was measured by, and prepare it on the run's dataset.

    `choices` are nodes (protocol, features, metrics) that replace the run's own; `root` is the folder of its data
    and caches, if not the one that the run had.
    """
    config = validate(saved_config(Path(run), trusted))
    if root is None:
        refuse_root(config, Path(run))
    else:
        config["dataset"]["root"] = root
    chosen = {name: node for name, node in (choices or {}).items() if node}
    config.update(chosen)
    if not config.get("protocol"):
        raise UserError(f"{run} was trained without a protocol: name one, such as protocol=points10k")
    # The protocol's own copies of these were made when the run was composed.
    config["protocol"] |= {name: node for name, node in chosen.items() if name in config["protocol"]}
    typed = validate(config)
    protocol = make(typed["protocol"])
    protocol.prepare(make(typed["dataset"]), device())
    return protocol

"""From a config to objects and back: with the verbs, the only place that knows Hydra."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Callback, Trainer
from omegaconf import DictConfig, OmegaConf

from zerosum.callbacks import finished
from zerosum.callbacks.evaluate import Evaluate, described, evaluation_of
from zerosum.checkpoints import read_checkpoint, refuse_other
from zerosum.combinations import refuse_meaningless
from zerosum.data import Dataset
from zerosum.data.training import TrainingData
from zerosum.errors import UserError, one_line
from zerosum.evaluation import EvaluationProtocol
from zerosum.files import clear_partial, saved_whole
from zerosum.gan import GAN, Optimizers
from zerosum.process import prepare_process
from zerosum.quiet import hush, silence_worker
from zerosum.rollback import with_rollbacks
from zerosum.run_folder import read_config
from zerosum.settings import Game, Run, plain
from zerosum.vetting import refuse_root, vetted

log = logging.getLogger("zerosum")


@dataclass
class Experiment:
    """All that training needs, built."""

    gan: GAN
    data: TrainingData
    trainer: Trainer
    run: Run


def make(node: Any, **further: Any) -> Any:
    """Build a node; a UserError from a constructor stays one."""
    try:
        return instantiate(node, _convert_="all", **further)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise UserError(one_line(error)) from error


def build_gan(config: dict[str, Any], image_shape: tuple[int, ...]) -> GAN:
    """The players, their loss and the rules of the game."""
    rules = Game(**config["game"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        generator = make(config["model"]["generator"])(image_shape=image_shape)
        packed_shape = (rules.pack * image_shape[0], *image_shape[1:])
        discriminator = make(config["model"]["discriminator"])(image_shape=packed_shape)
    gan = GAN(
        generator,
        discriminator,
        make(config["loss"]),
        Optimizers(make(config["optimizer"]["discriminator"]), make(config["optimizer"]["generator"])),
        {name: make(node) for name, node in (config["regularizer"] or {}).items()},
        make(config["augment"]) if config["augment"] else None,
        critic_steps=rules.critic_steps,
        pack=rules.pack,
        unroll=rules.unroll,
        ema_half_life=rules.ema_half_life,
        ema_ramp_up=rules.ema_ramp_up,
        accumulate=rules.accumulate,
        clip=rules.clip,
        seed=config["seed"],
    )
    refuse_meaningless(gan, image_shape)
    return gan


def build(config: dict[str, Any]) -> Experiment:
    """Everything, from a config that `plain` has checked."""
    run, rules = Run(**config["run"]), Game(**config["game"])
    dataset = make(config["dataset"])
    data = TrainingData(dataset, rules.batch_size, rules.critic_steps, config["seed"])
    trainer = make(
        config["trainer"],
        max_steps=math.ceil(run.images / (rules.batch_size * rules.critic_steps)),
        logger=[make(node) for node in config["logger"].values()],
        callbacks=[make(node) for node in config["callbacks"].values()],
        default_root_dir=run.folder,
    )
    return Experiment(build_gan(config, dataset.image_shape), data, trainer, run)


def train(config: DictConfig | dict[str, Any], checkpoint: Path | None = None) -> Evaluate | None:
    """Train from a composed config, from the start or from a checkpoint; returns what was measured."""
    hush()
    prepare_process()
    typed = plain(config)
    rules, last = Game(**typed["game"]), Path(typed["run"]["folder"]) / "last.ckpt"
    if rules.on_nan == "stop":
        return attempt(typed, checkpoint)
    return with_rollbacks(lambda place, slower: attempt(typed, place, slower), checkpoint, last, rules.rollbacks)


def attempt(typed: dict[str, Any], checkpoint: Path | None, *further: Callback) -> Evaluate | None:
    """One way to the end of the budget."""
    experiment = build(typed)
    experiment.trainer.callbacks[:0] = further  # type: ignore[attr-defined]
    folder = Path(experiment.run.folder)
    if not experiment.trainer.is_global_zero:
        silence_worker()
    else:
        clear_partial(folder)
        saved_whole(folder / "config.yaml", lambda partial: partial.write_text(OmegaConf.to_yaml(typed)))
    for logger in experiment.trainer.loggers:
        logger.log_hyperparams(typed)
    started = time.perf_counter()
    experiment.trainer.fit(experiment.gan, datamodule=experiment.data, ckpt_path=checkpoint, weights_only=True)
    evaluate = evaluation_of(experiment.trainer)
    summarize(experiment, evaluate, time.perf_counter() - started)
    return evaluate


def summarize(experiment: Experiment, evaluate: Evaluate | None, seconds: float) -> None:
    """What came out, and where it is."""
    folder, gan = Path(experiment.run.folder), experiment.gan
    done = "Done" if finished(experiment.trainer) else f"Stopped; go on with: python train.py resume={folder}"
    log.info("%s: %s images in %.0f s.", done, f"{gan.images_seen:,}", seconds)
    if evaluate is not None and evaluate.best is not None:
        best, last = evaluate.best, evaluate.history[-1]
        log.info("  start  %s", described(evaluate.history[0]["values"]))
        log.info("  best   %s at %s images", described(best["values"]), f"{best['card']['images']:,}")
        log.info("  last   %s", described(last["values"]))
        if evaluate.floor is not None:
            log.info("  floor  %s (real training data in the generator's place)", described(evaluate.floor))
    for name, what in RESULTS.items():
        if (folder / name).exists():
            log.info("  %-38s %s", what, folder / name)


RESULTS = {
    "samples": "pictures over training",
    "training.gif": "film of training",
    "metrics.json": "figures, best and last, with protocol",
    "metrics.csv": "curves",
    "last.ckpt": "checkpoint",
}


def saved_config(run: Path, trusted: str | Sequence[str] = ()) -> dict[str, Any]:
    """The resolved config of a run folder, which names no classes but zerosum's and those of `trusted` packages."""
    return vetted(read_config(run), [trusted] if isinstance(trusted, str) else list(trusted))


def load(run: str | Path, checkpoint: str = "best", weights: str = "ema", trusted: str | Sequence[str] = ()) -> GAN:
    """The GAN of a run folder as best.ckpt or last.ckpt has it, ready to sample from.

    `weights` is ema, the generator's moving average, or raw, the generator of the last step in its place; `trusted`
    names packages, besides zerosum, whose classes the run may be made of.
    """
    path = Path(run) / f"{checkpoint}.ckpt"
    gan = rebuilt(plain(saved_config(Path(run), trusted)), read_checkpoint(path), path, trusted)
    if weights == "raw":
        gan.ema.network.load_state_dict(gan.generator.state_dict())
    return gan.eval().to(device())


def rebuilt(config: dict[str, Any], stored: dict[str, Any], path: Path, trusted: str | Sequence[str] = ()) -> GAN:
    """The GAN of a config with the weights of a checkpoint, bit for bit.

    zerosum's own models are compared with the checkpoint in outline, before they take any memory.
    """
    try:
        image_shape = make(config["dataset"]).image_shape
        with torch.device("cpu" if trusted else "meta"):
            outline = build_gan(config, image_shape)
        refuse_other(outline, stored, path, config["trainer"].get("precision"))
        gan = outline if trusted else build_gan(config, image_shape)
        gan.load_state_dict(stored["state_dict"])
    except UserError:
        raise
    except Exception as error:  # models raise whatever numbers they cannot be built with make them
        raise UserError(
            f"{path.parent / 'config.yaml'} describes no model ({one_line(error)}): take another"
        ) from error
    gan.on_load_checkpoint(stored)
    return gan


def device() -> torch.device:
    """Where a trained model is sampled: CUDA where there is any."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_dataset(run: str | Path, trusted: str | Sequence[str] = ()) -> Dataset:
    """The dataset of a run, nothing of it read yet."""
    return make(plain(saved_config(Path(run), trusted))["dataset"])


def load_protocol(
    run: str | Path,
    choices: Mapping[str, Any] | None = None,
    root: str | None = None,
    trusted: str | Sequence[str] = (),
) -> EvaluationProtocol:
    """The protocol that a run was measured by, prepared on its dataset.

    `choices` are nodes (protocol, features, metrics) to measure by instead of the run's own; `root` is where its data
    is and its caches are, if not where the run had them.
    """
    config = plain(saved_config(Path(run), trusted))
    if root is None:
        refuse_root(config, Path(run))
    else:
        config["dataset"]["root"] = root
    config.update({name: node for name, node in (choices or {}).items() if node})
    if "protocol" not in config:
        raise UserError(f"{run} was trained without a protocol: name one, such as protocol=modes")
    for part in ("features", "metrics"):
        if part in config["protocol"] and (choices or {}).get(part):
            config["protocol"][part] = config[part]
    typed = plain(config)
    protocol = make(typed["protocol"])
    protocol.prepare(make(typed["dataset"]), device())
    return protocol

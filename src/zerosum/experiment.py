"""From a config to objects and back: with the verbs, the only place that knows Hydra."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from zerosum.callbacks import finished
from zerosum.callbacks.evaluate import Evaluate, described, evaluation_of
from zerosum.combinations import refuse_meaningless
from zerosum.data import Dataset
from zerosum.data.training import TrainingData
from zerosum.errors import UserError
from zerosum.evaluation import EvaluationProtocol
from zerosum.files import saved_whole
from zerosum.gan import GAN, Optimizers
from zerosum.process import prepare_process
from zerosum.quiet import hush, silence_worker
from zerosum.settings import Game, Run, plain

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
        raise


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
    experiment = build(typed)
    folder = Path(experiment.run.folder)
    if not experiment.trainer.is_global_zero:
        silence_worker()
    else:
        saved_whole(folder / "config.yaml", lambda partial: partial.write_text(OmegaConf.to_yaml(typed)))
    for logger in experiment.trainer.loggers:
        logger.log_hyperparams(typed)
    started = time.perf_counter()
    experiment.trainer.fit(experiment.gan, datamodule=experiment.data, ckpt_path=checkpoint)
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


def saved_config(run: Path) -> dict[str, Any]:
    """The resolved config of a run folder, its paths those of where the folder lies now."""
    path = run / "config.yaml"
    if not path.exists():
        raise UserError(f"{run} holds no run (there is no {path}): name a folder that train.py made, in outputs/")
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(config, dict)
    return moved(config, config["run"]["folder"], str(run))


def moved(node: Any, old: str, new: str) -> Any:
    """The node with every path in `old` put into `new`."""
    if isinstance(node, dict):
        return {key: moved(value, old, new) for key, value in node.items()}
    return new if node == old else node


def load(run: str | Path, checkpoint: str = "best") -> GAN:
    """The GAN of a run folder with the weights of best.ckpt or last.ckpt, ready to sample."""
    run = Path(run)
    config = plain(saved_config(run))
    gan = build_gan(config, make(config["dataset"]).image_shape)
    path = run / f"{checkpoint}.ckpt"
    stored = read_checkpoint(path)
    try:
        gan.load_state_dict(stored["state_dict"])
    except RuntimeError as error:
        difference = str(error).splitlines()[1].strip()
        raise UserError(f"{path} holds another model than {run}/config.yaml describes: {difference}") from error
    gan.on_load_checkpoint(stored)
    return gan.eval().to(device())


def device() -> torch.device:
    """Where a trained model is sampled: CUDA where there is any."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, read without running any code from it."""
    if not path.exists():
        raise UserError(f"there is no {path}: this run has not reached its first checkpoint")
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch.load raises whatever the damage makes it
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}): it is damaged, take another checkpoint") from error


def load_dataset(run: str | Path) -> Dataset:
    """The dataset of a run, nothing of it read yet."""
    return make(plain(saved_config(Path(run)))["dataset"])


def load_protocol(run: str | Path) -> EvaluationProtocol:
    """The protocol that a run was measured by, prepared on its dataset."""
    protocol = make(plain(saved_config(Path(run)))["protocol"])
    protocol.prepare(load_dataset(run), device())
    return protocol

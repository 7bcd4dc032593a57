"""From a validated config to objects."""

import inspect
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_origin

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelSummary, ProgressBar
from torch import nn

from zerosum.data.dataset import Dataset, DataShape
from zerosum.errors import UserError, check_has, did_you_mean, is_out_of_memory, one_line
from zerosum.experiment.early_checks import check_devices, optimizer_errors
from zerosum.experiment.settings import Run, is_gan, refuse_lightnings_own
from zerosum.gan.compatibility import check_compatible, check_paired
from zerosum.gan.game import Game, check_packs
from zerosum.gan.gamma_control import GammaControl
from zerosum.gan.gan import GAN, Optimizers
from zerosum.gan.labels.conditions import Conditions, conditions_of_data
from zerosum.gan.labels.labelled import check_balanced
from zerosum.gan.labels.use import Labels
from zerosum.training.callbacks.anneal import Anneal
from zerosum.training.callbacks.evaluate import Evaluate
from zerosum.training.data_module import TrainingData, divide_batch
from zerosum.training.module import GenerativeModule
from zerosum.training.settings import TrainingSettings

FEW = 8
"""Processes that any CPU may be asked for, to try what several do"""


@dataclass(frozen=True)
class Experiment:
    """All that training needs, built."""

    module: GenerativeModule
    data: TrainingData
    trainer: Trainer
    run: Run
    training: TrainingSettings


def make(node: Any, **further: Any) -> Any:
    """Build a node; a UserError from a constructor stays one."""
    try:
        return instantiate(node, _convert_="all", **further)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError) or is_out_of_memory(error.__cause__):
            raise error.__cause__ from None  # type: ignore[misc]
        cause = error.__cause__ or error
        raise UserError(f"{node['_target_']}: {one_line(cause)}") from error


def make_each(nodes: dict[str, Any]) -> dict[str, Any]:
    """Build named entries."""
    return {name: make(node) for name, node in nodes.items()}


def build_module(config: dict[str, Any], shape: DataShape) -> GenerativeModule:
    """The model: a GAN of two networks, or the family that `model` names, built on the seed of the run."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config["seed"])
        if is_gan(config):
            return build_gan(config, shape)
        return build_family(make(config["model"]), config, shape)


def build_family(family: Any, config: dict[str, Any], shape: DataShape) -> GenerativeModule:
    """A model that is no GAN; it is told the levels of pixels if its constructor takes them."""
    options = inspect.signature(family).parameters
    further: dict[str, Any] = {"levels": shape.levels} if "levels" in options else {}
    if config["optimizer"]:
        if "optimizer" in options:
            check_number_of_optimizers(config, options["optimizer"].annotation)
        further["optimizer"] = make_optimizer(config["optimizer"])
    elif "optimizer" in options and options["optimizer"].default is inspect.Parameter.empty:
        raise UserError("optimizer is missing: choose one of conf/optimizer, which --help lists")
    training = TrainingSettings(**config["training"])
    return family(sample_shape=shape.sample_shape, training=training, seed=config["seed"], **further)


def check_number_of_optimizers(config: dict[str, Any], wanted: Any) -> None:
    """UserError where a family is annotated to take the maker of one optimizer and several are named, or reversed."""
    model, is_one = config["model"]["_target_"].rpartition(".")[2], "_target_" in config["optimizer"]
    if get_origin(wanted) is Mapping and is_one:
        raise UserError(f"optimizer: {model} needs one for each player: take optimizer=adam")
    if get_origin(wanted) is Callable and not is_one:
        raise UserError(f"optimizer: {model} has one: take optimizer=adam_single")


def make_optimizer(node: dict[str, Any]) -> Any:
    """The constructor of a family's optimizer, or the named constructors of several beside what they share."""
    several = {name: part for name, part in node.items() if isinstance(part, dict)}
    return make(node) if "_target_" in node else make_each(several)


def check_optimizers(module: GenerativeModule) -> None:
    """UserError where an optimizer refuses its options, before anything is read or trained."""
    with optimizer_errors("optimizer"):
        module.configure_optimizers()


def check_dataset(dataset: Any) -> None:
    """UserError if it is no dataset of zerosum; Datasets of torch have an adapter."""
    if hasattr(dataset, "__getitem__") and not hasattr(dataset, "stream"):
        raise UserError(
            f"dataset: {type(dataset).__name__} is a torch Dataset: set dataset._target_="
            "zerosum.data.torch_dataset.TorchDataset and name yours in dataset.train, as docs/extending.md shows"
        )
    check_has(dataset, "dataset", "sample_shape", "num_classes", "samples_to_draw", "name", "prepare", "stream", "draw")


def shape_of(dataset: Dataset) -> DataShape:
    """The part of a dataset that a model is built from."""
    further = (getattr(dataset, name, None) for name in ("num_attributes", "levels", "condition_shape"))
    return DataShape(dataset.sample_shape, dataset.num_classes, *further)


def check_trainer(trainer: dict[str, Any]) -> None:
    """UserError at options that Lightning would not heed here, or at a GPU that is not there."""
    refuse_lightnings_own(trainer)
    if trainer.get("accelerator") in ("gpu", "cuda") and not (torch.cuda.is_available() or torch.mps.is_available()):
        raise UserError("trainer.accelerator=gpu: torch finds no GPU: take trainer=auto, or trainer=cpu")
    check_devices(trainer.get("devices", 1))
    devices = trainer.get("devices", 1)
    on_cpu = trainer.get("accelerator") == "cpu" or not (torch.cuda.is_available() or torch.mps.is_available())
    if on_cpu and isinstance(devices, int) and devices > max(FEW, os.cpu_count() or 1):
        raise UserError(f"trainer.devices={devices}: this CPU has {os.cpu_count()} cores: choose no more")


def check_precision(config: dict[str, Any]) -> None:
    """UserError where a model, whose noise and images are float32, would have weights of another type."""
    precision = str(config["trainer"].get("precision"))
    if precision in ("16-true", "bf16-true", "64-true"):
        model = "a GAN" if is_gan(config) else config["model"]["_target_"].rpartition(".")[2]
        raise UserError(
            f"trainer.precision={precision}: {model} trains in 32-true, bf16-mixed or 16-mixed: take one of these"
        )


def check_objective(objectives: list[str], callbacks: list[Callback]) -> None:
    """UserError if a value that a sweeper asks for is not measured, or has no better direction."""
    better = [callback.protocol.better for callback in callbacks if isinstance(callback, Evaluate)]
    known = [name for directions in better for name in directions]
    choice = f"choose one of {', '.join(known)}" if known else "nothing is, without callbacks.evaluate"
    for objective in objectives:
        if objective not in known:
            raise UserError(f"objective={objective} is not measured: {choice}.{did_you_mean(str(objective), known)}")


def build_gan(config: dict[str, Any], shape: DataShape) -> GAN:
    """The players, their loss and the rules of the game."""
    game, training = Game(**config["game"]), TrainingSettings(**config["training"])
    check_packs(game, training)
    labels: Labels = make(config["labels"]) if config["labels"] else Labels("none")
    if labels.labelled is not None and shape.num_classes is not None:
        check_balanced(labels.labelled, shape.num_classes)
    conditions = None if labels.conditions is None else labels.conditions(shape)
    check_use(labels, conditions)
    generator, discriminator = build_networks(config["model"], labels, conditions, shape, game.pack)
    loss = make(config["loss"])
    check_has(generator, "model.generator", "latent_dim", "forward")
    check_has(loss, "loss", "paired", "zero_separates", "discriminator", "generator")
    gan = GAN(
        generator,
        discriminator,
        loss,
        Optimizers(make(config["optimizer"]["discriminator"]), make(config["optimizer"]["generator"])),
        make_each(config["regularizer"]),
        make(config["augment"]) if config["augment"] else None,
        make_each(config["generator_regularizer"]),
        game=game,
        conditions=conditions,
        label_use=labels.use,
        classifier_half_life=labels.classifier_half_life,
        training=training,
        seed=config["seed"],
    )
    check_compatible(gan, shape.sample_shape)
    return gan


def check_use(labels: Labels, conditions: Conditions | None) -> None:
    """UserError if the use of labels that cards name is not that of the parts."""
    found = "none" if conditions is None else conditions.use
    found = "trained with labels" if labels.labelled is not None else found
    if labels.use != found:
        raise UserError(f"labels.use={labels.use}: these labels are used otherwise, as '{found}': leave the option out")


def build_networks(
    model: dict[str, Any], labels: Labels, conditions: Conditions | None, shape: DataShape, pack: int
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator, each with room for the condition if labels ask for it."""
    generator = build_generator(model["generator"], labels, conditions, shape.sample_shape)
    make_discriminator = make(model["discriminator"])
    packed_shape = (pack * shape.sample_shape[0], *shape.sample_shape[1:])
    if labels.discriminator is not None:
        encode = (conditions or conditions_of_data(shape)).make_encoder(pack)
        make_discriminator = partial(labels.discriminator, make_discriminator, encode)
    return generator, make_discriminator(sample_shape=packed_shape)


def build_generator(
    node: dict[str, Any], labels: Labels, conditions: Conditions | None, sample_shape: tuple[int, ...]
) -> nn.Module:
    """The generator, with room for the condition if labels ask for it."""
    make_generator = make(node)
    needed = inspect.signature(make_generator).parameters.get("condition_shape")
    if needed and needed.default is needed.empty and labels.use != "conditioned on images":
        raise UserError(
            "model.generator makes images from a condition image: leave the option labels out, since"
            " model=image_to_image sets labels=image"
        )
    if labels.generator is not None and conditions is not None:
        make_generator = partial(labels.generator, make_generator, conditions.make_encoder())
    return make_generator(sample_shape=sample_shape)


def build(config: dict[str, Any]) -> Experiment:
    """Everything, from a config that `validate` has checked."""
    run, training = Run(**config["run"]), TrainingSettings(**config["training"])
    dataset: Dataset = make(config["dataset"])
    check_dataset(dataset)
    check_precision(config)
    # Some datasets must be opened to know their classes, which only labels need.
    unlabelled = DataShape(dataset.sample_shape, levels=getattr(dataset, "levels", None))
    module = build_module(config, shape_of(dataset) if config["labels"] else unlabelled)
    divide_batch(training.batch_size, 1, module)
    check_paired(module, dataset)
    check_optimizers(module)
    data = TrainingData(dataset, training.batch_size, module.batches_per_step, config["seed"])
    check_trainer(config["trainer"])
    callbacks = list(make_each(config["callbacks"]).values())
    objective = config["objective"] or []
    check_objective(objective if isinstance(objective, list) else [objective], callbacks)
    for callback in callbacks:
        if isinstance(callback, Anneal | GammaControl):
            callback.check(module, callbacks)
    trainer = make(
        config["trainer"],
        max_steps=math.ceil(run.images / (training.batch_size * module.batches_per_step)),
        logger=list(make_each(config["logger"]).values()),
        callbacks=callbacks,
        default_root_dir=run.folder,
        # Lightning adds its own of these where they are on, and refuses those in `callbacks` where they are off.
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in callbacks),
        enable_model_summary=any(isinstance(callback, ModelSummary) for callback in callbacks),
    )
    return Experiment(module, data, trainer, run, training)

"""The config is compared with the constructors before anything is built."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
from torch import Tensor

from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.build import build
from zerosum.experiment.early_checks import check_first, check_light_parts
from zerosum.experiment.schema import check, conform
from zerosum.experiment.settings import validate


class Widget:
    def __init__(self, size: int, rate: float = 0.1, pair: tuple[float, float] = (0.0, 0.0), name: str | None = None):
        self.arguments = size, rate, pair, name


def widget(**options):
    return {"_target_": f"{__name__}.Widget", **options}


def test_whole_numbers_become_floats_where_floats_are_expected():
    node = check(widget(size=3, rate=1, pair=[0, 0.9]), "widget")
    assert [type(value) for value in (node["size"], node["rate"], *node["pair"])] == [int, float, float, float]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1, "rte": 0.1}, r"widget\.rte: .*no such option\. Did you mean rate\?"),
        ({"size": "big"}, r"widget\.size='big': expected a whole number"),
        ({"size": True}, r"widget\.size=True: expected a whole number"),
        ({"size": 1e5}, r"widget\.size=100000\.0: expected a whole number, write 100000"),
        ({"size": 1, "rate": "fast"}, r"widget\.rate='fast': expected a number"),
        ({"size": 1, "rate": None}, r"widget\.rate=None: expected a number"),
        ({"size": 1, "pair": [1.0]}, r"widget\.pair=\[1\.0\]: expected a list of 2, each a number"),
        ({"size": 1, "name": 5}, r"widget\.name=5: expected text or null"),
        ({"rate": 0.1}, r"widget\.size is missing"),
        ({"size": "???"}, r"widget\.size is missing"),
    ],
)
def test_what_a_constructor_would_not_take_is_named(options, message):
    with pytest.raises(UserError, match=message):
        check({"widget": widget(**options)})


class Metric(Protocol):
    def __call__(self) -> float: ...


NODE = {"_target_": "zerosum.evaluation.distribution_metrics.FID"}


@pytest.mark.parametrize(
    ("annotation", "value", "result"),
    [
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (dict[str, Metric], {"fid": NODE}, {"fid": NODE}),
        (Mapping[str, Metric] | None, None, None),
        (Callable[[Tensor], Tensor], NODE, NODE),
        (Tensor, [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (tuple[float | Tensor, float | Tensor], [0, 0.9], [0.0, 0.9]),
        (tuple[int, ...], [1, 2, 3], [1, 2, 3]),
        (float | tuple[float, float], 2, 2.0),
        (int | float, 2, 2),
        (Sequence[str], ["a"], ["a"]),
        (Literal["linear", 16], 16, 16),
        (Path, "data", "data"),
        (Any, {"a": [True]}, {"a": [True]}),
        (float, float("inf"), float("inf")),
    ],
)
def test_values_become_what_the_annotation_says(annotation, value, result):
    found = conform(value, annotation, "x")
    assert found == result and type(found) is type(result)
    if isinstance(result, list | dict) and result is not NODE:
        assert [type(item) for item in found] == [type(item) for item in result]


@pytest.mark.parametrize(
    ("annotation", "value", "words"),
    [
        (dict[str, float], {"a": "x"}, "named entries, each a number"),
        (dict[str, Metric], {"fid": 3}, "named entries, each a Metric by its _target_"),
        (dict[str, Metric], [NODE], "named entries, each a Metric by its _target_"),
        (Metric, "fid", "a Metric by its _target_"),
        (Literal["constant", "linear", "cosine"], "cubic", "constant, linear or cosine"),
        (Literal["raw"] | None, "ema", "raw or null"),
        (list[int], [1, True], "a list, each item a whole number"),
        (tuple[int, ...], [1.5], "a list, each item a whole number"),
        (float | Tensor, "abc", "a number"),
        (bool | None, 1, "true or false or null"),
        (str, 5, "text"),
        (list, 5, "a list"),
    ],
)
def test_other_values_are_refused_in_plain_words(annotation, value, words):
    with pytest.raises(UserError) as refusal:
        conform(value, annotation, "x")
    assert str(refusal.value) == f"x={value!r}: expected {words}"


def test_a_partial_may_lack_what_it_will_be_called_with():
    assert check(widget(_partial_=True, rate=0.5), "widget")["rate"] == 0.5


def test_a_target_that_cannot_be_imported_is_named():
    with pytest.raises(UserError, match=r"_target_=zerosum\.gan\.losses\.Nonsat cannot be imported"):
        check({"loss": {"_target_": "zerosum.gan.losses.Nonsat"}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+modle.lr=1", "modle: there is no such option. Did you mean model"),
        ("optimizer.lr=abc", "optimizer.discriminator.lr='abc': expected a number"),
        ("+trainer.max_stepz=5", "trainer.max_stepz: .*Did you mean max_steps"),
        ("+loss.smoth=0.1", "loss.smoth: .*no such option"),
        ("training.batch_size=0", "training.batch_size=0: the smallest value is 1"),
        ("+game.k=5", "game.k: .*no such option"),
        ("run.images=0", "run.images=0: .*at least 1"),
        ("seed=-1", "seed=-1: expected a whole number"),
        ("dataset.resolution=48", "16, 32, 64 or 128"),
        ("dataset=image_folder", "dataset.path is missing"),
        ("metrics.fid=3", r"protocol.metrics=.*: expected named entries, each a Metric by its _target_"),
        ("callbacks.curves.every=0", r"callbacks\.curves\.every=0: choose 1 image or more.*~callbacks\.curves"),
        ("callbacks.evaluate.every=-5", r"callbacks\.evaluate\.every=-5: choose 1"),
        ("callbacks.checkpoint.every=0", r"callbacks\.checkpoint\.every=0: choose 1"),
        ("callbacks.guard.every=0", r"callbacks\.guard\.every=0: choose 1"),
        ("callbacks.samples.frames=0", r"callbacks\.samples\.frames=0: choose 1 to"),
        ("callbacks.samples.count=0", r"callbacks\.samples\.count=0: choose 1 to"),
    ],
)
def test_mistakes_on_the_command_line_stop_the_build(composed, override, message):
    with pytest.raises(UserError, match=message):
        build(validate(composed(override)))


def test_a_name_that_is_known_twice_is_proposed_once():
    assert did_you_mean("los", ["loss", "run", "loss"]) == " Did you mean loss?"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gamma=-1", "gamma=-1: the weight of R1 and R2"),
        ("seed=-1", "seed=-1: expected a whole number"),
        ("seed=true", "seed=True: expected a whole number"),
        ("gamma=inf", "gamma=inf: the weight of R1 and R2"),
        ("+trainer.gradient_clip_val=1", "trainer.gradient_clip_val=1 is not used: set training.clip"),
        ("training.batch_size=a", "training.batch_size='a': expected a whole number"),
        ("game.critic_steps=0", "game.critic_steps=0: the smallest value is 1"),
        ("trainer.max_epochs=5", "trainer.max_epochs=5 is not used: set run.images"),
        ("callbacks.evaluate.every=0", r"callbacks\.evaluate\.every=0: choose 1 image or more"),
        ("trainer.devices=abc", r"trainer\.devices=abc: write how many"),
        ("trainer.precision=bf8", r"trainer\.precision='bf8': expected 64, .*bf16-mixed"),
        ("+callbacks.evaluate.evry=1", r"callbacks\.evaluate\.evry: .*Did you mean every"),
        ("callbacks.samples.frames=x", r"callbacks\.samples\.frames='x': expected a whole number"),
        ("+metrics.fid.foo=1", r"metrics\.fid\.foo: .*FID has no such option"),
        ("protocol.n_fake=many", r"protocol\.n_fake='many': expected a whole number"),
        ("protocol.split=tset", r"protocol\.split='tset': expected train or test"),
        ("protocol.seed=-1", r"protocol\.seed=-1: expected a whole number, 0 or more"),
        ("features.steps=x", r"features\.steps='x': expected a whole number"),
        ("+logger.csv.mode=1", r"logger\.csv\.mode: .*no such option"),
        ("loss.smooth=x", r"loss\.smooth='x': expected"),
        ("resume_force=perhaps", "resume_force='perhaps': expected true or false"),
        (
            "optimizer=rmsprop optimizer.alpha=2",
            r"optimizer\.discriminator\.alpha=2\.0: choose 0 or more, and less than 1",
        ),
        ("optimizer=sgd optimizer.momentum=1", r"momentum=1\.0: choose 0 or more, and less than 1"),
        ("~callbacks", "callbacks: without any nothing is kept of a run"),
        ("metrics=[]", "metrics is missing: choose one of conf/metrics.*or measure nothing: ~callbacks.evaluate"),
        ("~loss", "loss is missing: choose one of conf/loss"),
        (
            "+callbacks.swa._target_=lightning.pytorch.callbacks.StochasticWeightAveraging",
            "callbacks.swa: StochasticWeightAveraging does not work with several players: training.ema_half_life",
        ),
    ],
)
def test_what_needs_no_torch_is_checked_before_it_is_imported(composed, override, message):
    with pytest.raises(UserError, match=message):
        check_first(composed(*override.split(" ")))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=-1", "optimizer.discriminator: Invalid learning rate: -1"),
        ("optimizer.betas=0.5", "optimizer.discriminator.betas=0.5: expected a list of 2, each a number"),
        ("dataset.resolution=abc", "dataset.resolution='abc': expected a whole number"),
        ("loss.smooth=x", "loss.smooth='x': expected"),
    ],
)
def test_parts_of_torch_are_checked_before_lightning_is_imported(composed, override, message):
    with pytest.raises(UserError, match=message):
        check_light_parts(composed(override))


def test_checking_light_parts_does_not_import_lightning():
    script = """
import sys, zerosum
from zerosum.experiment.early_checks import check_light_parts
check_light_parts(zerosum.compose("run.folder=x"))
print("torch" in sys.modules, {"lightning", "torchmetrics"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True set()\n", done.stderr


def test_checking_first_imports_neither_torch_nor_lightning():
    script = "import sys, zerosum.experiment.early_checks; print({'torch', 'lightning'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "set()\n"


def test_another_class_by_its_target_forgets_options_of_the_old_one_but_not_typed_ones(composed):
    target = "loss._target_=zerosum.gan.losses.Hinge"
    assert "smooth" not in validate({**composed(target), "command": {"overrides": [target]}})["loss"]
    typed = [target, "loss.smooth=0.1"]
    with pytest.raises(UserError, match=r"loss\.smooth: zerosum\.gan\.losses\.Hinge has no such option"):
        validate({**composed(*typed), "command": {"overrides": typed}})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective=fidd"], "objective=fidd is not measured: choose one of fid. Did you mean fid"),
        (["objective=fid", "~callbacks.evaluate"], "nothing is, without callbacks.evaluate"),
        (["+trainer.max_steps=5"], "trainer.max_steps=5 is not used: set run.images"),
        (["trainer.devices=0"], "lightning.Trainer: "),
        (["model.base_channels=-4"], "model.base_channels=-4: choose 1 or more"),
        (["model=mlp", "model.width=0"], "model.width=0: choose 1 or more"),
        (
            ["metrics=precision_recall", "metrics.precision_recall.k=0"],
            "metrics.precision_recall.k=0: choose 1 or more",
        ),
        (["callbacks.logits.count=0"], "callbacks.logits.count=0: choose 1 or more"),
        (["objective=1"], "objective=1 is not measured"),
        (["trainer=cpu", "trainer.devices=9999"], r"trainer\.devices=9999: this CPU has \d+ cores"),
        (["augment=instance_noise", "augment.sigma=-1"], "augment.sigma=-1.0: choose 0 or more"),
        (["callbacks=[default,anneal]", "callbacks.anneal.attribute=foo"], "anneal: foo is not a number of this model"),
        (
            ["callbacks=[default,anneal]", "callbacks.anneal.attribute=optimizers.generator.foo"],
            "anneal: optimizers.generator.foo is not a number: choose one such as optimizers.discriminator.lr",
        ),
        (["trainer=gpu"], "torch finds no GPU: take trainer=auto"),
        (["dataset._target_=torch.utils.data.TensorDataset"], "is a torch Dataset: set dataset._target_="),
        (["loss._target_=fractions.Fraction"], "loss: Fraction has no `paired`: docs/extending.md"),
    ],
)
def test_parts_that_cannot_train_are_refused_before_training(composed, overrides, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match=message):
        build(validate({**composed(*overrides), "command": {"overrides": overrides}}))


@pytest.mark.parametrize(
    ("overrides", "group", "left"),
    [
        (["experiment=mnist_100_labels", "augment=none"], "augment", None),
        (["experiment=mnist_100_labels", "augment=ada"], "augment", "zerosum.gan.augment.ADA"),
        (["recipe=stylegan2_cifar10", "regularizer=none"], "regularizer", None),
        (["recipe=stylegan2_cifar10", "regularizer=lecam"], "regularizer", "lecam"),
        (["experiment=mnist_100_labels", "labels=none"], "labels", None),
        (["recipe=ring_fgan_alpha", "loss=hinge"], "loss", "zerosum.gan.losses.Hinge"),
    ],
)
def test_what_a_preset_set_of_a_part_goes_with_the_part(overrides, group, left):
    """The same choice at the command line has no options of a preset's, and options that are typed stay."""
    from zerosum.experiment.compose import compose

    found = validate(compose(*overrides))[group]
    assert (found.get("_target_") or next(iter(found), None)) == left
    with pytest.raises(UserError, match=f"{group}.* names no class|{group}.*sides"):
        validate(compose(*overrides, f"+{group}.sides=3"))

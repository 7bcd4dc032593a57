"""Any loss with any regularizer, augmentation and remedy for collapse trains."""

import pytest
import torch
from conftest import ROOT, run_two_processes

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.process import silence_libraries

LOSSES = sorted(path.stem for path in (ROOT / "conf" / "loss").glob("*.yaml"))
REGULARIZERS = sorted(path.stem for path in (ROOT / "conf" / "regularizer").glob("*.yaml"))
AUGMENTATIONS = sorted(path.stem for path in (ROOT / "conf" / "augment").glob("*.yaml"))
QUICK = ("dataset=synthetic", "model=mlp", "model.width=16", "training.batch_size=8", "run.images=24", "trainer=cpu")

SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")] + [
    "~logger.csv"
]


AS_ONE = {
    "ada_lecam": ["augment=ada", "augment.p=0.5", "regularizer=lecam"],
    "gradient_penalty_in_parts": ["regularizer=gradient_penalty", "training.accumulate=2"],
    "dragan_noise": ["regularizer=dragan", "augment=instance_noise"],
    "labels_packed": ["labels=concat", "game.pack=2"],
    "labels_in_parts": ["labels=acgan", "training.accumulate=2"],
}
"""Trained alike by one process and by two"""
# With Adam's eps of 1e-8 the rounding of a gradient that is 0 decides the direction of a whole step.
EPS = ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"]


def trained(composed, *options):
    """A GAN after its few steps."""
    config = composed(*QUICK, *SILENT, *options)
    built = build(validate(config))
    silence_libraries()
    built.trainer.fit(built.module, datamodule=built.data)
    assert built.module.images_seen == built.run.images
    assert all(weight.isfinite().all() for weight in built.module.parameters())
    return built.module


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_every_loss_trains_with_every_regularizer(composed, loss, regularizer):
    trained(composed, f"loss={loss}", f"regularizer={regularizer}")


@pytest.mark.parametrize(
    ("labels", "options"),
    [
        ("concat", ["loss=relativistic", "regularizer=r1_r2", "augment=diffaugment", "game.pack=2"]),
        ("projection", ["loss=hinge", "regularizer=[lecam,bcr]", "augment=ada", "labels/generator=concat"]),
        ("projection", ["loss=wasserstein", "regularizer=gradient_penalty", "labels/generator=concat"]),
        ("acgan", ["loss=nonsat", "regularizer=[r1,dragan]", "game.unroll=2", "trainer.precision=bf16-mixed"]),
        ("acgan", ["loss=lsgan", "regularizer=consistency", "game.critic_steps=2", "run.images=32"]),
    ],
)
def test_labels_train_with_other_parts(composed, labels, options):
    assert trained(composed, f"labels={labels}", *options).label_use == "conditioned on labels"


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_augmentation_trains_with_a_penalty_and_in_bfloat16(composed, augment):
    trained(composed, f"augment={augment}", "regularizer=[r1,lecam]", "trainer.precision=bf16-mixed")


@pytest.mark.parametrize(
    "option", ["game.pack=2", "game.unroll=2", "model.minibatch_stddev=true", "game.critic_steps=1"]
)
@pytest.mark.parametrize("loss", ["nonsat", "relativistic", "wasserstein"])
def test_every_remedy_for_collapse_trains_with_penalties(composed, option, loss):
    trained(composed, option, f"loss={loss}", "regularizer=r1_r2", "model.minibatch_discrimination=true")


def test_regularizers_are_named_entries_that_combine(composed):
    gan = trained(composed, "regularizer=[r1,lecam,clip]", "regularizer.r1.weight=5")
    assert set(gan.regularizers) == {"r1", "lecam", "clip"} and gan.regularizers["r1"].weight == 5


def test_unrolling_works_through_spectral_norm(composed):
    trained(composed, "game.unroll=2", "model.spectral_norm=true")


def test_annealing_is_a_named_callback_and_adas_probability_is_logged(composed):
    options = ("callbacks=[default,anneal]", "callbacks.anneal.attribute=regularizers.r1.weight", "regularizer=r1")
    gan = trained(composed, *options, "augment=ada", "augment.every=1")
    assert gan.regularizers["r1"].weight == pytest.approx(1 - 16 / 24)  # the last step began at 16 of 24 images
    assert gan.curves()["augment/probability"] == pytest.approx(float(gan.augment.p))


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_draw_as_one(composed, tmp_path):
    """Every loss with every regularizer, double backward included; and what is random or averaged over the batch."""
    printed = run_two_processes("two_processes.py", tmp_path)
    assert printed.count("equal:") == len(LOSSES) * len(REGULARIZERS)
    for name, options in AS_ONE.items():
        alone = trained(composed, *options, "training.batch_size=16", "run.images=96", *EPS)
        weights = torch.nn.utils.parameters_to_vector(alone.parameters()).detach()
        together = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(together, weights, rtol=0, atol=1e-6)


def test_the_noise_of_two_processes_is_that_of_one(composed, monkeypatch):
    gan = build(validate(composed(*QUICK))).module
    whole = gan.noise(5, 8)
    halves = []
    for rank in range(2):
        monkeypatch.setattr("zerosum.training.module.rank_and_world_size", lambda rank=rank: (rank, 2))
        halves.append(gan.noise(5, 4))
    assert torch.equal(torch.cat(halves), whole) and not torch.equal(*halves)

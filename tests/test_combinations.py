"""Any loss with any regularizer, and the few that are refused."""

import pytest
from conftest import ROOT

from zerosum import experiment
from zerosum.errors import UserError

LOSSES = sorted(path.stem for path in (ROOT / "conf" / "loss").glob("*.yaml"))
REGULARIZERS = sorted(path.stem for path in (ROOT / "conf" / "regularizer").glob("*.yaml"))
AUGMENTATIONS = sorted(path.stem for path in (ROOT / "conf" / "augment").glob("*.yaml"))
QUICK = ("dataset=synthetic", "model=mlp", "model.width=16", "game.batch_size=8", "run.images=24", "trainer=cpu")

SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "record", "checkpoint", "progress")] + [
    "~logger.csv"
]


def trained(composed, *options):
    """A GAN after three steps."""
    config = composed(*QUICK, *SILENT, *options)
    built = experiment.build(experiment.plain(config))
    experiment.hush()
    built.trainer.fit(built.gan, datamodule=built.data)
    assert built.gan.images_seen == 24
    assert all(weight.isfinite().all() for weight in built.gan.parameters())
    return built.gan


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_every_loss_trains_with_every_regularizer(composed, loss, regularizer):
    trained(composed, f"loss={loss}", f"regularizer={regularizer}")


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


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["regularizer=gradient_penalty"], "batch norm.*model.spectral_norm=true"),
        (["regularizer=dragan"], "batch norm"),
        (["regularizer=clip", "model.spectral_norm=true"], "clip.*does nothing"),
        (["augment=ada", "loss=wasserstein"], "sign of D's logits"),
        (["augment=diffaugment", "dataset=ring"], "change pictures"),
        (["regularizer=bcr", "dataset=grid"], "change pictures"),
        (["game.pack=3"], "game.pack=3 does not divide game.batch_size=64"),
        (["loss.smooth=[0.1,0.1]"], "Two-sided smoothing"),
    ],
)
def test_what_means_nothing_is_refused_when_the_config_is_read(composed, options, reason):
    with pytest.raises(UserError, match=reason):
        experiment.build(experiment.plain(composed(*options)))


def test_annealing_is_a_named_callback_and_adas_probability_is_logged(composed):
    from zerosum.callbacks.record import curves

    options = ("callbacks=[default,anneal]", "callbacks.anneal.attribute=regularizers.r1.weight", "regularizer=r1")
    gan = trained(composed, *options, "augment=ada", "augment.every=1")
    assert gan.regularizers["r1"].weight == pytest.approx(1 - 16 / 24)  # the last step began at 16 of 24 images
    assert curves(gan)["augment/probability"] == pytest.approx(gan.augment.probability)

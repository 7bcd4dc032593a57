"""Combinations that mean nothing, or silently something else, are refused when the config is read."""

import pytest

from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate

PAIRS = ["dataset=edges", "dataset.of._target_=zerosum.data.synthetic.Synthetic", "~dataset.of.download"]
PAIRS += ["dataset.of.resolution=16", "model=image_to_image"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["regularizer=gradient_penalty"], "batch norm.*model.spectral_norm=true"),
        (["regularizer=dragan"], "batch norm"),
        (["regularizer=clip", "model.spectral_norm=true"], "clip.*does nothing"),
        (["augment=ada", "loss=wasserstein"], "sign of D's logits"),
        (["augment=ada", "loss=lsgan"], "sign of D's logits.*LeastSquares"),
        (["augment=ada", "loss=fgan", "loss.divergence=kl"], "sign of D's logits.*FGAN"),
        (["augment=ada", "loss.smooth=0.1"], "sign of D's logits.*NonSaturating"),
        (["augment=diffaugment", "dataset=ring"], "change images"),
        (["regularizer=bcr", "dataset=grid"], "change images"),
        (["game.pack=3"], "game.pack=3.*does not divide training.batch_size=64"),
        (["loss.smooth=[0.1,0.1]"], "Two-sided smoothing"),
        (["model.minibatch_discrimination=true", "training.accumulate=2"], "compares all images of a batch"),
        (["game.unroll=2", "training.accumulate=2"], "game.unroll=2 looks ahead.*training.accumulate=2"),
        (["game.unroll=2", "training.clip=1"], "game.unroll=2 looks ahead.*training.clip=1"),
        (["game.unroll=2", "regularizer=clip"], "game.unroll=2 looks ahead.*regularizer clip"),
        (["game.unroll=2", "+optimizer.discriminator.weight_decay=0.1"], "D's optimizer is Adam with weight_decay"),
        (["generator_regularizer=l1"], "l1 compares each fake with the real image beside it"),
        (["generator_regularizer=l2", "labels=concat"], "l2 compares each fake with the real image beside it"),
        ([*PAIRS, "augment=diffaugment"], "would move the images that D sees, but not the condition"),
        ([*PAIRS, "augment=ada"], "would move the images that D sees, but not the condition"),
        ([*PAIRS, "dataset._target_=zerosum.data.pairs.Unpaired"], "beside its own condition.*model=cycle_gan"),
        ([*PAIRS, "labels=none"], "leave the option labels out.*sets labels=image"),
    ],
)
def test_what_cannot_work_together_is_refused_with_the_reason(composed, options, reason):
    with pytest.raises(UserError, match=reason):
        build(validate(composed(*options)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["dataset=ar2", "model=recurrent", "metrics=[fid]"], "fid measures images, .* futures: .*=forecasts"),
        (["dataset=ar2", "model=recurrent", "metrics=[likelihood]"], "likelihood measures images or points"),
        (["dataset=cart_pole", "model=gail", "metrics=[fid]"], "fid measures images, .* episodes: .*=episode_return"),
        (["dataset=ring", "model=mlp", "metrics=[forecasts]"], "measures futures, .* points: .*=points_wasserstein"),
        (["dataset=ring", "model=mlp", "metrics=[cost]"], "cost measures images"),
        (["dataset=digits", "metrics=[episode_return]"], "measures episodes, .* images: .*=fid"),
    ],
)
def test_a_metric_of_another_kind_than_the_protocol_is_refused(composed, options, reason):
    with pytest.raises(UserError, match=reason):
        build(validate(composed(*options)))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["dataset=ar2", "model=recurrent", "protocol.futures=1"], r"protocol\.futures=1: choose 2 or more"),
        (["dataset=cart_pole", "model=gail", "protocol.episodes=1"], r"protocol\.episodes=1: choose 2 or more"),
        (
            ["dataset=ring", "model=learning_triangle", "training.batch_size=31"],
            "=31 is no multiple of 2, .* model.views: choose",
        ),
        (["dataset=cart_pole", "model=gail", "model.entropy=-1"], r"model\.entropy=-1\.0: choose 0 or more"),
        ([*PAIRS, "metrics=[answer_law]", "metrics.answer_law.samples=1"], "samples=1: choose 2 or more"),
        ([*PAIRS, "model.latent_dim=-1"], r"model\.latent_dim=-1: choose 0 or more"),
        ([*PAIRS, "dataset.condition.threshold=-1"], r"dataset\.condition\.threshold=-1\.0: choose 0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused_as_it_was_typed(composed, options, reason):
    with pytest.raises(UserError, match=reason):
        build(validate(composed(*options)))


@pytest.mark.parametrize(
    "options",
    [
        ["augment=ada", "loss=lsgan", "loss.a=-1", "loss.b=1", "loss.c=0"],
        ["augment=ada", "loss=lsgan", "augment.target=null"],
        ["augment=ada", "loss=fgan"],
        ["augment=ada", "loss=relativistic"],
        ["model.minibatch_stddev=true", "training.accumulate=2"],
        ["game.unroll=2", "regularizer=[r1,lecam]"],
        [*PAIRS, "augment=instance_noise", "generator_regularizer=l2"],
    ],
)
def test_what_works_together_is_built(composed, options):
    build(validate(composed(*options)))

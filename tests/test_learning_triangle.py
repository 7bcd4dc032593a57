"""Adversaries in parallel on noisy views: their losses, their views, and what else their steps depend on."""

import pytest
import torch
from torch.nn.functional import softplus

from zerosum.applications.learning_triangle import LearningTriangle, NoiseInHalf
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.losses import NonSaturating, Relativistic
from zerosum.models import mlp
from zerosum.training.process import silence_libraries

SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")]
QUICK = ("dataset=ring", "model=learning_triangle", "training.batch_size=16", "run.images=64", "trainer=cpu")
QUICK += ("protocol=points10k", *SILENT, "~logger.csv")
ADAM = ("+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3")
"""Without it Adam's first steps are signs of gradients, which rounding turns"""


def fit(composed, *options, checkpoint=None, views=None):
    experiment = build(validate(composed(*QUICK, *options)))
    if views is not None:
        experiment.module.views = views
    silence_libraries()
    experiment.trainer.fit(experiment.module, datamodule=experiment.data, ckpt_path=checkpoint, weights_only=True)
    return experiment


def assert_equal_weights(one, other, **tolerance):
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(first, second, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def triangle(**options):
    def network(make):
        return lambda sample_shape: make(sample_shape, width=8).double()

    return LearningTriangle(
        network(mlp.Generator),
        network(mlp.Discriminator),
        **{"loss": NonSaturating(), "views": {"x": NoiseInHalf(0, 0.1), "y": NoiseInHalf(1, 0.1)}} | options,
        sample_shape=(2,),
        optimizer={},
    )


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_each_player_minimizes_its_equation(weight):
    torch.manual_seed(0)
    model = triangle(judge_weight=weight, gamma=0.0)
    real = [torch.randn(6, 2, dtype=torch.float64) for _ in range(2)]
    fakes = [torch.randn(6, 2, dtype=torch.float64) for _ in range(2)]
    logits = [[judge(fake).logits.float() for fake in fakes] for judge in model.discriminators]
    for judge, other in ((0, 1), (1, 0)):
        on_real = softplus(-model.discriminators[judge](real[judge]).logits).mean()
        own, others = (softplus(logits[judge][index]).mean() for index in (judge, other))
        expected = (on_real + (1 - weight) * own + weight * others) / 2
        found = model.discriminator_loss(judge, real[judge], fakes)
        torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=0)
    for own, other in ((0, 1), (1, 0)):
        by_own, by_other = (softplus(-logits[judge][own]).mean() for judge in (own, other))
        expected = ((1 - weight) * by_own + weight * by_other) / 2
        torch.testing.assert_close(model.generator_loss(own, fakes[own]), expected, rtol=1e-5, atol=0)


def test_one_adversary_without_noise_is_the_gan(composed):
    """The same noise, order of steps and penalty."""
    one = fit(composed, "model.adversaries=1", "model.gamma=0.5", views=[lambda images: images] * 2)
    gan = build(validate(composed(*QUICK, "model=mlp", "loss=nonsat", "regularizer=r1", "gamma=0.5")))
    start = build(validate(composed(*QUICK, "model.adversaries=1"))).module
    gan.module.generator.load_state_dict(start.generators.each[0].state_dict())
    gan.module.discriminator.load_state_dict(start.discriminators[0].state_dict())
    gan.trainer.fit(gan.module, datamodule=gan.data)
    # The views take every other image, and a mean depends on their order by rounding alone.
    assert_equal_weights(one.module.generators.each[0], gan.module.generator, rtol=1e-4, atol=1e-6)
    assert_equal_weights(one.module.discriminators[0], gan.module.discriminator, rtol=1e-4, atol=1e-6)


def test_adversaries_of_weight_zero_know_nothing_of_each_other(composed):
    both = fit(composed, "model.judge_weight=0").module
    silenced = fit(composed, "model.judge_weight=0", views=[NoiseInHalf(0, 0.2), lambda images: images * 0]).module
    assert_equal_weights(both.generators.each[0], silenced.generators.each[0], rtol=0, atol=0)
    assert_equal_weights(both.discriminators[0], silenced.discriminators[0], rtol=0, atol=0)
    other, silent = (each.discriminators[1].state_dict().values() for each in (both, silenced))
    assert not all(torch.equal(*pair) for pair in zip(other, silent, strict=True))


def test_a_resumed_run_equals_a_straight_one(composed, tmp_path):
    straight, half = fit(composed), fit(composed, "run.images=32")
    half.trainer.save_checkpoint(tmp_path / "half.ckpt")
    assert_equal_weights(straight.module, fit(composed, checkpoint=tmp_path / "half.ckpt").module, rtol=0, atol=0)


def test_micro_batches_train_as_the_whole_batch(composed):
    whole, parts = (fit(composed, *ADAM, f"training.accumulate={parts}").module for parts in (1, 4))
    assert_equal_weights(whole, parts, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("shape", "half", "clean"), [((2,), 0, [1]), ((1, 4, 4), 1, [0, 1])])
def test_noise_is_in_one_half_alone(shape, half, clean):
    torch.manual_seed(0)
    images = torch.randn(4000, *shape)
    change = NoiseInHalf(half, 0.3)(images) - images
    noisy = [column for column in range(shape[-1]) if column not in clean]
    assert not change[..., clean].any()
    assert float(change[..., noisy].std()) == pytest.approx(0.3, rel=0.05)


def test_sample_i_is_of_generator_i_mod_2_and_depends_on_seed_i_alone():
    model = triangle()
    together = model.float().sample(range(6))
    for seed in range(6):
        torch.testing.assert_close(model.sample([seed])[0], together[seed], rtol=0, atol=1e-6)
    with torch.no_grad():
        for parameter in model.ema.network.each[1].parameters():
            parameter.zero_()
    changed = (model.sample(range(6)) != together).any(1)
    assert changed.tolist() == [False, True] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adversaries": 3}, "must divide"),
        ({"judge_weight": 1.5}, "choose 0"),
        ({"gamma": -1.0}, "0 or more"),
        ({"loss": Relativistic()}, "compares pairs"),
    ],
)
def test_impossible_games_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        triangle(**options)

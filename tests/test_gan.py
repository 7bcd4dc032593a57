"""The order of the two players' steps, their gradients, the clock and the results of a step."""

from pathlib import Path

import pytest
import torch
from lightning import Callback, Trainer
from torch import nn

from zerosum.data.mixtures import Ring
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.gan.augment import ADA, DiffAugment, InstanceNoise
from zerosum.gan.game import Game
from zerosum.gan.gan import GAN, Optimizers
from zerosum.gan.losses import NonSaturating
from zerosum.gan.regularizers import DRAGAN, R1, Consistency, GradientPenalty, LeCam, Regularizer
from zerosum.models import dcgan, mlp
from zerosum.models.networks import Scores
from zerosum.training.data_module import TrainingData
from zerosum.training.settings import TrainingSettings


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.01)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def points_gan(make=adam, **options) -> GAN:
    torch.manual_seed(0)
    networks = mlp.Generator((2,), 4, 16, 2), mlp.Discriminator((2,), 16, 2)
    return GAN(*networks, NonSaturating(), Optimizers(make, make), **settings(**options))


def settings(**options) -> dict:
    """Options of GAN from those of the game and of training."""
    for name, kind in (("game", Game), ("training", TrainingSettings)):
        known = {key: options.pop(key) for key in list(options) if key in kind.__dataclass_fields__}
        options[name] = kind(**known)
    return options


def fit(gan: GAN, steps: int, *callbacks: Callback, dataset=None, batch_size=8, **options) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(gan, datamodule=TrainingData(dataset or Ring(), batch_size, gan.batches_per_step))
    return trainer


class Spy(Callback):
    """Keeps both players' weights before and after each step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.steps.append(trainer.global_step)


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_global_step_counts_generator_updates(critic_steps):
    spy = Spy()
    gan = points_gan(critic_steps=critic_steps)
    fit(gan, 5, spy)
    assert spy.steps == [1, 2, 3, 4, 5]
    assert gan.images_seen == 5 * critic_steps * 8


def test_one_step_equals_algorithm_1_written_out():
    """Against plain autograd: k ascents of D on real and fake, one descent of G on the last fakes."""
    gan = points_gan(sgd, critic_steps=2)
    plain = points_gan(sgd, critic_steps=2)
    fit(gan, 1)
    loss, stream = NonSaturating(), Ring().stream(0, torch.device("cpu"))
    for index in range(2):
        real = stream.batch(index, 8, slice(0, 8)).images
        fake = plain.generator(plain.noise(index, 8))
        d_loss = loss.discriminator(plain.discriminator(real).logits, plain.discriminator(fake.detach()).logits)
        descend(plain.discriminator, d_loss)
    descend(plain.generator, loss.generator(plain.discriminator(fake).logits))
    assert_equal_weights(gan.generator, plain.generator)
    assert_equal_weights(gan.discriminator, plain.discriminator)


def descend(player: nn.Module, loss: torch.Tensor) -> None:
    weights = list(player.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.data -= 0.01 * gradient


def assert_equal_weights(one: nn.Module, other: nn.Module, **tolerance) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def test_the_generators_step_leaves_no_gradients_in_the_discriminator():
    gan = points_gan()

    class Gradients(Callback):
        gradients: list[torch.Tensor]

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            self.gradients = [weight.grad.clone() for weight in pl_module.discriminator.parameters()]

    seen = Gradients()
    fit(gan, 1, seen)
    fresh = points_gan()
    real = Ring().stream(0, torch.device("cpu")).batch(0, 8, slice(0, 8)).images
    fake = fresh.generator(fresh.noise(0, 8)).detach()
    loss = NonSaturating().discriminator(fresh.discriminator(real).logits, fresh.discriminator(fake).logits)
    expected = torch.autograd.grad(loss, list(fresh.discriminator.parameters()))
    for found, wanted in zip(seen.gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_under_autocast_the_generator_meets_the_updated_discriminator():
    """Autocast caches its casts of the weights: without clearing them, D's step would not be seen."""

    torch.manual_seed(0)
    gan = GAN(
        mlp.Generator((2,), 4, 16, 1),
        mlp.Discriminator((2,), 16, 1),
        Mean(),
        Optimizers(big_steps, no_steps),
        game=Game(critic_steps=2),
    )
    fit(gan, 1, precision="bf16-mixed")
    with torch.autocast("cpu", torch.bfloat16):
        fakes = gan.generator(gan.noise(1, 8))
        expected = gan.discriminator(fakes).logits.float().mean()
    torch.testing.assert_close(gan.last_step.losses["generator"], expected, rtol=1e-2, atol=1e-2)


class Mean:
    """D raises all fakes' logits, G's cost is their mean: a D that was updated gives another cost."""

    paired = False
    zero_separates = True

    def discriminator(self, real, fake):
        return -fake.mean()

    def generator(self, fake, real=None):
        return fake.mean()


def big_steps(parameters):
    return torch.optim.SGD(parameters, lr=10.0)


def no_steps(parameters):
    return torch.optim.SGD(parameters, lr=0.0)


def test_average_follows_its_closed_form():
    gan = points_gan(ema_half_life=40.0, ema_ramp_up=None)
    start = gan.ema.network.state_dict()["layers.0.weight"].clone()
    weights = [start]

    class Weights(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            weights.append(pl_module.generator.state_dict()["layers.0.weight"].clone())

    fit(gan, 10, Weights())
    beta = 0.5 ** (8 / 40)
    expected = start
    for current in weights[1:]:
        expected = beta * expected + (1 - beta) * current
    torch.testing.assert_close(gan.ema.network.state_dict()["layers.0.weight"], expected)


def test_half_life_is_in_images_whatever_the_batch():
    average = points_gan(ema_half_life=100.0, ema_ramp_up=None).ema
    assert average.decay(10, 1000) ** 10 == pytest.approx(0.5)
    assert average.decay(50, 1000) ** 2 == pytest.approx(0.5)


class Logged(Regularizer):
    """Constant gradient on every weight; remembers the types that it saw."""

    def penalty(self, critic, real, fake):
        self.types = {real.logits.dtype, fake.images.dtype, critic(real.images).logits.dtype}
        return real.logits.mean()


def test_penalties_are_computed_in_float32_under_autocast():
    regularizer = Logged(1.0)
    fit(points_gan(regularizers={"logged": regularizer}), 1, precision="bf16-mixed")
    assert regularizer.types == {torch.float32}


def test_a_lazy_penalty_is_due_on_every_kth_step_and_scaled_by_k():
    gan = points_gan(regularizers={"r1": R1(2.0, every=3)})
    seen = []

    class Penalties(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
            seen.append({name for name in pl_module.last_step.metrics if "/" in name})

    fit(gan, 4, Penalties())
    assert seen == [{"regularizer/r1"}, set(), set(), {"regularizer/r1"}]


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path):
    """Straight to 6 steps, against 3 steps, a checkpoint, and a new process's objects from there."""
    straight, first, second = (dcgan_gan() for _ in range(3))
    data = Synthetic(16)
    fit(straight, 6, dataset=data)
    trainer = fit(first, 3, dataset=data)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = Trainer(
        accelerator="cpu",
        max_steps=6,
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    resumed.fit(second, datamodule=TrainingData(data, 8, 1), ckpt_path=tmp_path / "half.ckpt")
    assert second.images_seen == straight.images_seen == 48
    for name, value in straight.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def dcgan_gan() -> GAN:
    torch.manual_seed(0)
    networks = dcgan.Generator((1, 16, 16), 8, 8), dcgan.Discriminator((1, 16, 16), 8)
    return GAN(*networks, NonSaturating(), Optimizers(adam, adam), {"r1": R1(1.0, every=2)})


def test_images_per_sample_do_not_depend_on_the_batch():
    gan = dcgan_gan().eval()
    with torch.no_grad():
        together = gan.sample([5, 6, 7])
        alone = gan.sample([6])
    torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-6)


class Shown(nn.Module):
    def forward(self, images, condition=None):
        return Scores(images.flatten(1))


def test_packing_shows_the_discriminator_neighbours_as_one():
    torch.manual_seed(0)
    networks = mlp.Generator((2,), 4, 16, 1), mlp.Discriminator((6,), 16, 1)
    gan = GAN(*networks, NonSaturating(), Optimizers(adam, adam), game=Game(pack=3))
    points = torch.randn(9, 2)
    torch.testing.assert_close(gan.score(points, None).logits, gan.discriminator(points.view(3, 6)).logits)
    fit(gan, 2, batch_size=9)
    assert gan.last_step.metrics["real_logits"].shape == (3,)
    images = torch.randn(4, 3, 2, 2)
    gan.game, gan.discriminator = Game(pack=2), Shown()
    expected = torch.stack([torch.cat([images[0], images[1]]), torch.cat([images[2], images[3]])]).flatten(1)
    torch.testing.assert_close(gan.score(images, None).logits, expected)


def test_unrolling_changes_the_generators_step_and_leaves_the_discriminators():
    plain, ahead = points_gan(), points_gan(unroll=3)
    fit(plain, 1)
    fit(ahead, 1)
    assert_equal_weights(plain.discriminator, ahead.discriminator)
    assert not torch.equal(plain.last_step.losses["generator"], ahead.last_step.losses["generator"])


def weights_after(steps: int, **options) -> dict[str, torch.Tensor]:
    gan = points_gan(sgd, regularizers={"r1": R1(0.5)}, **options)
    fit(gan, steps, batch_size=16)
    return {name: value.clone() for name, value in gan.state_dict().items()}


@pytest.mark.parametrize("critic_steps", [1, 2])
def test_a_batch_in_four_parts_trains_as_the_whole(critic_steps):
    whole, parts = (weights_after(5, accumulate=count, critic_steps=critic_steps) for count in (1, 4))
    assert any(not torch.equal(whole[name], parts[name]) for name in whole)  # other sums, other rounding
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-7)


def test_the_result_of_a_batch_in_parts_is_that_of_the_whole():
    results = []
    for count in (1, 4):
        gan = points_gan(sgd, regularizers={"r1": R1(0.5)}, accumulate=count)
        fit(gan, 1, batch_size=16)
        results.append(gan.last_step)
    for whole, parts in ((results[0].losses, results[1].losses), (results[0].metrics, results[1].metrics)):
        assert whole.keys() == parts.keys()
        for name, value in whole.items():
            torch.testing.assert_close(value, parts[name], rtol=1e-5, atol=1e-6)


def test_clip_shortens_each_players_gradient_to_its_norm():
    """By SGD at learning rate 0.01 a step is then no longer than 0.01 times the norm, for each player by itself."""
    for clip, is_full in ((1e-3, True), (1e9, False)):
        gan = points_gan(sgd, clip=clip)
        before = {
            player: nn.utils.parameters_to_vector(getattr(gan, player).parameters()).clone() for player in PLAYERS
        }
        fit(gan, 1)
        for player in PLAYERS:
            after = nn.utils.parameters_to_vector(getattr(gan, player).parameters())
            length = float((after - before[player]).norm())
            assert (length == pytest.approx(0.01 * clip, rel=1e-2)) == is_full


PLAYERS = ("discriminator", "generator")


def test_clipping_is_of_the_whole_gradient_and_not_of_its_parts():
    whole, parts = (weights_after(3, accumulate=count, clip=0.01) for count in (1, 4))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-5, atol=1e-7)


def image_gan(**options) -> GAN:
    torch.manual_seed(0)
    networks = mlp.Generator((1, 16, 16), 4, 16, 1), mlp.Discriminator((1, 16, 16), 16, 1)
    return GAN(*networks, NonSaturating(), Optimizers(sgd, sgd), **settings(**options))


OF_THE_WHOLE_BATCH = {
    "lecam": lambda: {"regularizers": {"lecam": LeCam(1.0)}},
    "dragan": lambda: {"regularizers": {"dragan": DRAGAN(1.0)}},
    "gradient_penalty": lambda: {"regularizers": {"gradient_penalty": GradientPenalty(1.0)}},
    "ada_lecam_lazy": lambda: {"augment": ADA(p=0.5, every=1), "regularizers": {"lecam": LeCam(1.0, every=2)}},
    "bcr": lambda: {"regularizers": {"bcr": Consistency(1.0, DiffAugment(["translation"]), fake_weight=1.0)}},
    "instance_noise": lambda: {"augment": InstanceNoise(0.3)},
}


@pytest.mark.parametrize("name", OF_THE_WHOLE_BATCH)
def test_penalties_and_augmentations_do_not_see_that_a_batch_comes_in_parts(name):
    """Averages over the batch are moved once a step by the whole batch, and images keep their random numbers."""
    states, results = [], []
    for count in (1, 4):
        gan = image_gan(accumulate=count, critic_steps=2, **OF_THE_WHOLE_BATCH[name]())
        fit(gan, 4, dataset=Synthetic(16), batch_size=16)
        states.append(gan.state_dict())
        results.append(gan.last_step)
    for key, value in states[0].items():
        torch.testing.assert_close(
            states[1][key], value, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}"
        )
    for key, value in results[0].metrics.items():
        torch.testing.assert_close(results[1].metrics[key], value, rtol=1e-4, atol=1e-5)


class TwiceTheMean(Regularizer):
    """2 E G(z), whose gradient in G's bias is 2 for an affine G of one output."""

    def penalty(self, critic, real, fake):
        return 2 * fake.images.mean()


class Bias(nn.Module):
    """G(z) = bias and D(x) = bias."""

    latent_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))


class Shift(Bias):
    def forward(self, z, condition=None):
        return z.new_zeros(len(z), 2) + self.bias


class Constant(Bias):
    def forward(self, images, condition=None):
        return Scores(self.bias.expand(len(images)))


class Zero:
    """No game: both losses are 0, so terms act alone."""

    paired = False
    zero_separates = True

    def discriminator(self, real, fake):
        return 0 * (real.sum() + fake.sum())

    def generator(self, fake, real=None):
        return 0 * fake.sum()


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_generator_regularizer_is_added_to_gs_loss_and_not_to_ds(accumulate, precision):
    """By SGD at 0.01 and weight 3: G's bias falls by 0.01 * 3 * 2 at each step, D's stays; the term is logged."""
    gan = GAN(
        Shift(),
        Constant(),
        Zero(),
        Optimizers(sgd, sgd),
        generator_regularizers={"mean": TwiceTheMean(3.0, every=1)},
        training=TrainingSettings(accumulate=accumulate),
    )
    fit(gan, 2, precision=precision)
    assert gan.generator.bias.item() == pytest.approx(-2 * 0.06) and gan.discriminator.bias.item() == 0.0
    expected = 3 * 2 * -0.06  # the second step's term, at the bias after the first
    assert gan.last_step.metrics["generator_regularizer/mean"].item() == pytest.approx(expected, rel=1e-2)
    assert gan.last_step.losses["generator"].item() == pytest.approx(expected, rel=1e-2)
    assert gan.last_step.losses["discriminator"].item() == 0.0
    assert gan.curves()["generator_regularizer/mean"] == pytest.approx(expected, rel=1e-2)
    assert not any(name.startswith("regularizer/") for name in gan.last_step.metrics)


def test_a_generator_regularizer_runs_in_float32_under_autocast():
    seen = Logged(1.0)
    fit(points_gan(generator_regularizers={"seen": seen}), 1, precision="bf16-mixed")
    assert seen.types == {torch.float32}


def test_the_unrolled_discriminator_descends_its_penalties_too():
    """G's loss is that of a D which made two more steps on J_D and R1, against plain autograd."""
    gan, plain = (points_gan(sgd, unroll=2, regularizers={"r1": R1(5.0)}) for _ in range(2))
    fit(gan, 1)
    loss = NonSaturating()
    real = Ring().stream(0, torch.device("cpu")).batch(0, 8, slice(0, 8)).images.requires_grad_()
    fake = plain.generator(plain.noise(0, 8)).detach()
    for _ in range(3):
        logits = plain.discriminator(real).logits
        (slope,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        penalty = 5 / 2 * slope.square().sum(1).mean()
        descend(plain.discriminator, loss.discriminator(logits, plain.discriminator(fake).logits) + penalty)
    expected = loss.generator(plain.discriminator(fake).logits)
    torch.testing.assert_close(gan.last_step.losses["generator"], expected.detach(), rtol=1e-6, atol=1e-7)


def test_unrolling_in_several_processes_is_refused(monkeypatch):
    monkeypatch.setattr("zerosum.gan.gan.rank_and_world_size", lambda: (0, 2))
    with pytest.raises(UserError, match="looks ahead by the gradients of one process"):
        points_gan(unroll=1).on_fit_start()

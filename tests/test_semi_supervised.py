"""A GAN trained with a few labels: the form of its loss, which labels it sees, and what else its steps depend on."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Callback
from torch.nn.functional import cross_entropy

from zerosum.data.dataset import DataShape
from zerosum.errors import UserError
from zerosum.experiment.build import build, build_module
from zerosum.experiment.settings import validate
from zerosum.gan import draws
from zerosum.gan.draws import BatchDraws
from zerosum.gan.feature_matching import FeatureMatching
from zerosum.gan.labels.labelled import choose_balanced
from zerosum.gan.labels.terms import ConditionalEntropy
from zerosum.gan.losses import NonSaturating
from zerosum.gan.regularizers import ScoredBatch
from zerosum.models import mlp
from zerosum.models.conditioning import ClassesAreReal, OneHot
from zerosum.models.networks import Scores
from zerosum.models.salimans import Discriminator, Generator, StandardizedLinear
from zerosum.training.process import silence_libraries

SEMI = ("dataset=synthetic", "labels=semi_supervised", "labels.labelled=8", "loss=feature_matching", "regularizer=none")
SEMI += ("training.batch_size=8", "run.images=64", "trainer=cpu", "augment=instance_noise")
NOISY = ("model=salimans", "model.generator.width=16", "model.discriminator.widths=[16,8]")
QUIET = ("model=mlp", "model.width=16")
SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")]


def built(composed, *options, silent=(*SILENT, "~logger.csv")):
    return build(validate(composed(*SEMI, *silent, *options)))


def fit(experiment, checkpoint=None, callbacks=()):
    """The GAN after its steps."""
    silence_libraries()
    experiment.trainer.callbacks.extend(callbacks)
    experiment.trainer.fit(experiment.module, datamodule=experiment.data, ckpt_path=checkpoint, weights_only=True)
    return experiment.module


def assert_equal_weights(one, other, **tolerance):
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(first, second, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


def gradients_of(network, cost):
    return torch.autograd.grad(cost, list(network.parameters()), retain_graph=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_k_logits_give_the_gradients_of_k_plus_1_classes(dtype, tolerance, size):
    """-log p(y <= K | x) on reals, -log p(K + 1 | G(z)) on fakes: a softmax over K + 1 logits, the last one 0."""
    torch.manual_seed(0)
    network = ClassesAreReal(lambda sample_shape: mlp.Discriminator(sample_shape, 16, 2), OneHot(4), (1, 4, 4)).to(
        dtype
    )
    real, fake = size * torch.randn(2, 6, 1, 4, 4, dtype=dtype)
    labels = torch.arange(6) % 4

    def all_classes(images):
        class_logits = network(images).class_logits
        return torch.cat([class_logits, class_logits.new_zeros(6, 1)], 1).log_softmax(1)

    k = NonSaturating().discriminator(network(real).logits, network(fake).logits)
    is_real = all_classes(real)[:, :4].logsumexp(1)
    k_plus_1 = -0.5 * is_real.mean() - 0.5 * all_classes(fake)[:, 4].mean()
    torch.testing.assert_close(k, k_plus_1, rtol=tolerance, atol=tolerance)
    guessed = cross_entropy(network(real).class_logits, labels)
    known_real = -(all_classes(real)[torch.arange(6), labels] - is_real).mean()  # log p(y | x, y <= K)
    for one, other in ((k, k_plus_1), (guessed, known_real)):
        for first, second in zip(gradients_of(network, one), gradients_of(network, other), strict=True):
            torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance * size)


def test_as_many_images_of_each_class_are_chosen_by_the_seed_alone():
    labels = np.random.default_rng(0).integers(0, 5, 400)
    chosen = choose_balanced(labels, 5, 50, 3)
    assert np.bincount(labels[chosen]).tolist() == [10] * 5 and len(set(chosen)) == 50
    assert np.array_equal(chosen, choose_balanced(labels, 5, 50, 3))
    assert not np.array_equal(chosen, choose_balanced(labels, 5, 50, 4))


def test_a_batch_as_large_as_the_labelled_images_has_each_of_them_once():
    source, images = BatchDraws(), torch.zeros(12, 1)
    source.begin_step(images.device, 0, 1)
    source.begin_batch()
    with source.part(0, 1):
        assert sorted(draws.rows(images, 12).tolist()) == list(range(12))
        assert sorted(draws.rows(images, 4).tolist()) == sorted(3 * list(range(4)))


class Poison(Callback):
    """Changes labels after the labelled images are chosen: of all others, or of the chosen ones."""

    def __init__(self, chosen_too=False):
        self.chosen_too = chosen_too

    def on_train_start(self, trainer, pl_module):
        term = pl_module.regularizers["labelled"]
        labels = trainer.datamodule.dataset.split("train").labels
        others = np.setdiff1d(np.arange(len(labels)), term.indices.numpy())
        assert len(others) == len(labels) - 8
        labels[others] = 3 - labels[others]
        if self.chosen_too:
            term.labels = 3 - term.labels


def test_no_label_but_the_chosen_ones_reaches_training(composed):
    clean = fit(built(composed, *NOISY))
    poisoned = fit(built(composed, *NOISY), callbacks=[Poison()])
    assert_equal_weights(clean, poisoned, rtol=0, atol=0)
    changed = fit(built(composed, *NOISY), callbacks=[Poison(chosen_too=True)])
    assert not torch.equal(clean.discriminator.classify.weight, changed.discriminator.classify.weight)


def test_a_resumed_run_equals_a_straight_one(composed, tmp_path):
    straight = fit(built(composed, *NOISY))
    half = built(composed, *NOISY, "run.images=32")
    fit(half)
    half.trainer.save_checkpoint(tmp_path / "half.ckpt")
    resumed = fit(built(composed, *NOISY), tmp_path / "half.ckpt")
    assert_equal_weights(straight, resumed, rtol=0, atol=0)


def test_micro_batches_train_as_the_whole_batch(composed):
    """Feature matching compares means of the whole batch, and labelled images are drawn for it."""
    eps = ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"]
    whole, parts = (
        fit(built(composed, *QUIET, *eps, "run.images=16", f"training.accumulate={parts}")) for parts in (1, 4)
    )
    assert_equal_weights(whole, parts, rtol=1e-4, atol=1e-5)


def scored(features):
    return ScoredBatch(features, Scores(features.sum(1), features=features))


@pytest.mark.parametrize("parts", [1, 3])
def test_feature_matching_is_its_definition(parts):
    torch.manual_seed(0)
    weight = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    real, noise = torch.randn(6, 7, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    expected = (real.mean(0) - (noise @ weight).mean(0)).square().sum()
    term = FeatureMatching(weight=2.0)
    term.observe(scored(real), scored(noise @ weight))
    pairs = zip(real.chunk(parts), noise.chunk(parts), strict=True)
    values = [term(None, scored(one), scored(z @ weight)) / parts for one, z in pairs]
    torch.testing.assert_close(sum(values), 2 * expected)
    torch.testing.assert_close(*(torch.autograd.grad(cost, weight)[0] for cost in (sum(values), 2 * expected)))


def test_the_card_says_which_labels_were_used_and_the_average_of_d_classifies(composed):
    evaluated = [f"~callbacks.{name}" for name in ("samples", "curves", "checkpoint", "progress", "interrupt")]
    small = ["features.steps=10", "protocol.n_fake=16", "seed=5"]
    experiment = built(composed, *QUIET, *small, silent=evaluated)
    gan = fit(experiment)
    history = json.loads((Path(experiment.run.folder) / "metrics.json").read_text())["history"]
    labels = experiment.data.dataset.split("train").labels
    assert gan.regularizers["labelled"].indices.tolist() == choose_balanced(labels, 4, 8, 5).tolist()
    for measured in history:
        assert measured["card"]["protocol"]["labels"] == "trained with labels"
        assert {name: measured["card"]["run"][name] for name in ("labelled", "labelled_indices")} == gan.facts()
    images = torch.rand(3, 1, 16, 16)
    average = gan.classifier.network
    assert torch.equal(gan.classify(images), average(images).class_logits) and not average.training
    assert not torch.equal(gan.classify(images), gan.discriminator(images).class_logits)


def test_a_d_without_an_average_classifies_by_itself_without_noise(composed):
    gan = built(composed, *NOISY, "labels.classifier_half_life=null").module.train()
    images = torch.rand(3, 1, 16, 16)
    before = copy.deepcopy(gan.discriminator.state_dict())
    assert torch.equal(gan.classify(images), gan.classify(images)) and gan.classify(images).shape == (3, 4)
    assert gan.discriminator.training
    assert all(torch.equal(before[name], value) for name, value in gan.discriminator.state_dict().items())
    with pytest.raises(UserError, match="gives no classes: train it with labels=semi_supervised"):
        build_module(validate(composed("dataset=synthetic", *QUIET)), DataShape((1, 16, 16))).classify(images)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("labels.labelled=10", "labels.labelled=10 does not divide by the 4 classes: choose 8"),
        ("labels.labelled=0", "labels.labelled=0: choose a multiple"),
        ("game.pack=2", "game.pack=2: a pack has no class"),
        ("~generator_regularizer.feature_matching", "gives G no cost of its own"),
    ],
)
def test_wrong_options_are_refused_before_training(composed, option, message):
    with pytest.raises(UserError, match=message):
        built(composed, *QUIET, option)


def test_data_without_enough_labelled_images_are_refused(composed):
    with pytest.raises(UserError, match="this dataset has no labels"):
        build_module(validate(composed(*SEMI, *QUIET)), DataShape((1, 16, 16)))
    with pytest.raises(UserError, match="labels=semi_supervised needs a dataset of images with labels, and Grid"):
        fit(built(composed, *QUIET, "dataset=grid", "labels.labelled=25"))
    with pytest.raises(UserError, match=r"asks for 3 images of each class, and class 1 has 2: choose at most 4"):
        choose_balanced(np.array([0, 0, 0, 1, 1]), 2, 6, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_conditional_entropy_is_that_of_the_classes_of_real_images_alone(dtype):
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 3.0, 1.0], [1e4, 0.0, -1e4, 2.0]], dtype=dtype)
    logits.requires_grad_()
    real = ScoredBatch(torch.zeros(3, 1), Scores(logits.logsumexp(1), logits))
    fake = ScoredBatch(torch.zeros(3, 1), Scores(torch.zeros(3)))
    penalty = ConditionalEntropy(weight=2.0)(None, real, fake)
    expected = 2 * torch.distributions.Categorical(logits=logits.detach().double()).entropy().mean()
    torch.testing.assert_close(penalty.double(), expected, rtol=1e-6, atol=0)
    penalty.backward()
    assert logits.grad.isfinite().all()


def test_the_conditional_entropy_needs_a_d_that_gives_classes():
    scored = ScoredBatch(torch.zeros(3, 1), Scores(torch.zeros(3)))
    with pytest.raises(UserError, match="labels=semi_supervised"):
        ConditionalEntropy(weight=1.0)(None, scored, scored)


def test_feature_matching_needs_a_d_that_gives_features():
    batch = ScoredBatch(torch.zeros(2, 1), Scores(torch.zeros(2)))
    with pytest.raises(UserError, match="this D returns no features"):
        FeatureMatching(1.0).observe(batch, batch)


def test_the_first_batch_standardizes_each_layer_once():
    torch.manual_seed(0)
    layer = StandardizedLinear(6, 4)
    first, second = 3 + 2 * torch.randn(2, 50, 6)
    outputs = layer(first)
    torch.testing.assert_close(outputs.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.std(0, correction=0), torch.ones(4), rtol=0, atol=1e-5)
    before = copy.deepcopy(layer.state_dict())
    layer(second)
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())
    weight = layer.direction / layer.direction.norm(dim=1, keepdim=True) * layer.scale[:, None]
    torch.testing.assert_close(layer(second), second @ weight.T + layer.bias)


def test_noise_is_in_training_alone_and_uniform_noise_goes_into_g():
    torch.manual_seed(0)
    discriminator, images = Discriminator((1, 8, 8), (8, 8)), torch.rand(4, 1, 8, 8)
    assert not torch.equal(discriminator(images).logits, discriminator(images).logits)
    discriminator.eval()
    assert torch.equal(discriminator(images).logits, discriminator(images).logits)
    seen = []
    generator = Generator((1, 8, 8), 20, 8)
    generator.layers[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    fakes = generator(torch.randn(500, 20))
    assert fakes.shape == (500, 1, 8, 8) and fakes.abs().max() <= 1
    quantiles = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(seen[0].flatten().quantile(quantiles), quantiles, rtol=0, atol=0.02)

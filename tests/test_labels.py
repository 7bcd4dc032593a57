"""Conditional GANs: labels reach the right images, and what is known of them when they say nothing."""

from functools import partial

import pytest
import torch
from conftest import TINY, verb
from PIL import Image
from test_gan import adam, fit, settings
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from zerosum.commands.sample import Asked, sample
from zerosum.data.dataset import Batch, DataShape
from zerosum.data.images import ImageDataset, Split
from zerosum.data.mixtures import Ring
from zerosum.errors import UnmeasurableError, UserError
from zerosum.experiment.build import build_networks, make
from zerosum.gan.gan import GAN, Optimizers
from zerosum.gan.labels.conditions import AttributeConditions, LabelConditions
from zerosum.gan.labels.terms import Classes, cost_of_guess
from zerosum.gan.losses import NonSaturating
from zerosum.gan.regularizers import ScoredBatch
from zerosum.models import dcgan, mlp
from zerosum.models.conditioning import (
    ClassifyingDiscriminator,
    ConditionalBatchNorm,
    JoinedDiscriminator,
    JoinedGenerator,
    OneHot,
    ProjectionDiscriminator,
    condition_batch_norms,
)
from zerosum.models.networks import Scores
from zerosum.runs.load import load

LABELS = torch.tensor([0, 2, 1, 2])
IMAGES = torch.linspace(-1, 1, 4 * 256).view(4, 1, 16, 16)
DCGAN = partial(dcgan.Generator, base_channels=4, latent_dim=5), partial(dcgan.Discriminator, base_channels=4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_class_conditional_batch_norm_with_equal_rows_is_batch_norm(dtype):
    plain = nn.BatchNorm2d(6).to(dtype)
    conditional = ConditionalBatchNorm(plain, OneHot(3)).to(dtype)
    with torch.no_grad():
        plain.weight.copy_(torch.linspace(0.5, 2, 6))
        plain.bias.copy_(torch.linspace(-1, 1, 6))
        conditional.gain.weight.copy_(plain.weight[:, None].expand(-1, 3))
        conditional.bias.weight.copy_(plain.bias[:, None].expand(-1, 3))
    features = torch.randn(4, 6, 5, 5, dtype=dtype)
    for mode in (True, False):
        expected, found = plain.train(mode)(features), conditional.train(mode)(features, LABELS)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_class_has_the_gain_and_the_bias_of_its_row():
    conditional = ConditionalBatchNorm(nn.BatchNorm1d(2), OneHot(3))
    with torch.no_grad():
        conditional.gain.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
        conditional.bias.weight.copy_(torch.tensor([[7.0, 8.0, 9.0], [0.0, 0.0, 1.0]]))
    features = torch.randn(4, 2)
    normalized = (features - features.mean(0)) / (features.var(0, correction=0) + 1e-5).sqrt()
    rows = torch.tensor([[1.0, 4.0], [3.0, 6.0], [2.0, 5.0], [3.0, 6.0]])
    biases = torch.tensor([[7.0, 0.0], [9.0, 1.0], [8.0, 0.0], [9.0, 1.0]])
    torch.testing.assert_close(conditional(features, LABELS), normalized * rows + biases)


def test_a_projection_whose_embedding_is_zero_is_the_unconditional_discriminator():
    discriminator = ProjectionDiscriminator(DCGAN[1], OneHot(3), (1, 16, 16))
    without = discriminator.network(IMAGES).logits
    assert not torch.equal(discriminator(IMAGES, LABELS).logits, without)
    nn.init.zeros_(discriminator.embed.weight)
    assert torch.equal(discriminator(IMAGES, LABELS).logits, without)


def test_a_projection_is_the_product_of_features_and_the_labels_row():
    discriminator = ProjectionDiscriminator(DCGAN[1], OneHot(3), (1, 16, 16)).eval()
    scores = discriminator(IMAGES, LABELS)
    rows = discriminator.embed.weight.T[LABELS]
    linear = discriminator.network.head[-1]
    torch.testing.assert_close(scores.logits, linear(scores.features).squeeze(1) + (rows * scores.features).sum(1))


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_heads_are_normalized_as_the_network_is(spectral_norm):
    make_network = partial(DCGAN[1], spectral_norm=spectral_norm)
    for kind, name in ((ProjectionDiscriminator, "embed"), (ClassifyingDiscriminator, "classify")):
        head = getattr(kind(make_network, OneHot(3), (1, 16, 16)).train(), name)
        for _ in range(30):
            head(torch.ones(1, head.in_features))
        assert is_parametrized(head, "weight") == spectral_norm
        assert not spectral_norm or torch.linalg.matrix_norm(head.weight, 2).item() == pytest.approx(1, abs=0.02)


def test_joined_networks_see_the_label_and_have_the_latents_that_were_asked_for():
    generator = JoinedGenerator(DCGAN[0], OneHot(3), (1, 16, 16), embedding=7).eval()
    assert generator.latent_dim == 5 and generator.network.latent_dim == 12
    same = generator(torch.ones(4, 5), LABELS)
    assert torch.equal(same[1], same[3]) and not torch.equal(same[0], same[1])
    discriminator = JoinedDiscriminator(DCGAN[1], OneHot(3), (1, 16, 16)).eval()
    logits = discriminator(IMAGES[:1].expand(4, -1, -1, -1), LABELS).logits
    assert logits[1] == logits[3] != logits[0]
    points = JoinedDiscriminator(partial(mlp.Discriminator, width=8), OneHot(3), (2,))
    assert points(torch.zeros(4, 2), LABELS).logits.shape == (4,)


def test_a_generator_without_batch_norm_or_latents_of_its_own_is_told_what_to_do():
    with pytest.raises(UserError, match="has none: use labels/generator=concat"):
        condition_batch_norms(partial(mlp.Generator, latent_dim=4), OneHot(3), (2,))
    with pytest.raises(UserError, match="takes no latent_dim"):
        JoinedGenerator(lambda sample_shape: nn.Identity(), OneHot(3), (2,))


def test_the_cost_of_a_guess_is_the_cross_entropy_of_labels_and_half_the_squared_error_of_attributes():
    guess = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
    labels, attributes = torch.tensor([0, 1]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 3.5]])
    scores = Scores(torch.zeros(2), guess)
    by_hand = -(torch.softmax(guess, 1)[[0, 1], labels].log()).mean()
    torch.testing.assert_close(cost_of_guess(ScoredBatch(IMAGES, scores, labels)), by_hand)
    squares = 0.5 * ((guess - attributes) ** 2).sum(1).mean()
    torch.testing.assert_close(cost_of_guess(ScoredBatch(IMAGES, scores, attributes.double())), squares)
    with pytest.raises(UserError, match="set labels=acgan"):
        cost_of_guess(ScoredBatch(IMAGES, Scores(torch.zeros(2)), labels))


class Colours(ImageDataset):
    """Class k is images of brightness 25 k, so a label can be read from its image."""

    channels = 1
    classes = tuple("0123456789")

    def read(self, split):
        labels = torch.arange(200).numpy() % 10
        return Split((25 * labels).astype("uint8")[:, None, None, None].repeat(16, 1).repeat(16, 2), labels)


class Witness(nn.Module):
    """A discriminator that fails where a real image has not its own label, or a fake not that of its generator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, images, condition=None):
        brightness = ((images.mean((2, 3)) + 1) * 127.5 / 25).round().long()  # (B, pack)
        assert torch.equal(brightness.flatten(), condition.flatten()), (brightness, condition)
        self.seen += condition.numel()
        return Scores(self.weight * images.flatten(1).sum(1))


class Painter(nn.Module):
    """A generator that paints the brightness of the label."""

    latent_dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z, condition):
        brightness = condition.float()[:, None, None, None] * 25 / 127.5 - 1
        return brightness.expand(-1, 1, 16, 16) + 0 * self.weight


@pytest.mark.parametrize(
    "options", [{}, {"pack": 2}, {"accumulate": 4}, {"pack": 2, "accumulate": 2, "critic_steps": 2}], ids=str
)
def test_images_and_labels_never_come_apart(tmp_path, options):
    conditions = LabelConditions(10)
    options = settings(**options)
    gan = GAN(Painter(), Witness(), NonSaturating(), Optimizers(adam, adam), conditions=conditions, **options)
    fit(gan, 30, dataset=Colours(16, str(tmp_path), flip=True), batch_size=16)
    assert gan.discriminator.seen == 30 * 16 * (2 * gan.game.critic_steps + 1)
    assert torch.equal(conditions.counts, torch.full((10,), 20.0))


def test_labels_are_drawn_by_seed_as_often_as_in_the_data():
    conditions = LabelConditions(4)
    conditions.counts.copy_(torch.tensor([1.0, 0.0, 2.0, 5.0]))
    drawn = conditions.draw(range(4_000))
    assert torch.equal(conditions.draw([7, 9]), drawn[[7, 9]])
    shares = drawn.bincount(minlength=4) / 4_000
    torch.testing.assert_close(shares, torch.tensor([0.125, 0.0, 0.25, 0.625]), atol=0.03, rtol=0)


def test_pictures_have_a_column_for_each_class_and_a_row_for_each_seed():
    condition, columns, names = LabelConditions(3).arrange(7)
    assert names == ["0", "1", "2"]
    assert condition.tolist() == [0, 1, 2, 0, 1, 2] and columns == 3
    condition, columns, names = LabelConditions(1000).arrange(64)
    assert names[1] == "67"
    assert columns == 16 and len(condition) == 64 and condition[0] == 0 and condition[15] == 999


def conditional_ring(seed=0, **options):
    torch.manual_seed(seed)
    conditions = LabelConditions(8)
    labels = make({"_target_": "zerosum.gan.labels.use.Labels", "use": "conditioned on labels", **parts("concat")})
    model = {
        "generator": {"_target_": "zerosum.models.mlp.Generator", "_partial_": True, "latent_dim": 4, "width": 32},
        "discriminator": {"_target_": "zerosum.models.mlp.Discriminator", "_partial_": True, "width": 32},
    }
    networks = build_networks(model, labels, conditions, DataShape((2,), 8), 1)
    return GAN(*networks, NonSaturating(), Optimizers(fast, fast), conditions=conditions, **options)


def fast(parameters):
    return torch.optim.Adam(parameters, lr=1e-3, betas=(0.5, 0.999))


def parts(name):
    place = "zerosum.models.conditioning"
    return {
        "generator": {"_target_": f"{place}.JoinedGenerator", "_partial_": True},
        "discriminator": {"_target_": f"{place}.JoinedDiscriminator", "_partial_": True},
    }


class Shuffled(Ring):
    """A ring whose labels say nothing of its points."""

    def stream(self, seed, device):
        return Permuted(super().stream(seed, device))


class Permuted:
    def __init__(self, stream):
        self.inner = stream

    def batch(self, index, size, shard):
        batch = self.inner.batch(index, size, shard)
        return Batch(
            batch.images, batch.condition[torch.randperm(size, generator=torch.Generator().manual_seed(index))]
        )


@pytest.mark.slow
def test_a_permutation_of_the_labels_in_training_destroys_what_they_say():
    accuracies = []
    for dataset in (Ring(sigma=0.2), Shuffled(sigma=0.2)):
        gan = conditional_ring()
        fit(gan, 700, dataset=dataset, batch_size=64)
        asked = torch.arange(8).repeat(64)
        with torch.no_grad():
            found = torch.cdist(gan.sample(range(512), asked), dataset.means).argmin(1)
        accuracies.append(float((found == asked).float().mean()))
    assert accuracies[0] > 0.9 and accuracies[1] < 0.6, accuracies


def test_unlabelled_data_are_refused_before_training(top, composed):
    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    for name in ("a", "b"):
        Image.new("RGB", (16, 16)).save(top / f"{name}.png")
    folder = ["dataset=image_folder", f"dataset.path={top}", "dataset.resolution=16", "features=patches"]
    with pytest.raises(UserError, match="this dataset has no labels: put each class into a sub-folder"):
        build(validate(composed(*folder, "metrics=sliced_wasserstein", "labels=projection", "trainer=cpu")))


@pytest.mark.parametrize("labels", ["concat", "projection", "acgan"])
def test_a_conditional_run_is_sampled_by_label_without_its_data(tmp_path, tiny, labels):
    from zerosum.experiment.train import train

    train(tiny(f"labels={labels}", "run.images=32", f"run.folder={tmp_path}/run"))
    module = load(tmp_path / "run", "last")
    assert module.label_use == "conditioned on labels"
    torch.testing.assert_close(module.conditions.counts.sum(), torch.tensor(float(len(module_dataset(tmp_path)))))
    sentence = sample(tmp_path / "run", "last", Asked(2, 5, labels=[0, 1]), str(tmp_path / "out"))
    assert "2 samples of each of the labels 0, 1" in sentence
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*(f"{seed:06d}_label{label}.png" for seed in (5, 6) for label in (0, 1)), "grid.png"]
    with pytest.raises(UserError, match="this run has the labels 0 to"):
        sample(tmp_path / "run", "last", Asked(2, 5, labels=[0, 99]), None)


def module_dataset(tmp_path):
    from zerosum.runs.load import load_dataset

    return load_dataset(tmp_path / "run").split("train").labels


@pytest.mark.slow
def test_the_command_takes_labels_with_commas(tmp_path):
    small = [option for option in TINY if "features" not in option and "n_fake" not in option]
    run = ["run.images=32", f"hydra.run.dir={tmp_path}/run", "~callbacks.evaluate", "~callbacks.report"]
    verb("train.py", *small, *run, f"dataset.root={tmp_path}/data", "labels=concat")
    assert "labels 0, 1, 2" in verb("sample.py", f"run={tmp_path}/run", "checkpoint=last", "labels=0,1,2", "count=2")
    assert "name whole numbers" in verb("sample.py", f"run={tmp_path}/run", "labels=a", fails=True)


def test_attributes_are_drawn_from_those_of_training_images():
    conditions = AttributeConditions(2)
    conditions.kept.copy_(torch.rand(1000, 2))
    drawn = conditions.draw([3, 4, 3])
    assert torch.equal(drawn[0], drawn[2]) and (conditions.kept == drawn[0]).all(1).any()


def test_classes_names_its_sides_and_adds_them_up():
    with pytest.raises(UserError, match="name real, fake or both"):
        Classes(1.0, sides=[])
    scored = [ScoredBatch(IMAGES, Scores(torch.zeros(4), torch.randn(4, 3)), LABELS) for _ in range(2)]
    both = Classes(2.0)(lambda images: None, *scored)
    alone = [Classes(2.0, sides=[side])(lambda images: None, *scored) for side in ("real", "fake")]
    torch.testing.assert_close(both, sum(alone))


def test_data_shape_of_a_run_is_read_as_numbers(tmp_path):
    from zerosum.runs.load import saved_shape

    assert saved_shape({"data": {"sample_shape": [1, 8, 8], "num_classes": 3}}, tmp_path) == DataShape((1, 8, 8), 3)
    with pytest.raises(UserError, match=r"no data\.num_classes"):
        saved_shape({"data": {"sample_shape": [1, 8, 8], "num_classes": "10**9"}}, tmp_path)


def test_a_conditional_run_goes_on_as_if_it_had_not_ended(tmp_path, tiny):
    from zerosum.experiment.train import train

    options = ("labels=acgan", "~callbacks.evaluate", "~callbacks.doctor", "dataset.flip=true")
    train(tiny(*options, "run.images=96", f"run.folder={tmp_path}/straight"))
    train(tiny(*options, "run.images=48", f"run.folder={tmp_path}/parts"))
    train(tiny(*options, "run.images=96", f"run.folder={tmp_path}/parts"), tmp_path / "parts" / "last.ckpt")
    straight, parts = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("straight", "parts")
    )
    assert straight.keys() == parts.keys() and any("conditions" in name for name in straight)
    assert all(torch.equal(straight[name], parts[name]) for name in straight)


@pytest.mark.parametrize("counts", [[0.0, 0.0], [-1.0, 2.0], [float("inf"), 1.0], [float("nan"), 1.0]], ids=str)
def test_damaged_counts_of_labels_are_no_labels(counts):
    conditions = LabelConditions(2)
    conditions.counts.copy_(torch.tensor(counts))
    with pytest.raises(UserError, match=r"counts of labels .* are damaged"):
        conditions.draw([0, 1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["labels=projection", "labels.use=none"], "used otherwise, as 'conditioned on labels'"),
        (["labels=infogan", "labels.use=conditioned on labels"], "used otherwise, as 'none'"),
        (["labels=semi_supervised", "labels.use=none"], "used otherwise, as 'trained with labels'"),
    ],
)
def test_a_card_cannot_be_told_another_use_of_labels(tiny, options, said):
    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    with pytest.raises(UserError, match=said):
        build(validate(tiny(*options)))


@pytest.mark.parametrize(
    "asked", [{"labels": [0], "attributes": [1.0]}, {"attributes": [float("nan")]}, {"labels": []}]
)
def test_samples_are_asked_for_one_thing_that_can_be(asked):
    with pytest.raises(UserError, match=r"labels|attributes"):
        Asked(1, 0, **asked)


@pytest.mark.parametrize(("labels", "is_able"), [("acgan", True), ("projection", False), ("infogan", False)])
def test_only_a_discriminator_that_guesses_classes_classifies(tiny, labels, is_able):
    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    gan = build(validate(tiny(f"labels={labels}"))).module
    images = torch.zeros(2, *build(validate(tiny())).data.dataset.sample_shape)
    if is_able:
        assert gan.classify(images).shape == (2, 4)
    else:
        with pytest.raises(UnmeasurableError, match="gives no classes"):
            gan.classify(images)

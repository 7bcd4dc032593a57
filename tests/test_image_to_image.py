"""A GAN that makes images from images: its networks, its terms, and runs from the command line to samples."""

import json

import numpy as np
import pytest
import torch
from conftest import ROOT

from zerosum.data.dataset import DataShape
from zerosum.data.pairs import Pairs, Smaller
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.labels.image_conditions import KEPT, ImageConditions
from zerosum.gan.logits import separation
from zerosum.gan.losses import Hinge, NonSaturating, RelativisticAverage, Weighted
from zerosum.gan.reconstruction import L1, L2
from zerosum.gan.regularizers import R1, ScoredBatch
from zerosum.models.image_to_image import Discriminator, Generator
from zerosum.models.networks import Scores
from zerosum.pixels import from_uint8
from zerosum.runs.load import load, saved_shape

SMALL = (
    *("dataset=super_resolution", "model=image_to_image", "dataset.of._target_=zerosum.data.synthetic.Synthetic"),
    *("~dataset.of.download", "dataset.of.resolution=16", "dataset.condition.resolution=4", "+dataset.of.count=64"),
    *("model.base_channels=4", "training.batch_size=16", "features=patches", "metrics=[pair_fidelity]"),
    *("protocol.n_fake=32", "callbacks.samples.count=8", "callbacks.samples.frames=2", "trainer=cpu"),
    "run.images=64",
)
"""8 steps of a second"""


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 32), (1, 64, 64)])
@pytest.mark.parametrize("condition_shape", [(1, 8, 8), (2, 32, 32)])
def test_networks_take_conditions_of_any_size(shape, condition_shape):
    generator = Generator(shape, condition_shape, latent_dim=3, base_channels=4)
    images = generator(torch.randn(2, 3), torch.randn(2, *condition_shape))
    assert images.shape == (2, *shape) and images.abs().max() <= 1
    logits = Discriminator(shape, condition_shape, 4, depth=2)(images, torch.randn(2, *condition_shape)).logits
    assert logits.shape == (2, (shape[1] // 4) ** 2)


@pytest.mark.parametrize(("depth", "side"), [(1, 8), (2, 18), (3, 38), (4, 78)])
def test_a_patch_is_as_wide_as_the_docstring_says(depth, side):
    network = Discriminator((1, 128, 128), None, 2, depth, spectral_norm=True).eval()
    images = torch.randn(1, 1, 128, 128, requires_grad=True)
    logits = network(images).logits
    width = 128 >> depth
    logits[0, (width // 2) * width + width // 2].backward()
    seen = images.grad[0, 0].abs().sum(0).nonzero()
    assert int(seen.max() - seen.min()) + 1 == side


def test_z_changes_the_image_at_once_and_without_z_there_is_one():
    torch.manual_seed(0)
    condition = torch.randn(1, 1, 16, 16).expand(64, -1, -1, -1)
    images = Generator((1, 16, 16), (1, 16, 16), 8, 8)(torch.randn(64, 8), condition)
    other = Generator((1, 16, 16), (1, 16, 16), 8, 8)(torch.zeros(64, 8), condition)
    assert images.var(0).mean() > 0.1 * other.flatten(1).var(1).mean()
    same = Generator((1, 16, 16), (1, 16, 16), 0, 8)(torch.zeros(64, 0), condition)
    assert torch.equal(same[0], same[63])


@pytest.mark.parametrize("options", [{"depth": 4}, {"base_channels": 0}, {"sample_shape": (1, 20, 20)}])
def test_networks_refuse_what_they_cannot_be(options):
    with pytest.raises(UserError):
        Discriminator(**{"sample_shape": (1, 16, 16), "condition_shape": None, **options})


@pytest.mark.parametrize("loss", [NonSaturating(), Hinge(), RelativisticAverage()])
def test_a_weighted_loss_scales_what_the_generator_pays_alone(loss):
    real, fake = torch.randn(2, 5)
    weighted = Weighted(loss, 0.3)
    assert weighted.discriminator(real, fake) == loss.discriminator(real, fake)
    assert weighted.generator(fake, real) == pytest.approx(0.3 * loss.generator(fake, real))
    assert (weighted.paired, weighted.zero_separates) == (loss.paired, loss.zero_separates)
    assert Weighted(loss, 0).generator(fake, real) == 0
    with pytest.raises(UserError, match=r"loss\.weight=-1"):
        Weighted(loss, -1)


@pytest.mark.parametrize(("term", "best"), [(L1(1.0), 1.0), (L2(1.0), 0.4)])
def test_the_best_answer_to_a_distance_alone_is_the_median_or_the_mean(term, best):
    """Of answers -1 (0.3) and 1 (0.7), by gradient descent on one pixel."""
    real = torch.tensor([-1.0] * 3 + [1.0] * 7).view(10, 1, 1, 1)
    answer = torch.zeros(1, 1, 1, 1, requires_grad=True)
    for _ in range(400):
        sides = [ScoredBatch(images, Scores(torch.zeros(10))) for images in (real, answer.expand(10, 1, 1, 1))]
        (gradient,) = torch.autograd.grad(term(lambda images: None, *sides), answer)
        answer.data -= 0.01 * gradient
    assert answer.item() == pytest.approx(best, abs=0.02)


def test_a_gradient_penalty_of_patches_is_that_of_their_mean():
    torch.manual_seed(0)
    network = Discriminator((1, 16, 16), None, 4, 2, spectral_norm=True).double().eval()
    images = torch.randn(3, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    found = R1(1.0).penalty(network, ScoredBatch(images, network(images)), None)
    each = [torch.autograd.grad(network(image[None]).logits.mean(), image)[0] for image in images.detach()
            for image in [image.requires_grad_()]]  # fmt: skip
    torch.testing.assert_close(found, 0.5 * torch.stack(each).square().sum((1, 2, 3)).mean())


def test_separation_of_patches_is_that_of_all_their_logits():
    real, fake = torch.randn(6, 4), torch.randn(5, 4)
    assert separation(real, fake) == separation(real.flatten(), fake.flatten())


def test_conditions_are_held_out_ones_and_each_is_drawn_by_its_seed(tmp_path):
    dataset = Pairs(Synthetic(16, count=40), Smaller(4), root=str(tmp_path))
    conditions = ImageConditions(DataShape(dataset.sample_shape, condition_shape=dataset.condition_shape))
    conditions.begin(dataset)
    held_out = {image.tobytes() for image in dataset.split("test").images}
    assert {image.numpy().tobytes() for image in conditions.real} <= held_out
    np.testing.assert_array_equal(Smaller(4)(conditions.real.numpy()), conditions.kept.numpy())
    drawn = conditions.draw(range(5))
    assert torch.equal(drawn[[3]], conditions.draw([3])) and drawn.shape == (5, 1, 4, 4) and drawn.abs().max() <= 1
    assert len(conditions.draw(range(400)).unique(dim=0)) > 0.3 * KEPT


def test_a_picture_shows_the_condition_and_the_truth_above_the_samples(tmp_path):
    dataset = Pairs(Synthetic(16, 3, count=40), Smaller(4), root=str(tmp_path))
    conditions = ImageConditions(DataShape(dataset.sample_shape, condition_shape=dataset.condition_shape))
    conditions.begin(dataset)
    condition, columns, _ = conditions.arrange(24)
    above = conditions.rows_above(columns)
    assert columns == 8 and len(condition) == 24 and above.shape == (16, 3, 16, 16)
    assert torch.equal(above[8:], from_uint8(conditions.real[:8].permute(0, 3, 1, 2)))
    assert torch.equal(above[:8, :, ::4, ::4], condition[:8])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["dataset=digits", "model=image_to_image"], "labels=image: this dataset gives no image as the condition"),
        (["dataset=bounce", "labels=projection"], "as model=image_to_image takes it: leave the option labels out"),
        (["dataset=bounce", "labels=image"], r"zerosum\.models\.dcgan\.Generator takes no image"),
        (["dataset=bounce", "model=image_to_image", "game.pack=2"], r"game\.pack=2: a pack of images"),
        (
            ["dataset=bounce", "model=cycle_gan", "loss=hinge"],
            r"is not a game of two networks: leave loss=hinge out, or write \+loss@model.loss=hinge$",
        ),
        (["dataset=cart_pole", "model=gail", "loss=hinge"], r"or write \+loss@model\.loss=hinge$"),
        (["dataset=digits", "model=autoencoder", "loss=hinge"], "leave loss=hinge out$"),
        (["dataset=ar2", "model=dcgan"], "takes no past: use model=recurrent"),
        (["dataset=ar2", "model=dcgan", "labels=none"], "for series model=recurrent"),
        (
            ["dataset=super_resolution", "model=image_to_image", "dataset.of.resolution=28"],
            r"dataset\.of\.resolution where",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_before_training(composed, options, message):
    with pytest.raises(UserError, match=message):
        build(validate({**composed(*options), "command": {"overrides": options}}))


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "conf/experiment/application").glob("*.yaml")))
def test_each_preset_of_an_application_builds_and_says_its_command(composed, name):
    text = (ROOT / f"conf/experiment/application/{name}.yaml").read_text()
    assert f"python train.py experiment=application/{name}\n" in text
    built = build(validate(composed(f"experiment=application/{name}")))
    shape = built.data.dataset.sample_shape
    assert len(shape) < 3 or built.run.images * shape[1] * shape[2] <= 150_000 * 32 * 32  # minutes at most


def train_small(composed, folder, *options):
    from zerosum.experiment.train import train

    last = folder / "last.ckpt"
    train(composed(*SMALL, *options, f"run.folder={folder}"), last if last.exists() else None)
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_resumed_bit_for_bit_and_sampled_without_its_data(composed, tmp_path):
    straight = train_small(composed, tmp_path / "straight")
    train_small(composed, tmp_path / "parts", "run.images=32")
    parts = train_small(composed, tmp_path / "parts")
    assert all(torch.equal(straight[name], parts[name]) for name in straight)
    module = load(tmp_path / "straight", "last")
    assert module.label_use == "conditioned on images" and module.conditions.kept.any()
    asked = module.conditions.draw([1, 1, 2])
    one, other, third = module.sample([5, 6, 5], asked)
    assert one.shape == (1, 16, 16) and not torch.equal(one, other) and not torch.equal(one, third)
    record = json.loads((tmp_path / "straight" / "metrics.json").read_text())
    assert {"psnr", "ssim", "sharpness"} <= record["last"]["values"].keys()
    assert record["last"]["card"]["protocol"]["labels"] == "conditioned on images"


def test_a_weight_of_zero_gives_the_generator_of_the_distance_alone(composed, tmp_path):
    """Another loss of D then makes no difference to G."""
    options = ("loss.weight=0", "~callbacks.evaluate", "~callbacks.samples", "~callbacks.doctor", "run.images=48")
    nonsat = train_small(composed, tmp_path / "one", *options)
    least = train_small(
        composed, tmp_path / "two", *options, "loss.loss._target_=zerosum.gan.losses.LeastSquares", "~loss.loss.smooth"
    )
    assert all(torch.equal(nonsat[name], least[name]) for name in nonsat if name.startswith("generator."))
    assert any(not torch.equal(nonsat[name], least[name]) for name in nonsat if name.startswith("discriminator."))


def test_an_exported_run_makes_the_same_images_of_the_same_conditions(composed, tmp_path):
    from zerosum.commands.export import export
    from zerosum.runs.trained import load as load_trained

    train_small(composed, tmp_path / "run", "~callbacks.evaluate", "~callbacks.samples", "run.images=16")
    export(tmp_path / "run", checkpoint="last", output=str(tmp_path / "out"))
    run, exported = load_trained(tmp_path / "run", "last"), load_trained(tmp_path / "out")
    condition = torch.randn(3, 1, 4, 4).clamp(-1, 1)
    assert torch.equal(run.sample([4, 5, 6], condition), exported.sample([4, 5, 6], condition))
    assert torch.equal(run.sample([4, 5]), exported.sample([4, 5]))  # of the conditions that it keeps


@pytest.mark.parametrize("given", [[1, 8], [1, 8, 0], "1", [1, 8, "8"]])
def test_a_damaged_shape_of_the_condition_is_refused(tmp_path, given):
    with pytest.raises(UserError, match=r"damaged data\.condition_shape"):
        saved_shape({"data": {"sample_shape": [1, 8, 8], "condition_shape": given}}, tmp_path)
    good = saved_shape({"data": {"sample_shape": [1, 8, 8], "condition_shape": [2, 4, 4]}}, tmp_path)
    assert good == DataShape((1, 8, 8), condition_shape=(2, 4, 4))

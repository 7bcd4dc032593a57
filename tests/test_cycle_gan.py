"""CycleGAN: its terms against the equations, and its runs."""

from functools import partial

import numpy as np
import pytest
import torch

from zerosum.applications.cycle_gan import CycleGAN
from zerosum.data.dataset import Batch
from zerosum.errors import UserError
from zerosum.models.image_to_image import Discriminator, Generator
from zerosum.runs.load import load, load_dataset
from zerosum.training.module import split

SMALL = (
    *("dataset=unpaired", "model=cycle_gan", "dataset.of._target_=zerosum.data.synthetic.Synthetic"),
    *("~dataset.of.download", "dataset.of.resolution=16", "+dataset.of.count=64", "model.generator.base_channels=4"),
    *("model.discriminator.base_channels=4", "training.batch_size=8", "features=patches", "metrics=[pair_fidelity]"),
    *("protocol.n_fake=32", "callbacks.samples.count=8", "callbacks.samples.frames=2", "trainer=cpu"),
    "run.images=64",
)


def make(**options):
    torch.manual_seed(0)
    return CycleGAN(
        (1, 16, 16),
        partial(torch.optim.Adam, lr=1e-3),
        partial(Generator, latent_dim=0, base_channels=4),
        partial(Discriminator, base_channels=4, depth=2, spectral_norm=True),
        **options,
    ).eval()


def test_the_terms_are_those_of_the_paper():
    """Equations 1 to 3 and section 5.2, written once more with the networks by their letters."""
    module = make(adversarial=2.0, cycle=3.0, identity=5.0)
    a, b = torch.randn(2, 4, 1, 16, 16).clamp(-1, 1)
    G, F = ((lambda x, net=module.generators[name]: net(torch.zeros(4, 0), x)) for name in ("forth", "back"))  # noqa: N806
    D_b, D_a = (module.discriminators[name] for name in ("forth", "back"))  # noqa: N806
    terms, samples = module.generator_terms(Batch(b, a))
    torch.testing.assert_close(samples, G(a))
    judged = 0.5 * (D_b(G(a)).logits - 1).square().mean() + 0.5 * (D_a(F(b)).logits - 1).square().mean()
    torch.testing.assert_close(terms["adversarial"], 2 * judged)
    torch.testing.assert_close(terms["cycle"], 3 * ((F(G(a)) - a).abs().mean() + (G(F(b)) - b).abs().mean()))
    torch.testing.assert_close(terms["identity"], 5 * ((G(b) - b).abs().mean() + (F(a) - a).abs().mean()))
    real = 0.5 * (D_b(b).logits - 1).square().mean() + 0.5 * (D_a(a).logits - 1).square().mean()
    fake = 0.5 * D_b(G(a)).logits.square().mean() + 0.5 * D_a(F(b)).logits.square().mean()
    torch.testing.assert_close(module.discriminator_loss(Batch(b, a)), real + fake)


def test_discriminators_learn_from_no_gradient_of_the_generators_and_the_other_way_round():
    module = make()
    batch = Batch(*torch.randn(2, 4, 1, 16, 16))
    module.discriminator_loss(batch).backward()
    assert all(parameter.grad is None for parameter in module.generators.parameters())
    assert all(parameter.grad is not None for parameter in module.discriminators.parameters())


@pytest.mark.parametrize(("identity", "batches"), [(0.0, 2), (1.0, 3)])
def test_without_the_identity_term_batch_norms_see_only_what_is_to_be_translated(identity, batches):
    """The averages that samples are made by would else be half of images and half of conditions."""
    module = make(identity=identity).train()
    terms, _ = module.generator_terms(Batch(*torch.randn(2, 4, 1, 16, 16).clamp(-1, 1)))
    norms = [layer for layer in module.generators.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert {int(layer.num_batches_tracked) for layer in norms} == {batches} and norms
    assert ("identity" in terms) == (identity > 0)


def test_weights_below_zero_and_pairs_of_other_shapes_are_refused():
    with pytest.raises(UserError, match=r"model\.cycle=-1"):
        make(cycle=-1.0)
    with pytest.raises(UserError, match="take dataset=unpaired"):
        make().generator_terms(Batch(torch.zeros(2, 1, 16, 16), torch.zeros(2, 1, 8, 8)))


def train_small(composed, folder, *options, resumed=False):
    from zerosum.experiment.train import train

    train(composed(*SMALL, *options, f"run.folder={folder}"), folder / "last.ckpt" if resumed else None)
    return torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_resumed_bit_for_bit_and_translates_without_its_data(composed, tmp_path):
    straight = train_small(composed, tmp_path / "straight")
    train_small(composed, tmp_path / "parts", "run.images=32")
    parts = train_small(composed, tmp_path / "parts", resumed=True)
    assert all(torch.equal(straight[name], parts[name]) for name in straight)
    module = load(tmp_path / "straight", "last")
    condition = module.conditions.draw([0, 1])
    assert torch.equal(module.sample([3, 4], condition), module.sample([7, 8], condition))  # z plays no part


def test_terms_of_micro_batches_average_to_those_of_the_batch():
    module, batch = make(), Batch(*torch.randn(2, 4, 1, 16, 16).clamp(-1, 1))
    whole = [*module.generator_terms(batch)[0].values(), module.discriminator_loss(batch)]
    parts = [[*module.generator_terms(part)[0].values(), module.discriminator_loss(part)] for part in split(batch, 2)]
    for expected, *each in zip(whole, *parts, strict=True):
        torch.testing.assert_close(torch.stack(each).mean(), expected)


@pytest.mark.slow
def test_it_finds_the_negative_without_a_pair(composed, tmp_path):
    """Squares on dark noise: the translation is 4 dB nearer to the truth than the negative is."""
    from zerosum.experiment.train import train

    options = ["dataset.of.count=512", "run.images=8000", "optimizer.lr=0.002", "model.identity=0"]
    outcome = train(composed(*SMALL, *options, f"run.folder={tmp_path}/run"))
    dataset = load_dataset(tmp_path / "run").split("test")
    error = np.square(dataset.images.astype(float) - dataset.condition_images).mean()
    unchanged = 10 * np.log10(255**2 / error)
    assert outcome.evaluate.history[-1].values["psnr"] > unchanged + 4

"""Autoencoders: moments of codes, the adaptive weight by hand, reconstructions by PSNR and the Frechet distance."""

import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import mse_loss

from zerosum.data.binarized import BinarizedDigits
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.reconstruction import Reconstruction, psnr
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.families.autoencoder import Autoencoder, EncoderDecoder
from zerosum.families.autoencoder_gan import AutoencoderGAN, adaptive_weight
from zerosum.gan.losses import Hinge, Relativistic
from zerosum.models.autoencoder import Decoder, Discriminator, Encoder

SGD = {name: partial(torch.optim.SGD, lr=0.1) for name in ("discriminator", "generator")}
QUICK = ("dataset=binarized_digits", "training.batch_size=8", "trainer=cpu", "model.base_channels=8")
SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 32, 32), (2, 5, 5), (1, 3, 3)])
def test_images_of_any_size_come_back_in_their_size(shape):
    images = torch.rand(2, *shape) * 2 - 1
    codes = Encoder(shape, 7, 8)(images)
    returned = Decoder(shape, 7, 8)(codes)
    assert codes.shape == (2, 7) and returned.shape == images.shape and returned.abs().max() <= 1
    assert Discriminator(shape, 8)(images).logits.shape == (2,)


def test_random_codes_have_the_moments_of_real_ones():
    """After many batches of one distribution, to a tenth."""
    torch.manual_seed(0)
    network = EncoderDecoder(torch.nn.Identity(), torch.nn.Identity(), 3)
    scale, shift = torch.tensor([0.5, 2.0, 4.0]), torch.tensor([1.0, -1.0, 0.0])
    for _ in range(600):
        network(torch.randn(64, 3) * scale + shift)
    decoded = network.decode(torch.randn(20_000, 3))
    torch.testing.assert_close(decoded.mean(0), shift, atol=0.15, rtol=0)
    torch.testing.assert_close(decoded.std(0), scale, atol=0, rtol=0.1)
    before = network.mean.clone()
    network.eval()(torch.randn(64, 3))
    assert torch.equal(network.mean, before)


def test_the_adaptive_weight_makes_both_gradients_equally_long():
    torch.manual_seed(0)
    last = torch.nn.Linear(4, 4)
    x, y = torch.randn(16, 4), torch.randn(16, 4)
    error, adversarial = mse_loss(last(x), y), 1e3 * last(x).tanh().mean()
    balance = adaptive_weight(error, adversarial, last.weight)
    of_error, of_both = (
        torch.autograd.grad(loss, last.weight, retain_graph=True)[0].norm() for loss in (error, balance * adversarial)
    )
    torch.testing.assert_close(of_error, of_both, rtol=1e-4, atol=0)
    assert not balance.requires_grad
    assert float(adaptive_weight(error, 0.0 * adversarial, last.weight)) == 1e4


@pytest.mark.parametrize("loss", [Hinge(), Relativistic()])
def test_its_losses_are_those_of_the_equations(loss):
    torch.manual_seed(0)
    module = AutoencoderGAN((1, 8, 8), SGD, loss, base_channels=8, weight=0.3).eval()
    images = torch.rand(6, 1, 8, 8) * 2 - 1
    fake, losses = module.autoencoder_losses(images, plays=True)
    real_logits, fake_logits = module.discriminator(images).logits, module.discriminator(fake).logits
    expected = mse_loss(fake, images) + 0.3 * losses["adaptive_weight"] * loss.generator(fake_logits, real_logits)
    torch.testing.assert_close(losses["model"], expected)
    torch.testing.assert_close(
        module.discriminator_loss(images, fake.detach()), loss.discriminator(real_logits, fake_logits)
    )
    assert module.autoencoder_losses(images, plays=False)[1].keys() == {"model", "error"}


def test_the_game_begins_at_its_start(composed):
    """Before it the discriminator keeps its weights, and the autoencoder is that of the mean squared error."""
    both = ("model=autoencoder_gan", "model.start=24", "optimizer=adam", "optimizer.lr=0.001")

    def prepared(*options):
        return build(validate(composed(*options, *QUICK, *SILENT, "~logger.csv")))

    def fitted(*options):
        built = prepared(*options)
        built.trainer.fit(built.module, datamodule=built.data)
        return built.module.network.state_dict()

    built, moved = prepared(*both, "run.images=32"), []
    first = [weight.clone() for weight in built.module.discriminator.parameters()]
    finish = built.module.finish_step

    def watch(*arguments):
        now = built.module.discriminator.parameters()
        moved.append(any(not torch.equal(*pair) for pair in zip(first, now, strict=True)))
        finish(*arguments)

    built.module.finish_step = watch
    built.trainer.fit(built.module, datamodule=built.data)
    assert moved == [False, False, False, True]
    alone = fitted("model=autoencoder", "optimizer.betas=[0.5,0.999]", "run.images=24")
    for name, weight in fitted(*both, "run.images=24").items():
        torch.testing.assert_close(weight, alone[name], rtol=0, atol=1e-6)


def test_psnr_is_that_of_the_equation():
    images = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
    others = images.clone()
    others[0], others[1, 0, 0, 0] = 10, 16
    expected = [20 * math.log10(255 / 10), 10 * math.log10(255**2 * 16 / 16**2)]
    torch.testing.assert_close(psnr(images, others), torch.tensor(expected, dtype=torch.float64))


class Perfect:
    """Gives every image back."""

    def sample(self, seeds, condition=None):
        return torch.ones(len(seeds), 1, 8, 8)

    def reconstruct(self, images):
        return images


def test_perfect_reconstructions_have_distance_0_and_others_none(tmp_path):
    from zerosum.evaluation.features.classifier import ClassifierFeatures
    from zerosum.evaluation.image_protocol import ImageProtocol

    protocol = ImageProtocol(
        "some", ClassifierFeatures(steps=10), {"reconstruction": Reconstruction()}, 10, floor=False
    )
    protocol.prepare(BinarizedDigits(str(tmp_path)))
    values = protocol.measure(Perfect())
    assert values["rfid"] == pytest.approx(0, abs=1e-6) and values["psnr"] == pytest.approx(
        10 * math.log10(255**2 * 64)
    )
    with pytest.raises(UnmeasurableError, match="reconstructs nothing: choose a model that does"):
        Reconstruction().measure_model(protocol, SimpleNamespace(sample=None))


def test_pictures_show_reconstructions_and_the_plane_of_two_codes():
    drawn = {}
    for latent_dim in (2, 3):
        module = Autoencoder((1, 8, 8), None, latent_dim=latent_dim, base_channels=8).eval()
        with torch.inference_mode():
            drawn[latent_dim] = set(module.illustrate(BinarizedDigits()))
    assert drawn == {2: {"reconstructions", "plane_of_codes"}, 3: {"reconstructions"}}


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UserError, match="an autoencoder needs images, this dataset has points"):
        Autoencoder((2,), None)
    with pytest.raises(UserError, match=r"model\.base_channels=12: choose a multiple of 8"):
        Autoencoder((1, 8, 8), None, base_channels=12)
    with pytest.raises(UserError, match=r"model\.weight=-1"):
        AutoencoderGAN((1, 8, 8), SGD, Hinge(), weight=-1)

"""The zoo: sizes and rules of the papers, and each part against the plain way to write it."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, max_pool2d

from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.gan import GAN
from zerosum.gan.losses import Hinge, NonSaturating
from zerosum.models import biggan, r3gan, sngan, stylegan2
from zerosum.models.attention import SelfAttention
from zerosum.models.conditioning import OneHot, OwnCondition, ProjectionDiscriminator, condition_batch_norms
from zerosum.models.equalized import EqualizedConv2d, EqualizedLinear, activate, normalize
from zerosum.models.resampling import Blur, Downsample, Upsample
from zerosum.models.residual import DiscriminatorBlock, GeneratorBlock
from zerosum.sampling import latents
from zerosum.training.ema import ExponentialMovingAverage
from zerosum.training.process import silence_libraries

RGB, LABEL = (3, 32, 32), OneHot(10)
SAGAN = (
    partial(sngan.Generator, attention=True, spectral_norm=True),
    partial(sngan.Discriminator, attention=True),
)
SMALL = {
    "sngan": (partial(sngan.Generator, base_channels=4, latent_dim=8), partial(sngan.Discriminator, base_channels=8)),
    "sagan": (partial(SAGAN[0], base_channels=4, latent_dim=8), partial(SAGAN[1], base_channels=8)),
    "biggan": (
        partial(biggan.Generator, base_channels=2, latent_dim=140),
        partial(biggan.Discriminator, base_channels=8),
    ),
    "stylegan2": (
        partial(stylegan2.Generator, latent_dim=8, style_dim=8, channel_base=256, channel_max=16),
        partial(stylegan2.Discriminator, channel_base=256, channel_max=16, group=4),
    ),
    "r3gan": (
        partial(r3gan.Generator, latent_dim=8, width=32, blocks=1),
        partial(r3gan.Discriminator, width=32, blocks=1),
    ),
}
RESOLUTIONS = {
    "sngan": (16, 32, 64, 128),
    "sagan": (16, 32, 64, 128),
    "biggan": (32, 64, 128, 256),
    "stylegan2": (16, 32, 64, 128, 256),
    "r3gan": (16, 32, 64, 128, 256),
}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: sngan.Generator(RGB), 4_276_739),
        (lambda: sngan.Discriminator(RGB), 1_053_824),
        (lambda: condition_batch_norms(sngan.Generator, LABEL, RGB), 4_304_387),
        (lambda: ProjectionDiscriminator(sngan.Discriminator, LABEL, RGB), 1_055_104),
        (lambda: sngan.Generator((3, 64, 64)), 12_220_675),
        (lambda: sngan.Discriminator((3, 64, 64)), 10_141_441 - 1),  # the count in print has a bias in the last layer
        (lambda: condition_batch_norms(SAGAN[0], LABEL, RGB), 4_304_387 + 81_920 + 1),
        (lambda: ProjectionDiscriminator(SAGAN[1], LABEL, RGB), 1_055_104 + 20_480 + 1),
        (lambda: OwnCondition(biggan.Generator, LABEL, RGB), 9_416_196),
        (lambda: ProjectionDiscriminator(biggan.Discriminator, LABEL, RGB), 2_415_170),
        (lambda: OwnCondition(stylegan2.Generator, LABEL, RGB), 20_215_315),
        (lambda: OwnCondition(stylegan2.Discriminator, LABEL, RGB), 23_089_664),
        (lambda: stylegan2.Generator(RGB), 19_947_539),
        (lambda: stylegan2.Discriminator(RGB), 20_720_641),
    ],
)
def test_parameters_are_as_many_as_in_the_original(make, expected):
    with torch.device("meta"):
        assert count(make()) == expected


@pytest.mark.parametrize(
    ("make", "millions"),
    [
        (lambda: OwnCondition(r3gan.Generator, LABEL, RGB), 20.78),
        (lambda: OwnCondition(r3gan.Discriminator, LABEL, RGB), 21.28),
        (lambda: r3gan.Generator(RGB), 20.73),
        (lambda: r3gan.Discriminator(RGB), 20.68),
    ],
)
def test_r3gan_has_the_papers_millions_of_parameters(make, millions):
    with torch.device("meta"):
        assert round(count(make()) / 1e6, 2) == millions


@pytest.mark.parametrize("name", SMALL)
def test_networks_make_and_judge_images_of_every_size_of_the_paper(name):
    make_generator, make_discriminator = SMALL[name]
    for side in RESOLUTIONS[name]:
        latent_dim = len(biggan.WIDTHS[side]) if name == "biggan" else 8
        channels = 3 if side == 32 else 1
        generator = make_generator((channels, side, side), latent_dim=latent_dim).eval()
        images = generator(torch.randn(1, latent_dim).repeat(2, 1))
        assert images.shape == (2, channels, side, side) and images.abs().max() <= 1
        scores = make_discriminator((channels, side, side))(images)
        assert scores.logits.shape == (2,) and scores.logits.isfinite().all()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(1, 48, 48), (3, 512, 512), (3, 32, 64), (2,)])
def test_other_shapes_are_refused_with_what_to_do(name, shape):
    for make in SMALL[name]:
        with pytest.raises(UserError, match=r"set dataset\.resolution|use model=mlp"):
            make(shape)


def conditional(name: str) -> tuple[nn.Module, nn.Module]:
    """Small networks for ten labels in the way of their papers."""
    make_generator, make_discriminator = SMALL[name]
    if name in ("stylegan2", "r3gan"):
        return OwnCondition(make_generator, LABEL, RGB), OwnCondition(make_discriminator, LABEL, RGB)
    discriminator = ProjectionDiscriminator(make_discriminator, LABEL, RGB)
    if name == "biggan":
        return OwnCondition(make_generator, LABEL, RGB), discriminator
    return condition_batch_norms(make_generator, LABEL, RGB), discriminator


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient_once_layers_that_start_at_zero_have_moved(name):
    torch.manual_seed(0)
    generator, discriminator = conditional(name)
    for module in (*generator.modules(), *discriminator.modules()):
        for parameter in module.parameters(recurse=False):
            if not parameter.any():  # R3GAN's last convolutions, attention, noise and biases
                nn.init.normal_(parameter, std=0.1)
    labels = torch.arange(10)
    logits = discriminator(generator(torch.randn(10, generator.latent_dim), labels), labels).logits
    (logits * torch.randn(10)).sum().backward()
    for network in (generator, discriminator):
        for parameter_name, parameter in network.named_parameters():
            gradient = parameter.grad
            assert gradient is not None and gradient.isfinite().all() and gradient.any(), parameter_name


@pytest.mark.parametrize("name", SMALL)
def test_labels_change_samples_and_logits(name):
    torch.manual_seed(0)
    generator, discriminator = (network.eval() for network in conditional(name))
    for module in generator.modules():  # class-conditional batch norm starts equal for all classes
        if hasattr(module, "gain") and isinstance(module.gain, nn.Linear):
            nn.init.normal_(module.gain.weight)
    z, labels = latents([7, 7], generator.latent_dim), torch.tensor([1, 2])
    images = generator(z, labels)
    assert (images[0] - images[1]).abs().max() > 1e-4
    logits = discriminator(images[:1].expand(2, -1, -1, -1), labels).logits
    assert (logits[0] - logits[1]).abs() > 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_the_gradient_penalty_of_d_has_finite_gradients_in_float32(name):
    torch.manual_seed(0)
    discriminator = conditional(name)[1]
    images = torch.randn(4, *RGB).requires_grad_()
    logits = discriminator(images, torch.arange(4)).logits
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    found = [parameter.grad for parameter in discriminator.parameters() if parameter.grad is not None]
    assert len(found) > 3 and all(each.isfinite().all() for each in found) and any(each.any() for each in found)


@pytest.mark.parametrize("name", SMALL)
def test_a_logit_depends_on_its_image_alone_but_for_the_deviation_of_stylegan2(name):
    torch.manual_seed(0)
    discriminator = SMALL[name][1](RGB).eval()
    images, order = torch.randn(8, *RGB), torch.tensor([5, 2, 7, 0, 4, 1, 6, 3])
    together, moved = discriminator(images).logits, discriminator(images[order]).logits
    assert torch.allclose(together[order], moved, rtol=1e-4, atol=1e-5) == (name != "stylegan2")
    neighbours = torch.tensor([4, 5, 6, 7, 0, 1, 2, 3])  # groups of four stay together
    torch.testing.assert_close(discriminator(images[neighbours]).logits, together[neighbours], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_a_sample_depends_on_its_seed_alone_noise_included(name):
    torch.manual_seed(0)
    generator, discriminator = (make(RGB) for make in SMALL[name])
    for module in generator.modules():
        if isinstance(module, stylegan2.StyledLayer):
            nn.init.ones_(module.strength)
    gan = GAN(generator, discriminator, NonSaturating())
    batch = gan.sample([3, 4, 5])
    torch.manual_seed(1)
    torch.testing.assert_close(gan.sample([4])[0], batch[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_networks_compute_in_bfloat16(name):
    generator, discriminator = (make(RGB) for make in SMALL[name])
    with torch.autocast("cpu", torch.bfloat16):
        images = generator(torch.randn(4, generator.latent_dim))
        assert discriminator(images).logits.isfinite().all()


@pytest.mark.parametrize("name", ["sngan", "sagan", "biggan"])
def test_sigma_is_within_5_percent_of_the_singular_value_after_50_steps_of_a_game(name):
    torch.manual_seed(0)
    generator, discriminator = (make(RGB).train() for make in SMALL[name])
    optimizers = [
        torch.optim.Adam(network.parameters(), lr, (0.0, 0.9))
        for network, lr in ((discriminator, 4e-4), (generator, 1e-4))
    ]
    for _ in range(50):
        fakes = generator(torch.randn(4, generator.latent_dim))
        real, fake = (discriminator(images).logits for images in (2 * torch.rand(4, *RGB) - 1, fakes.detach()))
        take_step(optimizers[0], Hinge().discriminator(real, fake))
        take_step(optimizers[1], Hinge().generator(discriminator(fakes).logits))
    normalized = [
        layer
        for network in (generator, discriminator)
        for layer in network.eval().modules()
        if hasattr(layer, "parametrizations")
    ]
    assert len(normalized) == {"sngan": 11, "sagan": 30, "biggan": 42}[name]
    for layer in normalized:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def take_step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def test_the_averages_singular_vectors_keep_their_length_and_all_buffers_follow():
    torch.manual_seed(0)
    generator = SMALL["biggan"][0](RGB).train()
    average, exact = ExponentialMovingAverage(generator, 100, None), ExponentialMovingAverage(generator, 0, None)
    for step in range(3):
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        generator(torch.randn(4, generator.latent_dim))
        for each in (average, exact):
            each.update(generator, 32, 32 * (step + 1))
    for (name, buffer), copy in zip(generator.named_buffers(), exact.network.buffers(), strict=True):
        if buffer.is_floating_point():
            torch.testing.assert_close(copy, buffer, msg=name)
    vectors = [buffer for name, buffer in average.network.named_buffers() if name.endswith(("._u", "._v"))]
    assert len(vectors) > 10
    for vector in vectors:
        assert vector.norm().item() == pytest.approx(1, abs=1e-5)


def test_equalized_layers_keep_the_variance_and_apply_the_gain_as_they_run():
    torch.manual_seed(0)
    linear = EqualizedLinear(400, 300, rate=0.01)
    assert linear.weight.std().item() == pytest.approx(100, rel=0.02)
    assert linear(torch.randn(200, 400)).std().item() == pytest.approx(1, rel=0.03)
    torch.testing.assert_close(linear(torch.ones(1, 400))[0], linear.weight.sum(1) * 0.01 / 20 + 0.01 * linear.bias)
    convolution = EqualizedConv2d(40, 60, 3, padding=1)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.02)
    assert convolution(torch.randn(20, 40, 16, 16))[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, rel=0.03)
    assert activate(torch.randn(100_000)).square().mean().item() == pytest.approx(1.04, rel=0.02)  # 2 (1 + 0.2^2) / 2
    torch.testing.assert_close(normalize(torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4.0]]) / math.sqrt(12.5))


def test_stylegan2_keeps_the_variance_of_white_features_at_the_start():
    """sqrt(2) leaky ReLU makes 1.04 of 1; a doubling spreads a quarter of the places over all, times the filter's."""
    torch.manual_seed(0)
    generator = stylegan2.Generator((3, 32, 32), 64, 64, channel_base=4096, channel_max=128)
    w = generator.mapping(torch.randn(16, 64), None)
    assert w.square().mean().item() == pytest.approx(1, rel=0.3)
    doubled = 1.04 * 16 * (20 / 64) ** 2 / 4
    for index, layer in enumerate(generator.eval().layers[1:]):
        side = layer.noise.shape[0] // (1 if index % 2 else 2)
        out = layer(torch.randn(16, 128, side, side), w)[:, :, 2:-2, 2:-2]
        assert out.square().mean().item() == pytest.approx(1.04 if index % 2 else doubled, rel=0.1)
    for block in stylegan2.Discriminator((3, 32, 32), 4096, 128).halvings:
        out = activate(block.first(torch.randn(8, block.first.weight.shape[1], 8, 8)))
        assert out[:, :, 1:-1, 1:-1].square().mean().item() == pytest.approx(1.04, rel=0.1)


def test_r3gans_blocks_start_as_the_identity_and_keep_the_variance_within():
    torch.manual_seed(0)
    block = r3gan.Block(64, 16, blocks=8)
    features = torch.randn(8, 64, 16, 16)
    torch.testing.assert_close(block(features), features)
    hidden = block.widen(features)
    assert hidden.std().item() == pytest.approx(r3gan.GAIN * 8**-0.25, rel=0.1)
    assert block.grouped.weight.std().item() == pytest.approx(r3gan.GAIN * 8**-0.25 / 12, rel=0.1)


def modulated_plainly(layer: stylegan2.ModulatedConv2d, features: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """One kernel for each image, scaled and normalized as in equations 1 to 3 of the paper, image by image."""
    found = []
    for image, style in zip(features, layer.style(w), strict=True):
        kernel = layer.gain * layer.weight * style[None, :, None, None]
        if layer.demodulate:
            kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.blur is None:
            found.append(conv2d(image[None], kernel, padding=layer.padding))
        else:
            spread = torch.zeros(1, len(image), 2 * image.shape[1] + 3, 2 * image.shape[2] + 3)
            spread[:, :, 2:-2:2, 2:-2:2] = image
            found.append(layer.blur(conv2d(spread, kernel.flip((2, 3)))))
    return torch.cat(found)


@pytest.mark.parametrize("options", [{}, {"up": True}, {"demodulate": False}, {"kernel": 1}])
def test_scaled_maps_equal_scaled_kernels(options):
    torch.manual_seed(0)
    layer = stylegan2.ModulatedConv2d(6, 5, options.pop("kernel", 3), 4, **options)
    features, w = torch.randn(3, 6, 8, 8), torch.randn(3, 4)
    torch.testing.assert_close(layer(features, w), modulated_plainly(layer, features, w), rtol=1e-4, atol=1e-5)


def test_attention_is_the_softmax_of_products():
    torch.manual_seed(0)
    layer, features = SelfAttention(16), torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(layer(features), features)  # the scale starts at 0
    nn.init.constant_(layer.scale, 0.7)
    query = layer.query(features).flatten(2)
    key, value = (max_pool2d(part(features), 2).flatten(2) for part in (layer.key, layer.value))
    weights = torch.einsum("bcq,bck->bqk", query, key).softmax(2)
    expected = layer.output(torch.einsum("bqk,bck->bcq", weights, value).unflatten(2, (8, 8)))
    torch.testing.assert_close(layer(features), features + 0.7 * expected, rtol=1e-4, atol=1e-5)


def test_shortcuts_may_convolve_the_smaller_map():
    torch.manual_seed(0)
    features = torch.randn(2, 6, 8, 8)
    up = GeneratorBlock(6, 4, nn.BatchNorm2d).eval()
    wide = interpolate(features, scale_factor=2)
    expected = up.second(up.first(features)) + up.shortcut[0](wide)
    torch.testing.assert_close(up(features), expected, rtol=1e-4, atol=1e-5)
    down = DiscriminatorBlock(6, 4, 6, down=True)
    expected = avg_pool2d(down.layers(features.relu()) + down.shortcut(features), 2)
    torch.testing.assert_close(down(features), expected, rtol=1e-4, atol=1e-5)


def test_resampling_is_zeros_between_places_and_the_filter():
    torch.manual_seed(0)
    features = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
    kernel = (taps[:, None] * taps / 64).expand(3, 1, 4, 4)
    spread = torch.zeros(2, 3, 12, 12, dtype=torch.float64)
    spread[:, :, ::2, ::2] = features
    padded = nn.functional.pad(spread, (2, 1, 2, 1))
    torch.testing.assert_close(Upsample()(features), conv2d(padded, 4 * kernel, groups=3))
    filtered = conv2d(nn.functional.pad(features, (1, 1, 1, 1)), kernel, groups=3)
    torch.testing.assert_close(Downsample()(features), filtered[:, :, ::2, ::2])
    torch.testing.assert_close(Blur(padding=1)(features), filtered)
    flat = torch.full((1, 1, 8, 8), 0.3)
    torch.testing.assert_close(Upsample()(flat)[:, :, 2:-2, 2:-2], torch.full((1, 1, 12, 12), 0.3))


def test_biggan_divides_z_over_its_layers():
    with pytest.raises(UserError, match="divided over 4 layers of biggan: choose at least as many"):
        biggan.Generator(RGB, latent_dim=3)
    generator = biggan.Generator(RGB, latent_dim=9, base_channels=4).eval()
    assert generator.parts == [3, 2, 2, 2]
    z = torch.randn(1, 9)
    for place in (0, 3, 5, 7):  # every part acts
        moved = z.clone()
        moved[:, place] += 1
        assert not torch.equal(generator(moved), generator(z))


def attended(network: nn.Module, inputs: torch.Tensor) -> list[int]:
    """The sides of the maps that attention layers are given."""
    seen: list[int] = []
    for layer in network.modules():
        if isinstance(layer, SelfAttention):
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape[2]))
    network(inputs)
    return seen


@pytest.mark.parametrize(("name", "expected"), [("sagan", {32: 16, 64: 32, 128: 64}), ("biggan", {64: 32, 256: 64})])
def test_attention_stands_at_half_the_side_at_most_64(name, expected):
    for image, side in expected.items():
        generator, discriminator = (make((1, image, image), base_channels=1) for make in SMALL[name])
        assert attended(generator, torch.randn(1, generator.latent_dim)) == [side]
        assert attended(discriminator, torch.randn(1, 1, image, image)) == [side]


def test_the_smallest_widths_are_networks_too():
    for width in (1, 4):
        assert r3gan.Generator((3, 256, 256), 4, width, 2, 1)(torch.randn(1, 4)).shape == (1, 3, 256, 256)
    assert r3gan.Discriminator((3, 64, 64), 1, 2, 1)(torch.randn(1, 3, 64, 64)).logits.shape == (1,)


def test_r3gans_embeddings_of_labels_start_as_in_the_original():
    torch.manual_seed(0)
    generator = r3gan.Generator(RGB, width=256, condition_size=10)
    discriminator = r3gan.Discriminator(RGB, width=256, condition_size=10)
    assert generator.embed.weight.std().item() == pytest.approx(10**-0.5, rel=0.1)
    assert discriminator.embed.weight.std().item() == pytest.approx((10 * 256) ** -0.5, rel=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["model=stylegan2", "model.channel_max=8", "model.discriminator.group=0"], r"model\.discriminator\.group=0"),
        (["model=stylegan2", "model.generator.style_dim=0"], r"model\.generator\.style_dim=0"),
        (["model=stylegan2", "model.channel_max=8", "training.batch_size=33"], "such as 64"),
        (["model=sngan", "trainer.precision=64-true"], "trains in 32-true, bf16-mixed or 16-mixed"),
    ],
)
def test_impossible_options_are_refused_by_their_names(composed, options, message):
    with pytest.raises(UserError, match=message):
        build(validate(composed(*options)))


def test_networks_without_a_place_for_labels_are_refused_with_what_works(composed):
    with pytest.raises(UserError, match="use labels=projection, concat or acgan"):
        build(validate(composed("model=sngan", "labels=own")))
    with pytest.raises(UserError, match="use labels/generator=own"):
        build(validate(composed("model=stylegan2", "model.channel_max=8", "labels=projection")))
    build(validate(composed("model=biggan", "model.base_channels=8", "labels=concat")))  # 90 numbers over 4 layers


TRAINED = {
    "sngan": ["labels=projection", "model.base_channels=4"],
    "sagan": ["labels=concat", "model.base_channels=8"],
    "biggan": ["labels=projection", "labels/generator=own", "model.base_channels=8", "dataset.resolution=32"],
    "stylegan2": ["labels=own", "model.channel_max=8", "model.latent_dim=16", "regularizer.r1.every=2"],
    "r3gan": ["labels=own", "model.width=16", "trainer.precision=bf16-mixed"],
}
SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "progress", "interrupt")]


@pytest.mark.parametrize("name", TRAINED)
def test_models_train_by_the_loss_and_the_optimizer_of_their_papers(composed, name):
    options = ["dataset=synthetic", "trainer=cpu", "training.batch_size=8", "run.images=24", "~logger.csv", *SILENT]
    built = build(validate(composed(f"model={name}", *options, *TRAINED[name])))
    before = {key: value.clone() for key, value in built.module.state_dict().items()}
    silence_libraries()
    built.trainer.fit(built.module, datamodule=built.data)
    assert all(weight.isfinite().all() for weight in built.module.parameters())
    for player in ("generator.", "discriminator."):
        moved = [key for key, value in built.module.state_dict().items() if not torch.equal(value, before[key])]
        assert any(key.startswith(player) for key in moved)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_generators_can_be_exported_with_any_batch_and_compiled(name):
    torch.manual_seed(0)
    generator = SMALL[name][0](RGB).eval()
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)}, None)
    exported = torch.export.export(generator, (torch.randn(4, generator.latent_dim), None), dynamic_shapes=shapes)
    compiled = torch.compile(generator, backend="aot_eager")  # the default one compiles C++ for a minute
    for batch in (1, 7):
        z = torch.randn(batch, generator.latent_dim)
        for form in (exported.module(), compiled):
            torch.testing.assert_close(form(z, None), generator(z, None), rtol=1e-4, atol=1e-4)

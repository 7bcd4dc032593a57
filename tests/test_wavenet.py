"""WaveNet: what it sees, what it keeps, and sound at the tones that it was trained on."""

import io
import math
import wave

import numpy as np
import pytest
import torch

from zerosum.data.tones import Tones
from zerosum.drawing.sound import encode_wav
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.tone_power import TonePower, power_at_tones
from zerosum.families.levels import from_levels, to_levels
from zerosum.families.wavenet import WaveNet, compress, expand

TONE = TonePower()


def make(length=40, **options):
    torch.manual_seed(0)
    model = WaveNet((length,), torch.optim.SGD, width=8, **options)
    with torch.no_grad():
        for weight in model.average.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return model


@pytest.mark.parametrize(("depth", "stacks", "expected"), [(3, 1, 8), (2, 3, 10), (10, 1, 1024), (10, 3, 3070)])
def test_the_receptive_field_is_one_and_the_sum_of_the_dilations(depth, stacks, expected):
    """1,024 and 3,070 are those of 1, 2, ..., 512 once and three times at kernel 2."""
    assert make(depth=depth, stacks=stacks).network.receptive_field == expected


@pytest.mark.parametrize(("depth", "stacks"), [(3, 1), (2, 3)])
def test_it_sees_its_receptive_field_and_nothing_else(depth, stacks):
    """One earlier value is changed; logits of the last value move if it is at most `receptive_field` values ago."""
    network = make(depth=depth, stacks=stacks).average.double()
    waves = torch.rand(1, 40, dtype=torch.float64) * 2 - 1
    before = network(waves)[0, :, -1]
    for ago in range(40):
        changed = waves.clone()
        changed[0, 39 - ago] = -changed[0, 39 - ago] + 0.3
        moved = bool((network(changed)[0, :, -1] != before).any())
        assert moved == (1 <= ago <= network.receptive_field), ago


def test_generation_by_rings_equals_naive_generation_bit_for_bit():
    model = make(60, depth=3, stacks=2)
    kept, naive = model.generate(range(5)), model.generate(range(5), naively=True)
    assert torch.equal(kept, naive) and kept.unique().numel() > 50
    assert torch.equal(torch.cat([model.sample([seed]) for seed in range(5)]), kept)
    uniforms = torch.rand(1, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert model.double().play(uniforms).shape == (1, 200)  # longer than what it is trained on


def test_probabilities_sum_to_one():
    """Over all 256 waves of one value, and, over the second value, to those of the first."""
    network = make(depth=2).average
    levels = torch.linspace(-1, 1, 256)[:, None]
    first = network.log_prob(levels).double().exp()
    assert float(first.sum()) == pytest.approx(1, abs=1e-5)
    for index in (0, 100, 255):
        pairs = torch.cat([levels[index].expand(256, 1), levels], 1)
        assert float(network.log_prob(pairs).double().exp().sum()) == pytest.approx(float(first[index]), rel=1e-5)


def test_mu_law_is_inverted_and_has_the_noise_of_its_closed_form():
    """Signal over noise is 3 L^2 / ln(1 + mu)^2, 38.0 dB, whatever the loudness (Jayant and Noll 1984)."""
    waves = torch.linspace(-1, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(expand(compress(waves)), waves, rtol=1e-12, atol=1e-14)
    closed = 10 * math.log10(3 * 256**2 / math.log(256) ** 2)
    uniform = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for loudness in (1.0, 0.2):
        noise = expand(from_levels(to_levels(compress(loudness * uniform), 256), 256).double()) - loudness * uniform
        decibels = 10 * float((loudness * uniform).square().mean().div(noise.square().mean()).log10())
        assert decibels == pytest.approx(closed, abs=1.0)


def test_power_of_the_data_lies_at_its_tones():
    data = Tones()
    waves, _ = data.sample(64, torch.Generator().manual_seed(0))
    values = TONE(data, waves)
    # Tones of 3 x (0.3^2 / 2), noise of 1e-4 over all bins, and less than 1% beyond the main lobes.
    assert 0.98 < values["tone_power"] < 0.999 and values["tone_balance"] > 0.6
    noise = torch.randn(64, 512, generator=torch.Generator().manual_seed(1))
    assert TONE(data, noise)["tone_power"] == pytest.approx(3 * 4 / 257, rel=0.1)
    detuned, _ = Tones([500.0, 610.0, 720.0]).sample(64, torch.Generator().manual_seed(0))
    assert TONE(data, detuned)["tone_power"] < 0.05
    assert float(power_at_tones(torch.zeros(2, 512), data)[0].sum()) == 0


def test_what_is_no_sound_is_refused():
    from zerosum.data.mixtures import Ring

    with pytest.raises(UserError, match="WaveNet models sound, this dataset has images"):
        WaveNet((1, 8, 8), torch.optim.SGD)
    with pytest.raises(UserError, match="WaveNet models sound, this dataset has points"):
        WaveNet((2,), torch.optim.SGD)
    with pytest.raises(UnmeasurableError, match="take dataset=tones"):
        TONE(Ring(), torch.zeros(4, 2))
    with pytest.raises(UserError, match="between 0 and half"):
        Tones([3000.0])


def test_a_wav_file_has_the_values_back():
    sound = torch.sin(torch.linspace(0, 20, 400))
    with wave.open(io.BytesIO(encode_wav(sound, 4000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (4000, 1, 400)
        values = np.frombuffer(file.readframes(400), "<i2") / 32767
    np.testing.assert_allclose(values, sound.numpy(), atol=1 / 32767)

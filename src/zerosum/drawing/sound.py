"""Draws waves, their spectra and spectrograms, and writes WAV files."""

import io
import wave
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from zerosum.drawing.density import to_picture

SHOWN_WAVES, SHOWN_SECONDS = 3, 0.04
"""Waves in a picture, and how much of each"""
QUIETEST = -70.0
"""Of spectra, in dB below the loudest"""
TONE = "#d55e00"


def power_spectrum(waves: Tensor) -> Tensor:
    """(N, length) to (N, length // 2 + 1), under a Hann window."""
    window = torch.hann_window(waves.shape[1], dtype=torch.float64, device=waves.device)
    return torch.fft.rfft(waves.double() * window).abs().square()


def in_decibels(power: Tensor) -> Tensor:
    """10 log10 of power over its greatest value, at least `QUIETEST`."""
    return (10 * (power / power.max().clamp(min=1e-30)).clamp(min=1e-30).log10()).clamp(min=QUIETEST)


def draw_waves(waves: Tensor, sample_rate: int, frequencies: Sequence[float]) -> Image.Image:
    """640 x 640 pixels: the first waves of (N, length), and the mean spectrum of all with the true tones marked."""
    figure = Figure(figsize=(6.4, 6.4), dpi=100, layout="constrained")
    *above, below = figure.subplots(SHOWN_WAVES + 1, height_ratios=[*[1] * SHOWN_WAVES, 2.5])
    shown = min(waves.shape[1], round(SHOWN_SECONDS * sample_rate))
    for axes, values in zip(above, waves.cpu(), strict=False):
        axes.plot(1000 * torch.arange(shown) / sample_rate, values[:shown], color="#0072b2", linewidth=1)
        axes.set(ylim=(-1.05, 1.05), xlim=(0, 1000 * shown / sample_rate))
    above[0].set_title("waves of the first seeds")
    above[-1].set_xlabel("milliseconds")
    decibels = in_decibels(power_spectrum(waves.cpu()).mean(0))
    hertz = torch.fft.rfftfreq(waves.shape[1], 1 / sample_rate)
    for index, frequency in enumerate(frequencies):
        below.axvline(frequency, color=TONE, linestyle="--", linewidth=1, label=None if index else "true tones")
    below.plot(hertz, decibels, color="#0072b2", linewidth=1, label="mean power")
    below.set(xlabel="Hz", ylabel="dB below the loudest", xlim=(0, sample_rate / 2), ylim=(QUIETEST, 3))
    below.legend(loc="upper right")
    return to_picture(figure)


def draw_spectrogram(sound: Tensor, sample_rate: int, frequencies: Sequence[float], window: int = 256) -> Image.Image:
    """760 x 440 pixels: power of a sound (length,) over time and frequency, with the true tones marked."""
    frames = sound.cpu().unfold(0, min(window, len(sound)), max(1, window // 4))
    decibels = in_decibels(power_spectrum(frames))
    figure = Figure(figsize=(7.6, 4.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    extent = (0, len(sound) / sample_rate, 0, sample_rate / 2)
    picture = axes.imshow(
        decibels.T, origin="lower", aspect="auto", extent=extent, cmap="viridis", vmin=QUIETEST, vmax=0
    )
    figure.colorbar(picture, label="dB below the loudest")
    axes.set(xlabel="seconds", ylabel="Hz", yticks=[0, *frequencies, sample_rate / 2])
    axes.tick_params(axis="y", labelsize=8)
    return to_picture(figure)


def encode_wav(sound: Tensor, sample_rate: int) -> bytes:
    """A sound (length,) in [-1, 1] as a WAV file of 16 bits and one channel."""
    values = (sound.cpu().clamp(-1, 1) * 32767).round().to(torch.int16).numpy()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(values.astype("<i2").tobytes())
    return buffer.getvalue()

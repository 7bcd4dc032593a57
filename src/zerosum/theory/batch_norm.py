"""Why batch norm needs care: with the statistics of training, samples of one batch depend on each other."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from zerosum.drawing.density import to_picture
from zerosum.models.virtual_batch_norm import NORMS
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import COLOURS, panels
from zerosum.theory.trial import Trial, latents, play

VARIANTS = {name: f"model.norm={name}" for name in NORMS}
SIZES = (2, 4, 8, 32)
"""Of the batches that a sample finds itself in"""
WATCHED, BATCHES = 8, 16
"""Latents whose images are watched, and in how many batches each"""
MAGNIFIED = 5
"""Changes in the picture"""


def images_of(generator: nn.Module, size: int, batches: int = BATCHES) -> Tensor:
    """(watched, batches, C, H, W): each watched z in batches of `size` whose other z are drawn anew."""
    random = torch.Generator().manual_seed(0)
    watched = latents(generator, WATCHED, random)
    images = []
    for z in watched:
        others = torch.randn(batches, size - 1, len(z), generator=random)
        with torch.no_grad():
            images.append(torch.stack([generator(torch.cat([z[None], rest]))[0] for rest in others]))
    return torch.stack(images)


def between_batch_variance(images: Tensor) -> float:
    """The share of the variance that the batch makes: the variance of a fixed z over batches, over that of all z.

    images (watched, batches, C, H, W); 0 if an image depends on its z alone.
    """
    over_batches = images.var(1).mean()
    over_latents = images.mean(1).var(0).mean()
    return float(over_batches / (over_batches + over_latents))


def examine(trials: Mapping[str, Trial]) -> Page:
    """Train one G for each kind of norm, and look at the same z in many batches."""
    for trial in trials.values():
        play(trial, 1, lambda gan: None)
    generators = {name: trial.module.generator.train() for name, trial in trials.items()}
    shares = {
        f"{name}, as in training": {size: between_batch_variance(images_of(each, size)) for size in SIZES}
        for name, each in generators.items()
    }
    averaged = trials["batch"].module.ema.network.eval()
    shares["batch, running statistics"] = {size: between_batch_variance(images_of(averaged, size)) for size in SIZES}
    rows = [
        Row(f"{name}: share of the variance that the batch makes, batches of {size}", shares[name][size], known(name))
        for name in shares
        for size in (4, 32)
    ]
    discriminator = trials["batch"].module.discriminator
    rows += [
        Row("norm layers after the last convolution of G", norms_at_end(generators["batch"]), 0),
        Row("norm layers after the first convolution of D", norms_at_start(discriminator), 0),
    ]
    return Page(TITLE, EQUATION, LOOK, rows, [picture_of_shares(shares), picture_of_batches(generators)])


def known(name: str) -> float | None:
    """0 where the statistics are fixed; those of training have no closed form."""
    return None if name == "batch, as in training" else 0.0


def is_norm(layer: nn.Module) -> bool:
    """Whether it normalizes."""
    return isinstance(layer, nn.BatchNorm2d) or "Norm" in type(layer).__name__


def norms_at_end(generator: nn.Module) -> int:
    """Norm layers behind G's last convolution: one would fix the mean and the deviation of the samples."""
    layers = list(generator.modules())
    last = max(index for index, layer in enumerate(layers) if isinstance(layer, nn.ConvTranspose2d))
    return sum(map(is_norm, layers[last:]))


def norms_at_start(discriminator: nn.Module) -> int:
    """Norm layers between D's first and second convolution: one would hide the mean and the deviation of its images."""
    layers = list(discriminator.modules())
    first, second = [index for index, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)][:2]
    return sum(map(is_norm, layers[first:second]))


def picture_of_shares(shares: Mapping[str, Mapping[int, float]]) -> Picture:
    """The share of the variance against the size of the batch."""
    figure, (axes,) = panels(1, 1, 7, 3.6)
    for colour, marker, size, (name, values) in zip(COLOURS, "os^D", (7, 11, 8, 5), shares.items(), strict=False):
        axes.plot(list(values), list(values.values()), color=colour, marker=marker, markersize=size, label=name)
    axes.set(xscale="log", xlabel="samples in a batch", ylabel="share of an image's variance\nthat its batch makes")
    axes.set_xticks(SIZES, [str(size) for size in SIZES])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=9)
    return Picture("batch_norm", "How much an image depends on the others of its batch.", [to_picture(figure)])


def picture_of_batches(generators: Mapping[str, nn.Module], shown: int = 8, size: int = 4) -> Picture:
    """The same four latents in eight batches of four, for each norm, and what differs between the batches."""
    figure, axes = panels(2, len(generators), 3.2, 2.0)
    for index, (name, generator) in enumerate(generators.items()):
        images = images_of(generator, size, shown)[:4, :, 0]  # (z, batches, H, W)
        changes = MAGNIFIED * (images - images.mean(1, keepdim=True))
        for each, shades in ((axes[index], images), (axes[index + len(generators)], changes)):
            sheet = shades.permute(0, 2, 1, 3).flatten(0, 1).flatten(1)  # rows of z, columns of batches
            each.imshow(sheet, cmap="gray", vmin=-1, vmax=1)
            each.set(xticks=[], yticks=[], xlabel="eight batches of 4", ylabel="four z")
        axes[index].set_title(f"norm={name}", fontsize=10)
        axes[index + len(generators)].set_title(f"change from batch to batch, times {MAGNIFIED}", fontsize=9)
    caption = "Each row is one z, each column another batch around it; below, the difference from the row's mean."
    return Picture("batch_norm_images", caption, [to_picture(figure)])


TITLE = "Why batch norm needs care"
EQUATION = r"""
Batch norm makes $y = w (x - m) / \sqrt{v + \epsilon} + b$ with the mean $m$ and the variance $v$ of a channel over
the batch, so every sample is a function of all of them. Reference batch norm takes $m$ and $v$ of a fixed batch;
virtual batch norm adds the sample itself to that batch (Salimans et al. 2016, section 3.5). `model.norm=reference`
and `model.norm=virtual` are these.
"""
LOOK = """
With the statistics of training, one z becomes another image in every batch, the more so the smaller the batch is; in
the rows of the second picture the lower left panel has a pattern, and the others are gray: nothing changes. The
tutorial's figure shows the same as a tint that samples of a batch share. Reference and virtual batch norm make an
image of its z alone. So do running statistics, by which this framework samples; but then G is sampled by other
statistics than it was trained by.

G has no batch norm behind its last layer and D none behind its first, where it would hide the mean and the scale of
the images.
"""

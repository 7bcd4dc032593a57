"""z of fewer dimensions than x: the support of p_G is a curve, and its dimension is measured by counting boxes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.points import KnownDensity
from zerosum.drawing.density import to_picture
from zerosum.evaluation.point_metrics import PointsWasserstein
from zerosum.theory.page import Page, Picture, Row
from zerosum.theory.pictures import FAKE, draw_plane, panels
from zerosum.theory.trial import Trial, density_of, fakes_of, play

VARIANTS = {f"dim z = {size}": f"model.latent_dim={size}" for size in (1, 2, 16)}
SIDES = (32, 64, 128)
"""Boxes to a side of the square that is counted in"""
SAMPLES = 1_000_000
MOMENTS = 10


def count_boxes(points: Tensor, reach: float, side: int) -> int:
    """How many of side x side boxes of [-reach, reach]^2 hold at least one of the points (N, 2)."""
    cells = ((points / reach + 1) / 2 * side).floor().long()
    inside = ((cells >= 0) & (cells < side)).all(1)
    return len((cells[inside, 0] * side + cells[inside, 1]).unique())


def box_dimension(counts: Sequence[int], sides: Sequence[int]) -> float:
    """The slope of log(number of boxes) in log(boxes to a side), by least squares (Falconer 2003, section 3.1)."""
    x, y = (torch.tensor(each, dtype=torch.float64).log() for each in (sides, counts))
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


class Result(NamedTuple):
    """One trained G."""

    size: int
    """Dimensions of z"""
    dimension: float
    """Of the support of p_G, by counting boxes"""
    distance: float
    """Sliced Wasserstein distance of 10,000 samples from the data"""
    film: list[tuple[int, Tensor]]
    """Images seen, and samples (N, 2) then; of one-dimensional z in the order of z"""


def support(trial: Trial) -> list[Tensor]:
    """Many samples (M, 2), in parts: on a line all z of a fine grid, else drawn."""
    generator = trial.module.generator
    parts = 16
    if generator.latent_dim == 1:
        grid = torch.linspace(-4, 4, SAMPLES // 2)[:, None].chunk(parts)
        with torch.no_grad():
            return [generator(z) for z in grid]
    return [fakes_of(generator, SAMPLES // parts, seed) for seed in range(parts)]


def in_order(trial: Trial, count: int) -> Tensor:
    """Samples (N, 2): of one-dimensional z along its line, else drawn."""
    generator = trial.module.generator
    if generator.latent_dim > 1:
        return fakes_of(generator, count)
    with torch.no_grad():
        samples: Tensor = generator(torch.linspace(-3, 3, count)[:, None])
    return samples


def train(trial: Trial) -> Result:
    """Train one G and measure its support."""
    film = play(trial, MOMENTS, lambda gan: (gan.images_seen, in_order(trial, 2000)))
    data, size = density_of(trial), trial.module.latent_dim
    points = torch.cat(support(trial))
    dimension = box_dimension([count_boxes(points, data.reach, side) for side in SIDES], SIDES)
    distance = PointsWasserstein()(data, fakes_of(trial.module.generator, 10_000))["points_wasserstein"]
    return Result(size, dimension, distance, film)


def examine(trials: Mapping[str, Trial]) -> Page:
    """One G for each number of dimensions."""
    results = [train(trial) for trial in trials.values()]
    floor = PointsWasserstein()(density_of(next(iter(trials.values()))), real_points(trials))["points_wasserstein"]
    rows = [
        Row(f"dim z = {each.size}: box-counting dimension of G's support", each.dimension, min(each.size, 2))
        for each in results
    ]
    rows += [Row(f"dim z = {each.size}: sliced Wasserstein distance", each.distance) for each in results]
    rows.append(Row("as many points of the data in place of the samples", floor))
    data = density_of(next(iter(trials.values())))
    frames = [draw(results, index, data) for index in range(len(results[0].film))]
    return Page(
        TITLE,
        EQUATION,
        LOOK,
        rows,
        [
            Picture("latent_dimension", "Samples after training; of one-dimensional z the whole curve.", frames[-1:]),
            Picture("latent_dimension_film", "The same over training.", frames),
        ],
    )


def real_points(trials: Mapping[str, Trial]) -> Tensor:
    """10,000 points of the data."""
    return density_of(next(iter(trials.values()))).sample(10_000, torch.Generator().manual_seed(5))[0]


def draw(results: list[Result], index: int, data: KnownDensity) -> Image.Image:
    """A panel for each G at one moment: a line for one-dimensional z, else dots, over shaded data."""
    figure, axes = panels(1, len(results), 2.8, 3.0)
    reach = min(2 * data.reach, max(data.reach, *(float(result.film[-1][1].abs().max()) for result in results)))
    for each, result in zip(axes, results, strict=True):
        images, points = result.film[index]
        draw_plane(each, data, None if result.size == 1 else points, reach, shade=True)
        if result.size == 1:
            each.plot(*points.T, color=FAKE, linewidth=0.8)
        each.set_title(f"dim z = {result.size}\n{images:,} images", fontsize=10)
    return to_picture(figure)


TITLE = "The dimension of z"
EQUATION = r"""
G is continuous, so the support of $p_G$ is the image of a space of $\dim z$ dimensions and has at most that many: for
$\dim z < \dim x$ it has no volume, and $p_G$ no density (Goodfellow 2016, section 3.1; Arjovsky and Bottou 2017,
lemma 1). The box-counting dimension is the slope of $\log N(\epsilon)$ in $\log 1/\epsilon$, $N$ the number of boxes
of side $\epsilon$ that hold a sample.
"""
LOOK = """
The data fill the shaded squares of the board. With one-dimensional z, G has to draw them with one line, which gets
longer and more winding as training goes on, and stays a line. From two dimensions on it fills areas; where p_G is
thin, boxes stay empty for want of samples, so the measured number falls short of 2. More dimensions than x has are
not needed: compare the distances in the table. Thin bridges between the squares stay in every panel: a continuous G
of a connected z cannot tear its samples apart.
"""

"""Sheets of what each principal direction of a layer changes."""

import torch
from PIL import Image
from torch import Tensor

from zerosum.drawing.grid import add_heading, grid, save_png, stack
from zerosum.explorer.attributes import measure_all
from zerosum.explorer.directions import Directions, find_directions
from zerosum.explorer.options import check_traverse
from zerosum.explorer.subject import Found, Subject, check_images, check_label, condition_for
from zerosum.randomness import generator
from zerosum.runs.trained import TrainedModel

MEASURED = 100
"""Samples that a direction's effects are averaged over"""


class Traverse:
    """Moves samples along the first `count` principal directions of a layer, by up to `reach` deviations either way.

    `layer` is a module's name in the generator; by default w of a network with styles, and of others the first layer
    that is not linear in z. Of a conditional model all samples have one `label`, 0 unless given.
    """

    def __init__(
        self,
        count: int = 5,
        rows: int = 2,
        steps: int = 9,
        reach: float = 3.0,
        layer: str | None = None,
        label: int | None = None,
        seed: int = 0,
        samples: int = 2000,
    ) -> None:
        check_traverse(count, rows, steps, reach, seed, samples)
        self.count = count
        self.rows = rows
        self.steps = steps
        self.reach = reach
        self.layer = layer
        self.label = label
        self.seed = seed
        self.samples = samples

    def __call__(self, subject: Subject) -> Found:
        """Write traverse.png, and how far each direction moves pixels and attributes."""
        model = subject.model
        check_images(model)
        label = 0 if self.label is None and model.num_classes is not None else self.label
        check_label(model, label)
        condition = condition_for(model, [self.seed], label)
        found = find_directions(model.check_space(), self.count, self.layer, self.samples, condition)
        effects = [measure_effect(model, vector, condition, self.seed) for vector in found.vectors]
        random = random_like(found.vectors)
        usual = sum(measure_effect(model, vector, condition, self.seed)["pixels"] for vector in random) / len(random)
        path = subject.folder / "traverse.png"
        sheets = [self.draw(model, found, row, effect, condition) for row, effect in enumerate(effects)]
        save_png(stack(sheets), path)
        values = {
            "layer": found.layer,
            "variance": found.variance.tolist(),
            "effects": effects,
            "pixels_of_random_directions": usual,
        }
        lines = [f"layer {found.layer}; random directions of the same length move pixels by {usual:.3f}"]
        return Found(values, lines + [describe(row, found, effect) for row, effect in enumerate(effects)], [path])

    def draw(
        self, model: TrainedModel, found: Directions, row: int, effect: dict[str, float], condition: Tensor | None
    ) -> Image.Image:
        """One row a seed, one column a step."""
        seeds = range(self.seed, self.seed + self.rows)
        steps = torch.linspace(-self.reach, self.reach, self.steps)
        repeated = repeat(condition, len(seeds))
        images = move(model, model.codes(seeds, repeated), found.vectors[row], steps, repeated)
        names = [f"{step:+.2g}" for step in steps.tolist()]
        return add_heading(grid(images.flatten(0, 1), self.steps), names, describe(row, found, effect))


def describe(row: int, found: Directions, effect: dict[str, float]) -> str:
    """A direction's share of variance, and what it changes by one deviation."""
    changes = ", ".join(f"{name} {change:+.2f}" for name, change in effect.items() if name != "pixels")
    return f"direction {row + 1}: {found.variance[row]:.1%} of variance, pixels {effect['pixels']:.3f}; {changes}"


def move(model: TrainedModel, codes: Tensor, vector: Tensor, steps: Tensor, condition: Tensor | None) -> Tensor:
    """(N, S, C, H, W): images of codes (N, D) moved by each of the steps (S,) times a direction (D,)."""
    moved = codes[:, None] + steps[:, None] * vector  # (N, S, D)
    conditions = None if condition is None else condition.repeat_interleave(len(steps), 0)
    return model.decode(moved.flatten(0, 1), conditions).unflatten(0, (len(codes), len(steps)))


def repeat(condition: Tensor | None, count: int) -> Tensor | None:
    """The condition of one sample (1, ...) for `count` of them."""
    return None if condition is None else condition.repeat(count, *[1] * (condition.dim() - 1))


def measure_effect(model: TrainedModel, vector: Tensor, condition: Tensor | None, seed: int) -> dict[str, float]:
    """What moving from -1 to +1 deviation changes, halved: root mean square of pixels, and each attribute.

    Changes of attributes are in deviations of the attribute among the samples.
    """
    seeds = range(seed, seed + MEASURED)
    repeated = repeat(condition, MEASURED)
    images = move(model, model.codes(seeds, repeated), vector, torch.tensor([-1.0, 0.0, 1.0]), repeated)
    before, middle, after = images.unbind(1)
    effect = {"pixels": float((after - before).square().mean().sqrt()) / 2}
    for name, values in measure_all(middle).items():
        change = (measure_all(after)[name] - measure_all(before)[name]).mean() / 2
        effect[name] = float(change / values.std().clamp(min=1e-6))
    return effect


def random_like(vectors: Tensor) -> Tensor:
    """Random directions as long as these (K, D)."""
    random = torch.randn(vectors.shape, generator=generator("random directions"))
    return random * vectors.norm(dim=1, keepdim=True) / random.norm(dim=1, keepdim=True)

"""Fill the table of a page in docs/applications from finished runs, and draw its picture.

    python docs/make_applications.py super_resolution outputs/<with an adversary> outputs/<without>
    python docs/make_applications.py inpainting outputs/<run>
    python docs/make_applications.py missing_pixels outputs/<run of a semi-supervised GAN>

Every model is measured at the end of its run (last.ckpt: none is chosen on the test split) by the protocol of the first
run. The page's block between `<!-- table -->` and `<!-- end -->` is replaced, <name>.png beside it is drawn.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from make_tables import save_measurements
from torch import Tensor
from torch.nn.functional import interpolate

from zerosum.applications.inpainting import MASKS, Search
from zerosum.data.images import to_condition
from zerosum.data.known_answers import KnownAnswers
from zerosum.drawing.grid import grid, label_rows, save_png, stack
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.explorer.inpaint import Inpaint
from zerosum.explorer.subject import Subject
from zerosum.gan.labels.image_conditions import as_image
from zerosum.pixels import from_uint8
from zerosum.report.table import format_protocol
from zerosum.runs.load import load, load_protocol
from zerosum.runs.trained import load as load_trained

FOLDER = Path(__file__).parent / "applications"
HIGHER = ("psnr", "ssim", "answers_right", "law_covered")
LOWER = ("fid", "law_distance", "sliced_wasserstein")
ARROWS = dict.fromkeys(HIGHER, "↑") | dict.fromkeys(LOWER, "↓")
SHOWN = 10
"""Test images in a picture"""
FILLED = 60
"""Test images with missing pixels"""
CLASSIFIED = 500
"""Of them that a semi-supervised GAN classifies"""
SEEDS = 6
"""Of each condition, where there are several answers"""


class Resized:
    """The condition, enlarged bilinearly; of several frames the last, gray as color."""

    def __init__(self, model: Any, shape: Sequence[int]) -> None:
        self.conditions, self.shape = model.conditions, tuple(shape)

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        assert condition is not None
        channels, *places = self.shape
        last = condition[:, -channels:].expand(-1, channels, -1, -1)
        return interpolate(last, tuple(places), mode="bilinear", align_corners=False)


class Page(NamedTuple):
    """What a page compares."""

    without: str
    """What the run without an adversary is called"""
    values: tuple[str, ...]
    condition: str | None = None
    """What the condition itself is called as an answer, where it is one"""
    answers: tuple[str, ...] = ()
    """Names of the known answers"""


PAIRED = ("psnr", "ssim", "sharpness", "fid")
MOVED = ("psnr", "ssim", "sharpness", "sliced_wasserstein")
LAWFUL = ("law_distance", "answers_right", "law_covered", "answer_diversity", "fid")
PAGES = {
    "super_resolution": Page("L1 alone", PAIRED, "bilinear"),
    "super_resolution_photographs": Page("L1 alone", PAIRED, "bilinear"),
    "edges": Page("L1 alone", PAIRED),
    "gray_to_color": Page("L1 alone", ("psnr", "ssim", "chroma", "fid"), "gray as it is"),
    "unpaired": Page("without adversary", PAIRED, "the negative as it is"),
    "next_frame": Page("L2 alone", LAWFUL, answers=("left", "right")),
    "moving_digits": Page("L2 alone", MOVED, "the last frame again"),
}


def main(name: str, run: Path, without: Path) -> None:
    """Measure, fill the page's block and draw its picture."""
    page, protocol, model = PAGES[name], load_protocol(run), load(run, "last")
    assert isinstance(protocol, ImageProtocol)
    models = {page.without: load(without, "last"), "with adversary": model}
    if page.condition is not None:
        models = {page.condition: Resized(model, protocol.dataset.sample_shape), **models}
    values = {label: protocol.measure(each) for label, each in models.items()}
    if page.answers:
        values["the law itself"] = protocol.floor() or {}
    measured = f"Measured by: {format_protocol(protocol.card())}; {model.images_seen:,} images seen, seed {model.seed}."
    fill(FOLDER / f"{name}.md", f"{table(page, values)}\n\n{measured}")
    save_measurements(f"application_{name}", {page.without: without, "with adversary": run})
    rows = draw_answers(page, protocol, models) if page.answers else draw_pairs(protocol, models)
    save_png(label_rows(grid(torch.cat(list(rows.values())), SHOWN), list(rows)), FOLDER / f"{name}.png")


def make_inpainting(run: Path) -> None:
    """The same of in-painting: every mask, on the same held-out images."""
    subject = Subject(load_trained(run, "last"), run, FOLDER)
    found = {mask: Inpaint(mask, FILLED).look(subject) for mask in MASKS}
    lines = ["| missing | by | psnr ↑ | read as their class ↑ |", "|---|---|---:|---:|"]
    for mask, (values, _) in found.items():
        for name, value in values.items():
            decibels = f"{value['psnr']:.2f}" if "psnr" in value else ""
            lines.append(f"| {mask} | {name} | {decibels} | {value['accuracy']:.1%} |")
    search = Search()
    lines += ["", f"The first {FILLED} test images; {search.starts:,} starts, {search.kept} of them kept,"]
    lines[-1] += f" {search.steps} steps; {subject.model.images_seen:,} images seen in training."
    fill(FOLDER / "inpainting.md", "\n".join(lines))
    save_png(found["center"][1], FOLDER / "inpainting.png")


def make_missing_pixels(run: Path) -> None:
    """The part of the same page on classification: how many filled images a semi-supervised GAN reads right."""
    subject = Subject(load_trained(run, "last"), run, FOLDER)
    found = {mask: Inpaint(mask, CLASSIFIED, SHOWN).look(subject) for mask in MASKS}
    lines = [f"| pixels are filled by | {' | '.join(f'{mask} missing ↑' for mask in MASKS)} |"]
    lines += [f"|---|{'---:|' * len(MASKS)}"]
    for name in next(iter(found.values()))[0]:
        cells = [f"{values[name]['own_accuracy']:.1%}" for values, _ in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", f"The first {CLASSIFIED} test images, read by the moving average of D;"]
    facts = subject.model.facts()
    lines[-1] += f" {facts['labelled']} labels, {subject.model.images_seen:,} images seen in training, seed"
    lines[-1] += f" {subject.model.seed}."
    fill(FOLDER / "inpainting.md", "\n".join(lines), "classified")
    save_png(stack([picture for _, picture in found.values()]), FOLDER / "missing_pixels.png")


def table(page: Page, values: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each model, in Markdown."""
    shares = tuple(f"answer_share_{index}" for index in range(len(page.answers)))
    heads = [f"{name} {ARROWS.get(name, '')}".strip() for name in page.values]
    heads += [f"share {answer}" for answer in page.answers]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for label, found in values.items():
        cells = [f"{found[name]:.3g}" if name in found else "" for name in page.values + shares]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def fill(path: Path, text: str, block: str = "table") -> None:
    """Replace a block of a page."""
    page, found = re.subn(
        rf"(<!-- {block} -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{text}\n{match[2]}",
        path.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert found == 1, f"{path} has no block {block}"
    path.write_text(page, encoding="utf-8")


@torch.inference_mode()
def draw_pairs(protocol: ImageProtocol, models: Mapping[str, Any]) -> dict[str, Tensor]:
    """Rows of ten test images: the condition, each model's image of it, and the truth."""
    rows = range(SHOWN)
    condition, real = look_up(protocol, rows)
    samples = {label: model.sample(list(rows), condition).cpu() for label, model in models.items()}
    return {"condition": as_image(condition, tuple(real.shape[1:])), **samples, "truth": real}


@torch.inference_mode()
def draw_answers(page: Page, protocol: ImageProtocol, models: Mapping[str, Any]) -> dict[str, Tensor]:
    """Rows of ten test images: the condition, the known answers, the mean, and samples of several seeds."""
    dataset = protocol.dataset
    assert isinstance(dataset, KnownAnswers)
    rows = range(SHOWN)
    condition, real = look_up(protocol, rows)
    known = dataset.answers(protocol.split, protocol.condition_rows(rows))
    answers = from_uint8(torch.from_numpy(known).permute(1, 0, 4, 2, 3))  # (K, n, C, H, W)
    shown = {"condition": as_image(condition, tuple(real.shape[1:]))}
    shown |= {
        f"{name} ({chance:g})": each for name, chance, each in zip(page.answers, dataset.law, answers, strict=True)
    }
    shown[page.without] = models[page.without].sample(list(rows), condition).cpu()
    for seed in range(SEEDS):
        shown[f"adversary, seed {seed}"] = models["with adversary"].sample([seed] * SHOWN, condition).cpu()
    return shown


def look_up(protocol: ImageProtocol, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Conditions and real images of the protocol's first samples, in [-1, 1]."""
    chosen, split = protocol.condition_rows(rows), protocol.dataset.split(protocol.split)
    assert split.condition_images is not None
    real = from_uint8(torch.from_numpy(np.array(split.images[chosen])).permute(0, 3, 1, 2))
    return to_condition(torch.from_numpy(np.array(split.condition_images[chosen]))), real


if __name__ == "__main__":
    name, *runs = sys.argv[1:]
    special = {"inpainting": make_inpainting, "missing_pixels": make_missing_pixels}
    special[name](Path(runs[0])) if name in special else main(name, *map(Path, runs))

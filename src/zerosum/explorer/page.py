"""explorer.html: one file with which a trained generator is explored without a server or a network."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from zerosum.errors import UserError, printable
from zerosum.explorer.directions import find_directions
from zerosum.explorer.options import check_page
from zerosum.explorer.page_arithmetic import show_arithmetic
from zerosum.explorer.sprites import SMALL, make_sheet
from zerosum.explorer.subject import Found, Subject, check_images, check_label, condition_for
from zerosum.explorer.traverse import describe, measure_effect, move, repeat
from zerosum.explorer.walk import straight_around, walk_around
from zerosum.files import save_whole
from zerosum.report.html import Markup, element, join, write_json
from zerosum.report.page import Section, make_page, read_beside
from zerosum.runs.trained import TrainedModel
from zerosum.sampling import interpolate, latents

LARGEST = 15_000_000
"""Bytes of the page"""
SHEET = 1_700_000
"""Bytes of a sheet; base64 adds a third, and there are six"""
STATIONS, FRAMES = 24, 8
PLANE = 13
"""Places along each side of the plane"""
OF_CLASSES = 12
"""Seeds of the table of labels"""
MOST_LABELS = 24
DIRECTIONS, STEPS, REACH = 5, 13, 3.0
SHOWN = 6
TRUNCATIONS = tuple(round(0.1 * step, 1) for step in range(13))
OF_TRUNCATION = 16


class ExplorerPage:
    """Writes explorer.html: a walk through seeds, a plane between four, labels, directions, arithmetic, truncation.

    All images are made now and stand on the page as sheets. `expressions` are what arithmetic.py is asked for; without
    any, one is made of the first classes. Of a conditional model all has one `label`, or the walk and the plane lead
    from the label of one seed to that of the next.
    """

    def __init__(self, seed: int = 0, label: int | None = None, expressions: Sequence[str] = ()) -> None:
        check_page(seed)
        self.seed = seed
        self.label = label
        self.expressions = list(expressions)

    def __call__(self, subject: Subject) -> Found:
        """Write the page; the values are its bytes and what arithmetic was judged to be."""
        model = subject.model
        check_images(model)
        check_label(model, self.label)
        sections, data = self.make_sections(subject)
        head = self.make_head(model)
        scripts = [read_beside(Path(__file__).parent / "explorer.js")]
        styles = read_beside(Path(__file__).parent / "explorer.css")
        block = element("script", write_json(data), type="application/json", id="sheets")
        sections[-1] = Section(sections[-1].title, join(sections[-1].content, block))
        text = make_page(f"Explorer: {printable(model.name)[:200]}", head, sections, (scripts, styles))
        if len(text.encode()) > LARGEST:
            raise UserError(f"the page would have more than {LARGEST:,} bytes: name fewer expressions")
        path = subject.folder / "explorer.html"
        save_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
        values = {"bytes": len(text.encode()), "arithmetic": data["arithmetic"]}
        return Found(values, [f"{len(text.encode()) / 1e6:.1f} MB"], [path])

    def make_head(self, model: TrainedModel) -> Markup:
        """What the model is, and the lines that make its images in Python."""
        space = "styles w" if model.check_space().name == "w" else "latents z"
        fact = f"{model.images_seen:,} images seen in training · explored in its {space} · every image is in this file"
        return element("p", fact, class_="quiet")

    def make_sections(self, subject: Subject) -> tuple[list[Section], dict[str, Any]]:
        """Every part of the page, and the sheets that its script reads."""
        model = subject.model
        data: dict[str, Any] = {"smooth": model.sample([0]).shape[-1] > SMALL, "arithmetic": []}
        parts: dict[str, Callable[[], Markup]] = {
            "Walk": lambda: self.show_walk(model, data),
            "Plane": lambda: self.show_plane(model, data),
            "Labels": lambda: self.show_labels(subject, data),
            "Directions": lambda: self.show_directions(model, data),
            "Arithmetic": lambda: show_arithmetic(subject, self.expressions, self.seed, data),
            "Truncation": lambda: self.show_truncation(model, data),
        }
        return [Section(title, show()) for title, show in parts.items()], data

    def mixable_condition(self, model: TrainedModel, seeds: Sequence[int]) -> Tensor | None:
        """(N, K) float: the label, or what each seed has by itself, so that conditions between them exist."""
        condition = condition_for(model, seeds, self.label)
        if condition is None or model.num_classes is None:
            return condition
        return one_hot(condition.cpu(), model.num_classes).float()

    def name_seeds(self, model: TrainedModel, seeds: Sequence[int]) -> list[str]:
        """'seed 3', with its label where the model is asked for one."""
        if model.num_classes is None:
            return [f"seed {seed}" for seed in seeds]
        labels = condition_for(model, seeds, self.label)
        assert labels is not None
        return [f"seed {seed}, label {label}" for seed, label in zip(seeds, labels.tolist(), strict=True)]

    def show_walk(self, model: TrainedModel, data: dict[str, Any]) -> Markup:
        """Seeds one after the other, with the way between them."""
        seeds = list(range(self.seed, self.seed + STATIONS))
        path = walk_around(latents(seeds, model.check_space().latent_dim), FRAMES)
        stations = self.mixable_condition(model, seeds)
        images = decode_latents(model, path, None if stations is None else straight_around(stations, FRAMES))
        names = self.name_seeds(model, seeds)
        data["walk"] = {**make_sheet(images, FRAMES * 4, SHEET), "names": names, "frames": FRAMES}
        text = (
            f"{STATIONS} seeds on a closed walk along great arcs of z. The arrows, also those of the keyboard, lead to"
            " the next seed; the slider stops anywhere between."
        )
        buttons = [
            element("button", "← previous", type="button", data_step="-1"),
            element("button", "next →", type="button", data_step="1"),
        ]
        slider = element("input", type="range", min=0, max=len(images) - 1, value=0, aria_label="Place on the walk")
        return join(
            element("p", text),
            element("div", canvas("walk-image"), element("p", class_="status", aria_live="polite"), class_="stage"),
            element("div", *buttons, slider, class_="controls"),
        )

    def show_plane(self, model: TrainedModel, data: dict[str, Any]) -> Markup:
        """A square between four images, through which one drags."""
        seeds = list(range(self.seed, self.seed + 4))
        z = square(latents(seeds, model.check_space().latent_dim), PLANE)
        corners = self.mixable_condition(model, seeds)
        condition = None if corners is None else mix(corners, PLANE).flatten(0, 1)
        images = decode_latents(model, z.flatten(0, 1), condition)
        data["plane"] = {**make_sheet(images, PLANE, SHEET), "names": self.name_seeds(model, seeds), "side": PLANE}
        text = "Between four seeds, which are the corners. Drag the dot, or move it by the arrow keys."
        pad = element(
            "div",
            canvas("plane-map", "Overview of the plane"),
            element("span", class_="dot"),
            class_="pad",
            tabindex=0,
            role="application",
            aria_label="Place in the plane: drag, or use the arrow keys",
        )
        return join(
            element("p", text),
            element("div", pad, canvas("plane-image"), class_="pair"),
            element("p", class_="status", aria_live="polite", id="plane-status"),
        )

    def show_labels(self, subject: Subject, data: dict[str, Any]) -> Markup:
        """Every label of one seed, with arrows to the next seed."""
        model = subject.model
        if model.num_classes is None:
            return element("p", "This model is not asked for labels.", class_="quiet")
        labels = list(range(min(model.num_classes, MOST_LABELS)))
        seeds = [self.seed + row for row in range(OF_CLASSES) for _ in labels]
        images = torch.as_tensor(model.sample(seeds, labels=labels * OF_CLASSES))
        names = label_names(subject, len(labels))
        data["labels"] = {
            **make_sheet(images, len(labels), SHEET),
            "names": names,
            "seeds": OF_CLASSES,
            "first": self.seed,
        }
        return join(
            element("p", "One seed under every label: z stays, the label alone changes."),
            element("div", class_="cells", id="labels-cells"),
            element(
                "div",
                element("button", "← previous seed", type="button", data_step="-1"),
                element("button", "next seed →", type="button", data_step="1"),
                class_="controls",
                id="labels-controls",
            ),
            element("p", class_="status", aria_live="polite", id="labels-status"),
        )

    def show_directions(self, model: TrainedModel, data: dict[str, Any]) -> Markup:
        """A slider along each principal direction."""
        condition = condition_for(model, [self.seed], self.label)
        found = find_directions(model.check_space(), DIRECTIONS, condition=condition)
        repeated = repeat(condition, SHOWN)
        codes = model.codes(range(self.seed, self.seed + SHOWN), repeated)
        steps = torch.linspace(-REACH, REACH, STEPS)
        images = torch.stack([move(model, codes, vector, steps, repeated) for vector in found.vectors])
        # (K, N, S, ...) to (K, S, N, ...): a row of the sheet is one place of the slider.
        sheet = make_sheet(images.transpose(1, 2).flatten(0, 2), SHOWN * 4, SHEET)
        effects = [measure_effect(model, vector, condition, self.seed) for vector in found.vectors]
        names = [describe(row, found, effect) for row, effect in enumerate(effects)]
        data["directions"] = {**sheet, "steps": STEPS, "shown": SHOWN, "names": names, "reach": REACH}
        options = [element("option", f"direction {row + 1}", value=row) for row in range(len(names))]
        text = (
            f"Principal directions of {found.layer} (Härkönen et al. 2020): the slider moves {SHOWN} seeds at once, by"
            f" up to {REACH:g} deviations."
        )
        return join(
            element("p", text),
            element("div", class_="cells", id="directions-cells"),
            element(
                "div",
                element("select", *options, aria_label="Direction", id="directions-choice"),
                element(
                    "input",
                    type="range",
                    min=0,
                    max=STEPS - 1,
                    value=STEPS // 2,
                    id="directions-slider",
                    aria_label="Deviations along the direction",
                ),
                class_="controls",
            ),
            element("p", class_="status", aria_live="polite", id="directions-status"),
        )

    def show_truncation(self, model: TrainedModel, data: dict[str, Any]) -> Markup:
        """The same seeds at each truncation."""
        seeds = range(self.seed, self.seed + OF_TRUNCATION)
        condition = model.draw_condition(seeds)
        each = [torch.as_tensor(model.sample(seeds, condition, truncation=value)) for value in TRUNCATIONS]
        data["truncation"] = {
            **make_sheet(torch.cat(each), OF_TRUNCATION, SHEET),
            "values": TRUNCATIONS,
            "shown": OF_TRUNCATION,
        }
        start = TRUNCATIONS.index(1.0)
        text = (
            "Codes pulled towards their mean: to the left images are more typical and less varied; 1 changes nothing."
        )
        return join(
            element("p", text),
            element("div", class_="cells", id="truncation-cells"),
            element(
                "div",
                element(
                    "input",
                    type="range",
                    min=0,
                    max=len(TRUNCATIONS) - 1,
                    value=start,
                    id="truncation-slider",
                    aria_label="Truncation",
                ),
                class_="controls",
            ),
            element("p", class_="status", aria_live="polite", id="truncation-status"),
        )


def canvas(name: str, label: str = "Image") -> Markup:
    """A canvas that the script draws on; screen readers say the label."""
    return element("canvas", id=name, role="img", aria_label=label, tabindex=0 if name == "walk-image" else None)


def decode_latents(model: TrainedModel, z: Tensor, condition: Tensor | None) -> Tensor:
    """(N, C, H, W) images of latents (N, latent_dim)."""
    space = model.check_space()
    with torch.inference_mode():
        conditions = [None] * len(z) if condition is None else condition.split(64)
        codes = torch.cat([space.encode(*pair).cpu() for pair in zip(z.split(64), conditions, strict=False)])
    return model.decode(codes, condition)


def square(corners: Tensor, side: int) -> Tensor:
    """(side, side, D): great arcs from corner 0 to 1 above and from 2 to 3 below, and arcs between the two."""
    top, bottom = interpolate(corners[0], corners[1], side), interpolate(corners[2], corners[3], side)
    return interpolate(top, bottom, side)


def mix(corners: Tensor, side: int) -> Tensor:
    """(side, side, K): means of four conditions (4, K), each weighted by how near its corner is."""
    t = torch.linspace(0, 1, side)[:, None]
    top, bottom = (1 - t) * corners[0] + t * corners[1], (1 - t) * corners[2] + t * corners[3]
    return (1 - t[:, None]) * top + t[:, None] * bottom


def label_names(subject: Subject, count: int) -> list[str]:
    """Names of the first labels, where they are known, else their numbers."""
    try:
        names = subject.classes
    except UserError:
        names = None
    known = [str(row) for row in range(count)] if names is None else [printable(name) for name in names]
    return [f"{row}" if known[row] == str(row) else f"{row} {known[row]}" for row in range(count)]

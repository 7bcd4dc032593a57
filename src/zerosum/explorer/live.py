"""What the live explorer answers: JSON in, JSON out, images as PNG; UserError at whatever is wrong with a request."""

import base64
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from zerosum.drawing.grid import as_picture
from zerosum.errors import UserError, printable
from zerosum.explorer.arithmetic import Arithmetic
from zerosum.explorer.code import FORMAT, Code, as_label, read_code
from zerosum.explorer.directions import Directions, find_directions
from zerosum.explorer.invert import Invert, decode_image, psnr
from zerosum.explorer.page_arithmetic import explain, show_terms
from zerosum.explorer.sprites import SMALL
from zerosum.explorer.subject import Subject, check_images, condition_for
from zerosum.explorer.traverse import describe, measure_effect
from zerosum.pixels import to_uint8

LARGEST_UPLOAD = 5_000_000
"""Bytes of an image to invert"""
MOST_PIXELS = 2**25
LONGEST_EXPRESSION = 200
FIRST_START = 10**9
"""Seed of the codes that an inversion starts from: none that a person would choose, whose image may come back"""
MANY, FEW = 2000, 500
"""Samples that directions are found of, and of large images"""
SHOWN = 16
RESULTS = 9


class Live:
    """Answers requests about one model; it has `count` principal directions, and an inversion has `steps`."""

    def __init__(self, subject: Subject, count: int = 5, steps: int = 300) -> None:
        check_images(subject.model)
        condition = subject.model.draw_condition([0])
        if condition is not None and condition[0].dim() > 1:
            raise UserError(f"{subject.model.name} makes images of images, which the live explorer does not ask for")
        self.subject = subject
        self.model = subject.model
        self.count = count
        self.steps = steps
        self.generator = fingerprint(subject.model.check_space().network)
        self.found: dict[int | None, Directions] = {}
        self.answers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "/image": self.show,
            "/seeds": self.show_seeds,
            "/directions": self.describe_directions,
            "/arithmetic": self.add,
            "/invert": self.invert,
        }

    def show(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The image of a code, and the code in full, from which the same image comes again."""
        code = read_code(asked, self.model)
        own = {"model": printable(self.model.name), "generator": self.generator}
        told = asked.get("generator", self.generator) == self.generator
        note = "" if told else "This code was made by another generator, so its image was another one."
        return {
            "image": as_png(self.decode([code])[0]),
            "code": {"format": FORMAT, **own, **code.describe()},
            "note": note,
        }

    def show_seeds(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Images of the seed that is asked for, and of those after it, in the same condition, if one is given."""
        first = read_code(asked, self.model)
        if first.seed is None:
            raise UserError("seed: name the first of them")
        seeds = list(range(first.seed, first.seed + SHOWN))
        codes = [read_code({**asked, "seed": seed}, self.model) for seed in seeds]
        return {"seeds": seeds, "images": [as_png(image) for image in self.decode(codes)]}

    def describe_directions(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What each direction of a label's samples changes."""
        (code,) = [read_code({"seed": 0, "directions": {"label": asked.get("label"), "amounts": []}}, self.model)]
        found = self.directions(code.label)
        if self.is_large:
            names = [f"{share:.1%} of variance" for share in found.variance]
        else:
            condition = condition_for(self.model, [0], code.label)
            effects = [measure_effect(self.model, vector, condition, 0) for vector in found.vectors]
            names = [describe(row, found, effect) for row, effect in enumerate(effects)]
        return {"layer": found.layer, "label": code.label, "names": names}

    def add(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Exemplars of an expression's terms, sums of their means with their codes, and what these are judged to be."""
        expression = asked.get("expression")
        if not isinstance(expression, str) or len(expression) > LONGEST_EXPRESSION:
            raise UserError(
                f"expression: give text of at most {LONGEST_EXPRESSION} characters, such as thick 3 - thin 3"
            )
        sums = Arithmetic(expression)
        found = sums.solve(self.subject)
        images = self.model.decode(found.codes, found.condition)
        classes = self.subject.classes or ()
        goal = found.goal.describe(classes)
        conditions: Sequence[Tensor | None] = [None] * RESULTS if found.condition is None else found.condition.split(1)
        codes = [self.at(values, row) for values, row in zip(found.codes[:RESULTS], conditions, strict=False)]
        shares = sums.judge(self.subject, found, images)["result"]
        return {
            "terms": [{"text": text, "images": [as_png(each) for each in shown]} for text, shown in show_terms(found)],
            "goal": goal,
            "said": f"Of {sums.trials} sums of means: {explain(shares, found.goal, classes)}.",
            "images": [as_png(image) for image in images[:RESULTS]],
            "codes": [code.describe() for code in codes],
        }

    def invert(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The code whose image is nearest to an uploaded one, under a label if one is given."""
        label, content = asked.get("label"), asked.get("image")
        if label is not None:
            if type(label) is not int:
                raise UserError("label: give a whole number")
            self.model.condition_of(label, 1)
        target = decode_image(io.BytesIO(read_base64(content)), "The file", self.shape, MOST_PIXELS)
        found = Invert(steps=self.steps, label=label, seed=FIRST_START).invert(self.model, target[None])
        code = self.at(found.codes[0], None if found.condition is None else found.condition[:1])
        error, start = psnr(found.error).item(), psnr(found.start_error).item()
        said = f"{error:.1f} dB; the nearest of 256 random codes had {start:.1f} dB."
        return {"target": as_png(target), "code": code.describe(), "said": said}

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)"""
        return tuple(self.model.sample([0]).shape[1:])

    @property
    def is_large(self) -> bool:
        """Whether thousands of its images would keep a person waiting."""
        return self.shape[-1] > SMALL

    def at(self, values: Tensor, condition: Tensor | None) -> Code:
        """A code (D,) in the model's own space."""
        condition = None if condition is None else as_label(condition.cpu(), self.model)
        return Code(self.model.check_space().name, values, condition)

    def decode(self, codes: Sequence[Code]) -> Tensor:
        """(N, C, H, W) images of codes of one space, one kind of condition and one truncation."""
        space, first = self.model.check_space(), codes[0]
        values = torch.stack([code.values for code in codes])
        rows = [code.condition for code in codes if code.condition is not None]
        condition = torch.cat(rows).to(space.device) if rows else None
        with torch.inference_mode():
            if first.space != space.name:
                values = space.encode(values, condition).cpu()
            values = space.truncate(values, first.truncation, condition).cpu()
        images = self.model.decode(values + self.offset(first), condition)
        if not images.isfinite().all():
            raise UserError("the generator has no finite image for this code: choose smaller numbers")
        return images

    def offset(self, code: Code) -> Tensor:
        """(D,), or a number: the sum of the code's steps along directions."""
        if not any(code.amounts):
            return torch.zeros(())
        vectors = self.directions(code.label).vectors
        if len(code.amounts) > len(vectors):
            raise UserError(f"directions: this explorer has {len(vectors)}: start it with count={len(code.amounts)}")
        return torch.tensor(code.amounts) @ vectors[: len(code.amounts)]

    def directions(self, label: int | None) -> Directions:
        """The principal directions of samples of a label, or, without, of the condition that seed 0 has; found once."""
        if label not in self.found:
            condition = condition_for(self.model, [0], label)
            samples = FEW if self.is_large else MANY
            space = self.model.check_space()
            self.found[label] = find_directions(space, self.count, samples=samples, condition=condition)
        return self.found[label]


def fingerprint(network: torch.nn.Module) -> str:
    """A hash of the weights, by which a code knows the generator that it is of."""
    hashed = hashlib.sha256()
    for name, value in network.state_dict().items():
        hashed.update(name.encode())
        hashed.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()[:16]


def as_png(image: Tensor) -> str:
    """(C, H, W) in [-1, 1] as a data URI."""
    buffer = io.BytesIO()
    as_picture(to_uint8(image)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def read_base64(content: Any) -> bytes:
    """The bytes of an uploaded image; UserError unless they are few enough."""
    if not isinstance(content, str):
        raise UserError("image: give its bytes in base64")
    try:
        found = base64.b64decode(content, validate=True)
    except ValueError:
        raise UserError("image: this is no base64") from None
    if not found or len(found) > LARGEST_UPLOAD:
        raise UserError(f"The image has {len(found):,} bytes: give one of 1 to {LARGEST_UPLOAD:,}")
    return found

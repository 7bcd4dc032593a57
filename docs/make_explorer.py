"""Write the tables and figures of docs/explorer.md from the folders of explore.py.

python train.py experiment=mnist_labels labels=projection seed=0      # and labels=none
python explore.py run=<run> <verb> output=<folder>     # arithmetic, invert, neighbours, traverse and truncate
python docs/make_explorer.py <folder of projection> <folder of none> <folder of none, invert own=true>
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from PIL import Image

DOCS = Path(__file__).parent
WIDEST = 900
"""Pixels of a figure"""


def read(folder: Path, verb: str) -> Any:
    """What a verb found."""
    return json.loads((folder / f"{verb}.json").read_text(encoding="utf-8"))


def table(head: list[str], rows: list[list[str]]) -> str:
    """In Markdown, numbers to the right."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows])


def show(folder: Path, verb: str, name: str, caption: str) -> str:
    """Copy a picture to docs/images, and the line that shows it."""
    with Image.open(folder / f"{verb}.png") as opened:
        picture = opened.convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, picture.height * WIDEST // picture.width))
    picture.save(DOCS / "images" / f"explorer_{name}.png", optimize=True)
    return f"![{caption}](images/explorer_{name}.png)"


def say(shares: dict[str, float]) -> list[str]:
    """Class, ink and both, in per cent."""
    return [f"{shares[name]:.0%}" for name in ("class", "ink", "all")]


def show_arithmetic(conditional: Path, unconditional: Path) -> str:
    """One table for both models."""
    rows = []
    names = {"result": "sums of means", "last_term_alone": "thin 8 alone", "any_sample": "any samples of the terms"}
    for title, folder in (("conditional (projection)", conditional), ("without labels", unconditional)):
        found = read(folder, "arithmetic")
        rows += [[title, text, *say(found[key])] for key, text in names.items()]
        rows += [[title, f"direction x {s}", *say(each)] for s, each in found["direction"].items()]
    figure = show(
        conditional, "arithmetic", "arithmetic", "Exemplars of thick 3, thin 3, thin 8, their sums, and a direction"
    )
    text = "MNIST, `thick 3 - thin 3 + thin 8`, DCGANs of `experiment=mnist_labels`, 200,000 images, seed 0:"
    return "\n\n".join([text, table(["model", "judged", "class", "ink", "both"], rows), figure])


def show_inversion(unconditional: Path, own: Path) -> str:
    """Held-out images and own samples."""
    rows = []
    for title, folder in (("8 held-out images", unconditional), ("8 samples of its own", own)):
        found = read(folder, "invert")
        keys = ("psnr", "psnr_of_nearest_start", "psnr_of_mean_image")
        error = sum(found["mean_squared_error"]) / len(found["mean_squared_error"])
        rows.append([title, f"{error:.4f}", *(f"{sum(found[key]) / len(found[key]):.1f}" for key in keys)])
    head = ["target", "squared error", "dB", "dB, nearest of 256", "dB, mean image"]
    figure = show(unconditional, "invert", "inversion", "Held-out digits, their reconstructions, and the difference")
    return "\n\n".join(["The DCGAN without labels, pixels in [-1, 1]:", table(head, rows), figure])


def show_neighbours(conditional: Path) -> str:
    """Both spaces."""
    found = read(conditional, "neighbours")
    rows = [[name, f"{each['samples']:.3g}", f"{each['held_out_images']:.3g}"] for name, each in found.items()]
    figure = show(conditional, "neighbours", "neighbours", "Samples above their nearest training images")
    head = ["median distance to the nearest of 60,000", "1,000 samples", "1,000 held-out images"]
    return "\n\n".join(["The conditional DCGAN:", table(head, rows), figure])


def show_directions(conditional: Path) -> str:
    """Variance and effects."""
    found = read(conditional, "traverse")
    names = list(found["effects"][0])
    rows = [
        [str(row + 1), f"{share:.1%}", f"{effect['pixels']:.3f}", *(f"{effect[name]:+.2f}" for name in names[1:])]
        for row, (share, effect) in enumerate(zip(found["variance"], found["effects"], strict=True))
    ]
    rows.append(["random", "", f"{found['pixels_of_random_directions']:.3f}", *[""] * (len(names) - 1)])
    figure = show(conditional, "traverse", "directions", "Five principal directions, from -3 to 3 deviations")
    text = f"The conditional DCGAN, label 3, layer `{found['layer']}`:"
    return "\n\n".join([text, table(["direction", "variance", *names], rows), figure])


def show_truncation(conditional: Path) -> str:
    """The curve as a table, and its figure."""
    found = read(conditional, "truncate")
    names = ("fid", "precision", "recall")
    rows = [[value, *(f"{each[name]:.3g}" for name in names)] for value, each in found["values"].items()]
    rows.append(["real images", *(f"{found['floor'][name]:.3g}" for name in names)])
    card = found["protocol"]
    text = (
        f"The conditional DCGAN, {card['n_fake']:,} samples against {card['n_real']:,} images of the split"
        f" {card['split']}, {card['features']} features:"
    )
    figure = show(conditional, "truncate_curve", "truncation", "FID, precision and recall against truncation")
    return "\n\n".join([text, table(["truncation", *names], rows), figure])


def main(conditional: Path, unconditional: Path, own: Path) -> None:
    """Replace what stands between the markers."""
    parts = {
        "arithmetic": show_arithmetic(conditional, unconditional),
        "inversion": show_inversion(unconditional, own),
        "neighbours": show_neighbours(conditional),
        "directions": show_directions(conditional),
        "truncation": show_truncation(conditional),
    }
    page = DOCS / "explorer.md"
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        start = f"<!-- {name}: made by docs/make_explorer.py -->"
        text, count = re.subn(
            f"{re.escape(start)}.*?<!-- end -->",
            lambda _, whole=f"{start}\n{part}\n<!-- end -->": whole,
            text,
            flags=re.S,
        )
        assert count == 1, name
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

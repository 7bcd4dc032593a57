"""Put a finished run into README.md or docs/start_here.md: its figures as a table, its pictures beside real ones.

    python docs/make_results.py digits outputs/<run>

replaces the block that starts with `<!-- digits: ... -->` and writes docs/images/digits.png, and digits.gif where the
page links it.
"""

import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zerosum import sampling
from zerosum.data.images import ImageDataset
from zerosum.drawing.film import film
from zerosum.drawing.grid import add_caption, grid
from zerosum.evaluation.measurement import Card, Record, read_record
from zerosum.pixels import from_uint8
from zerosum.runs.load import load, load_dataset

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/start_here.md")


def table(record: Record) -> str:
    """Start, best, last and floor, and the card that they share."""
    rows = [("start", record.history[0]), ("best", record.best), ("last", record.last)]
    lines = ["| | FID | images seen | minutes |", "|---|---|---|---|"]
    lines += [f"| {name} | {row.values['fid']:.2f} | {row.images:,} | {row.minutes:.0f} |" for name, row in rows]
    assert record.floor is not None, "the protocol of these runs has a floor"
    lines.append(f"| floor: training images in the generator's place | {record.floor['fid']:.2f} | | |")
    return "\n".join([*lines, "", format_card(record.last.card)])


def format_card(card: Card) -> str:
    """The card as a sentence."""
    protocol = card.protocol
    return (
        f"{protocol['n_fake']:,} samples of the generator's moving average against the {protocol['n_real']:,} images of"
        f" the {protocol['split']} split; features of a classifier of {protocol['features_accuracy']:.1%} test accuracy"
        f" ({protocol['features_hash']}); resize {protocol['resize']}; {protocol['rounding']}; seed {card.run['seed']}."
    )


def picture(run: Path) -> Image.Image:
    """Samples of best.ckpt, seeds 0 to 63, beside 64 training images, evenly spaced: folders are sorted by class."""
    model, dataset = load(run), load_dataset(run)
    assert isinstance(dataset, ImageDataset), "these pictures are of images"
    samples = torch.cat([batch.cpu() for batch in sampling.images(model, range(64))])
    images = dataset.split("train").images
    rows = np.linspace(0, len(images) - 1, 64).astype(int)
    real = from_uint8(torch.from_numpy(images[rows]).permute(0, 3, 1, 2))
    halves = [
        add_caption(grid(samples), f"generated, after {model.images_seen:,} images"),
        add_caption(grid(real), "real"),
    ]
    sheet = Image.new("RGB", (sum(half.width for half in halves) + 24, halves[0].height), "white")
    sheet.paste(halves[0], (0, 0))
    sheet.paste(halves[1], (halves[0].width + 24, 0))
    return sheet


def main(name: str, run: Path) -> None:
    """Fill the block and write the pictures."""
    page = fill_block(name, read_record(run / "metrics.json"))
    picture(run).save(ROOT / "docs" / "images" / f"{name}.png")
    if f"{name}.gif" in page.read_text(encoding="utf-8"):
        frames = sorted((run / "samples").glob("*.png"))
        film([*frames[:-1:2], frames[-1]], ROOT / "docs" / "images" / f"{name}.gif", width=330, colours=12)


def fill_block(name: str, record: Record) -> Path:
    """Replace the block of that name by the table; the page that has it."""
    block = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
    for page in (ROOT / path for path in PAGES):
        text, found = block.subn(
            lambda match: f"{match[1]}{table(record)}\n{match[2]}", page.read_text(encoding="utf-8")
        )
        if found:
            page.write_text(text, encoding="utf-8")
            return page
    raise ValueError(f"no block is named {name} in {' or '.join(PAGES)}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

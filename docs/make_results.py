"""Put a finished run into the README: its figures as a table, its pictures beside real ones.

    python docs/make_results.py digits outputs/<run>

replaces the block that starts with `<!-- digits: ... -->` and writes docs/images/digits.png and digits.gif.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from zerosum.runs.load import load
from zerosum.runs.load import load_dataset
from zerosum import sampling
from zerosum.training.callbacks.samples import film
from zerosum.drawing.grid import add_caption, grid
from zerosum.pixels import from_uint8

ROOT = Path(__file__).parents[1]


def table(report: dict[str, Any]) -> str:
    """Start, best, last and floor, and the card that they share."""
    card = report["last"]["card"]
    rows = [("start", report["history"][0]), ("best", report["best"]), ("last", report["last"])]
    lines = ["| | FID | images seen |", "|---|---|---|"]
    lines += [f"| {name} | {entry['values']['fid']:.2f} | {entry['card']['images']:,} |" for name, entry in rows]
    lines.append(f"| floor: training pictures in the generator's place | {report['floor']['fid']:.2f} | |")
    return "\n".join([*lines, "", protocol(card)])


def protocol(card: dict[str, Any]) -> str:
    """The card as a sentence."""
    return (
        f"{card['n_fake']:,} samples of the generator's moving average against the {card['n_real']:,} pictures of the"
        f" {card['split']} split; features of a classifier of {card['features_accuracy']:.1%} test accuracy"
        f" ({card['features_hash']}); resize {card['resize']}; {card['rounding']}; seed {card['seed']}."
    )


def picture(run: Path) -> Image.Image:
    """Samples of best.ckpt, seeds 0 to 63, beside the first 64 training pictures."""
    gan, dataset = load(run), load_dataset(run)
    samples = torch.cat([batch.cpu() for batch in sampling.images(gan, range(64))])
    real = from_uint8(next(iter(dataset.batches("train", 64))))
    halves = [
        add_caption(grid(samples), f"generated, after {gan.images_seen:,} images"),
        add_caption(grid(real), "real"),
    ]
    sheet = Image.new("RGB", (sum(half.width for half in halves) + 24, halves[0].height), "white")
    sheet.paste(halves[0], (0, 0))
    sheet.paste(halves[1], (halves[0].width + 24, 0))
    return sheet


def main(name: str, run: Path) -> None:
    """Fill the block and write the pictures."""
    report = json.loads((run / "metrics.json").read_text())
    readme = ROOT / "README.md"
    block = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    text, found = re.subn(block, lambda match: f"{match[1]}{table(report)}\n{match[2]}", readme.read_text(), flags=re.S)
    assert found == 1, f"README.md has no block named {name}"
    readme.write_text(text)
    picture(run).save(ROOT / "docs" / "images" / f"{name}.png")
    frames = sorted((run / "samples").glob("*.png"))
    film([*frames[:-1:2], frames[-1]], ROOT / "docs" / "images" / f"{name}.gif", width=330, colours=12)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

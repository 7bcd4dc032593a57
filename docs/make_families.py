"""Fill docs/families.md from finished runs: its tables, and docs/images/families.png and the pictures of codes.

    python train.py experiment=families hydra.sweep.dir=outputs/families
    python train.py experiment=families_mnist hydra.sweep.dir=outputs/families_mnist
    python train.py recipe=family_vae model.latent_dim=2 hydra.run.dir=outputs/families_plane
    python benchmarks/adversarial_autoencoder.py data outputs/adversarial > benchmarks/results/<name>.md
    python docs/make_families.py benchmarks/results/<name>.md outputs/adversarial

The tables are those of the best measurement of each run, the picture of autoencoders is of the benchmark's seed 0.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from make_tables import save_measurements
from PIL import Image

from zerosum import sampling
from zerosum.data.images import ImageDataset
from zerosum.drawing.grid import add_heading, label_rows, save_png, stack
from zerosum.evaluation.measurement import Measurement, read_record
from zerosum.pixels import from_uint8
from zerosum.runs.load import load, load_dataset
from zerosum.sampling import latents

ROOT = Path(__file__).parents[1]
PAGE, IMAGES, OUTPUTS = ROOT / "docs" / "families.md", ROOT / "docs" / "images", ROOT / "outputs"
KINDS = {
    "gaussian_mixture": "explicit, tractable",
    "made": "explicit, tractable",
    "nade": "explicit, tractable",
    "pixelcnn": "explicit, tractable",
    "pixelrnn": "explicit, tractable",
    "flow": "explicit, tractable",
    "vae": "explicit, variational",
    "rbm": "explicit, Markov chain",
    "gan": "implicit",
    "autoencoder": "no generative model",
}
"""Goodfellow 2016, figure 9, in the order of the table"""
PUBLISHED = {
    "made": (86.64, "static, two hidden layers, 32 orders (Germain et al. 2015)"),
    "nade": (88.33, "static, 500 hidden units (Germain et al. 2015)"),
    "pixelcnn": (81.30, "static (van den Oord et al. 2016)"),
    "pixelrnn": (79.20, "static, 7 layers (van den Oord et al. 2016)"),
    "vae": (86.76, "dynamic, 5,000 samples (Burda et al. 2016)"),
    "rbm": (86.34, "static, 500 hidden units, CD-25 (Salakhutdinov and Murray 2008)"),
}
"""Nats of MNIST in black and white, and of which"""
NATS = (("nll", 2), ("bits_per_dim", 3))
"""Values of a likelihood, and their digits after the point"""
COLUMNS = ["nats an image ↓", "bits a pixel ↓", "likelihood", "FID ↓", "modes ↑", "s for 1,000 samples ↓"]
COLUMNS += ["CPU min of training", "parameters"]
ACROSS, CODES = 16, 12
"""Images in a row of the families' picture, and of that of autoencoders"""


def digits_table(runs: Mapping[str, Path]) -> str:
    """A row for each family, with its class."""
    head = ["family", "Goodfellow's class", *COLUMNS]
    rows = [[f"`{name}`", KINDS[name], *values_of(run)] for name, run in runs.items()]
    return "\n".join([*lines_of(head, rows, "llrrlrrrrr"), "", *notes_of(runs)])


def mnist_table(runs: Mapping[str, Path]) -> str:
    """A row for each family, with images shown, the published figure and how far it is."""
    head = ["family", *COLUMNS, "images shown", "nats over published", "published"]
    rows = [[f"`{name}`", *values_of(run), *compare_with_published(name, run)] for name, run in runs.items()]
    return "\n".join([*lines_of(head, rows, "lrrlrrrrrrrl"), "", *notes_of(runs)])


def compare_with_published(name: str, run: Path) -> list[str]:
    """Images shown, nats over the published figure, and the figure itself."""
    best = read_record(run / "metrics.json").best
    if name not in PUBLISHED:
        return [f"{best.images:,}", "–", "–"]
    value, protocol = PUBLISHED[name]
    return [f"{best.images:,}", f"{best.values['nll'] - value:.1f}", f"{value:.2f}, {protocol}"]


def lines_of(head: list[str], rows: list[list[str]], sides: str) -> list[str]:
    """A table in Markdown; `sides` has l or r for each column."""
    rule = "|".join({"l": "---", "r": "---:"}[side] for side in sides)
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(cells)} |" for cells in rows)]


def values_of(run: Path) -> list[str]:
    """The cells of COLUMNS: the best measurement of a run."""
    record = read_record(run / "metrics.json")
    values, likelihood = record.best.values, record.best.card.run.get("likelihood", "none")
    nats = [f"{values[key]:.{digits}f}" if key in values else "–" for key, digits in NATS]
    costs = [f"{values['sample_seconds']:.3g}", f"{minutes_of(run):.2f}", f"{values['parameters']:,.0f}"]
    return [*nats, likelihood, f"{values['fid']:.2f}", f"{values['modes']:.0f}", *costs]


def minutes_of(run: Path) -> float:
    """The processor's minutes in steps of training, of the whole run."""
    return read_record(run / "metrics.json").last.values["train_minutes"]


def notes_of(runs: Mapping[str, Path]) -> list[str]:
    """The floor, what all of it took, and what decides whether other values compare."""
    records = [read_record(run / "metrics.json") for run in runs.values()]
    floor = records[0].floor
    assert floor is not None
    total = sum(map(minutes_of, runs.values()))
    told = f"FID of as many training images: {floor['fid']:.2f}. Training took {total:.1f} CPU minutes in sum."
    return [told, "", card_of(records[0].best)]


def card_of(best: Measurement) -> str:
    """What decides whether other values compare."""
    card = best.card.protocol
    return (
        f"{card['n_fake']:,} samples of the moving average against the {card['n_real']:,} held-out digits, features of"
        f" a classifier of {card['features_accuracy']:.1%} test accuracy ({card['features_hash']}); the best"
        f" measurement of each run, chosen by its likelihood there, of the GAN and the autoencoder by FID; seed"
        f" {best.card.run['seed']}; torch {best.card.code['versions']['torch']}, one thread."
    )


def samples_picture(runs: Mapping[str, Path]) -> Image.Image:
    """A row of samples of each family below a row of held-out digits."""
    dataset = load_dataset(next(iter(runs.values())))
    assert isinstance(dataset, ImageDataset)
    rows: dict[str, torch.Tensor] = {"held out": from_uint8(next(dataset.batches("test", ACROSS)))}
    for name, run in runs.items():
        rows[name] = torch.cat([batch.cpu() for batch in sampling.images(load(run), range(ACROSS))])
    return label_rows(dataset.draw(torch.cat(list(rows.values())), ACROSS), list(rows))


def codes_picture(folder: Path) -> Image.Image:
    """Held-out images, and of each loss what returns of their codes and what random codes decode to, two datasets."""
    panels = []
    for dataset, prefix in {"MNIST": "MNIST", "CIFAR-10, JPEG copy": "CIFAR-10_JPEG_copy"}.items():
        runs = {"L2": folder / f"{prefix}_L2_0", "L2 + hinge": folder / f"{prefix}_L2_hinge_0"}
        images = load_dataset(runs["L2"])
        assert isinstance(images, ImageDataset)
        held_out = torch.cat(list(images.batches("test", 1_000)))
        real = from_uint8(held_out[:: len(held_out) // CODES][:CODES])  # a folder's images are sorted by class
        models: dict[str, Any] = {model: load(run) for model, run in runs.items()}
        rows = {"held out": real}
        rows |= {f"{name}: from its code": model.reconstruct(real).cpu() for name, model in models.items()}
        rows |= {
            f"{name}: of a random code": model.decode(latents(range(CODES), model.latent_dim)).cpu()
            for name, model in models.items()
        }
        panel = label_rows(images.draw(torch.cat(list(rows.values())), CODES), list(rows))
        panels.append(add_heading(panel, [f"{dataset}, 16x16 pixels"]))
    return stack(panels)


def fill_block(name: str, content: str) -> None:
    """Replace the block of that name."""
    block = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    text, found = re.subn(
        block, lambda match: f"{match[1]}{content}\n{match[2]}", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert found == 1, name
    PAGE.write_text(text, encoding="utf-8")


def main(benchmark: Path | None, autoencoders: Path | None) -> None:
    """Fill every block and write every picture."""
    runs = {name: OUTPUTS / "families" / f"family_{name}_seed0" for name in KINDS}
    fill_block("families", digits_table(runs))
    save_measurements("families", runs)
    save_png(samples_picture(runs), IMAGES / "families.png")
    plane = OUTPUTS / "families_plane"
    with torch.inference_mode():
        drawn = load(plane).illustrate(load_dataset(plane))["plane_of_codes"]  # type: ignore[arg-type]
        save_png(drawn.picture, IMAGES / "plane_of_codes.png")
        if autoencoders is not None:
            save_png(codes_picture(autoencoders), IMAGES / "reconstructions.png")
    folder = OUTPUTS / "families_mnist"
    runs = {name: run for name in KINDS if (run := folder / f"mnist_family_{name}_seed0").exists()}
    fill_block("mnist", mnist_table(runs))
    save_measurements("families_mnist", runs)
    save_png(samples_picture(runs), IMAGES / "families_mnist.png")
    if benchmark is not None:
        lines = benchmark.read_text(encoding="utf-8").splitlines()
        fill_block("adversarial", "\n".join(line for line in lines if line.startswith("|")))


if __name__ == "__main__":
    main(*[Path(name) for name in sys.argv[1:3]] if len(sys.argv) > 2 else [None, None])

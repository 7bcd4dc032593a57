"""Fill docs/families.md from finished runs: its tables, and docs/images/families.png and the pictures of codes.

    python train.py experiment=families hydra.sweep.dir=outputs/families
    python train.py experiment=families_mnist hydra.sweep.dir=outputs/families_mnist
    python train.py recipe=family_vae model.latent_dim=2 hydra.run.dir=outputs/families_plane
    python benchmarks/adversarial_autoencoder.py data outputs/adversarial > benchmarks/results/<name>.md
    python docs/make_families.py benchmarks/results/<name>.md

The tables are those of the best measurement of each run.
"""

import re
import sys
from pathlib import Path

import torch
from PIL import Image

from zerosum import sampling
from zerosum.data.images import ImageDataset
from zerosum.drawing.grid import label_rows, save_png
from zerosum.evaluation.measurement import Measurement, read_record
from zerosum.pixels import from_uint8
from zerosum.runs.load import load, load_dataset

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
    "vae": "86.76, dynamic, 5,000 samples (Burda et al. 2016)",
    "made": "88.04, static, one order (Germain et al. 2015)",
    "rbm": "86.34, static, 500 hidden units, CD-25 (Salakhutdinov and Murray 2008)",
}
NATS = (("nll", 2), ("bits_per_dim", 3))
"""Values of a likelihood, and their digits after the point"""
ACROSS = 16


def families_table(runs: dict[str, Measurement]) -> str:
    """A row for each family: the best measurement."""
    head = ["`model=`", "Goodfellow's class", "nats a digit ↓", "bits a pixel ↓", "likelihood", "FID ↓", "modes ↑"]
    head += ["s for 1,000 samples ↓", "CPU min of training", "parameters"]
    lines = [f"| {' | '.join(head)} |", "|---|---|---:|---:|---|---:|---:|---:|---:|---:|"]
    for name, best in runs.items():
        values, likelihood = best.values, best.card.run.get("likelihood", "none")
        nats = [f"{values[key]:.{digits}f}" if key in values else "–" for key, digits in NATS]
        cells = [f"`{'mlp' if name == 'gan' else name}`", KINDS[name], *nats, likelihood]
        cells += [f"{values['fid']:.2f}", f"{values['modes']:.0f}", f"{values['sample_seconds']:.3g}"]
        cells += [f"{minutes_of(name):.2f}", f"{values['parameters']:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    total = sum(minutes_of(name) for name in runs)
    floor = read_record(OUTPUTS / "families" / "family_made_seed0" / "metrics.json").floor
    assert floor is not None
    lines += ["", f"FID of as many training images: {floor['fid']:.2f}. Training took {total:.1f} CPU minutes in sum."]
    return "\n".join([*lines, "", card_of(next(iter(runs.values())))])


def minutes_of(name: str) -> float:
    """The processor's minutes in steps of training, of the whole run."""
    return read_record(run_of(name) / "metrics.json").last.values["train_minutes"]


def card_of(best: Measurement) -> str:
    """What decides whether other values compare."""
    card = best.card.protocol
    return (
        f"{card['n_fake']:,} samples of the moving average against the {card['n_real']} held-out digits, features of a"
        f" classifier of {card['features_accuracy']:.1%} test accuracy ({card['features_hash']}); the best measurement"
        f" of each run, chosen by its likelihood there, of the GAN and the autoencoder by FID; seed"
        f" {best.card.run['seed']}; torch {best.card.code['versions']['torch']}, one thread."
    )


def mnist_table() -> str:
    """A row for each family that was trained on MNIST."""
    lines = [
        "| `model=` | nats ↓ | likelihood | CPU min of training | images shown | published |",
        "|---|---:|---|---:|---:|---|",
    ]
    for path in sorted((OUTPUTS / "families_mnist").glob("*/metrics.json")):
        name, best = path.parent.name.removesuffix("_seed0"), read_record(path).best
        minutes = f"{read_record(path).last.values['train_minutes']:.1f}"
        lines.append(
            f"| `{name}` | {best.values['nll']:.2f} | {best.card.run['likelihood']} | {minutes} | {best.images:,} |"
            f" {PUBLISHED.get(name, '–')} |"
        )
    return "\n".join(lines)


def samples_picture(names: list[str]) -> Image.Image:
    """A row of samples of each family below a row of held-out digits."""
    dataset = load_dataset(run_of(names[0]))
    assert isinstance(dataset, ImageDataset)
    rows: dict[str, torch.Tensor] = {"held out": from_uint8(next(dataset.batches("test", ACROSS)))}
    for name in names:
        rows[name] = torch.cat([batch.cpu() for batch in sampling.images(load(run_of(name)), range(ACROSS))])
    return label_rows(dataset.draw(torch.cat(list(rows.values())), ACROSS), list(rows))


def run_of(name: str) -> Path:
    """The folder of a family's run."""
    return OUTPUTS / "families" / f"family_{name}_seed0"


def fill_block(name: str, content: str) -> None:
    """Replace the block of that name."""
    block = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)"
    text, found = re.subn(
        block, lambda match: f"{match[1]}{content}\n{match[2]}", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert found == 1, name
    PAGE.write_text(text, encoding="utf-8")


def main(benchmark: Path | None) -> None:
    """Fill every block and write every picture."""
    runs = {name: read_record(run_of(name) / "metrics.json").best for name in KINDS}
    fill_block("families", families_table(runs))
    save_png(samples_picture(list(runs)), IMAGES / "families.png")
    for run, name in {run_of("autoencoder"): "reconstructions", OUTPUTS / "families_plane": "plane_of_codes"}.items():
        with torch.inference_mode():
            drawn = load(run).illustrate(load_dataset(run))[name]  # type: ignore[arg-type]
        save_png(drawn.picture, IMAGES / f"{name}.png")
    fill_block("mnist", mnist_table())
    if benchmark is not None:
        lines = benchmark.read_text(encoding="utf-8").splitlines()
        fill_block("adversarial", "\n".join(line for line in lines if line.startswith("|")))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)

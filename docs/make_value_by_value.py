"""Fill docs/value_by_value.md from finished runs: its figures and its pictures.

    python train.py experiment=tones hydra.run.dir=outputs/tones
    python train.py model=pixelcnn dataset=binarized_digits run.images=60_000 hydra.run.dir=outputs/pixelcnn
    python train.py model=rbm dataset=binarized_digits hydra.run.dir=outputs/rbm
    python train.py model=rbm dataset=binarized_digits model.hidden=16 hydra.run.dir=outputs/rbm_16
    python train.py model=rbm dataset=binarized_digits model.chains=256 hydra.run.dir=outputs/rbm_persistent
    python docs/make_value_by_value.py

Values are those of the last measurement of each run, pictures those of its best model.
"""

import re
from pathlib import Path

from zerosum.drawing.grid import save_png
from zerosum.evaluation.measurement import Record, read_record
from zerosum.runs.load import load, load_dataset

ROOT = Path(__file__).parents[1]
PAGE, IMAGES, OUTPUTS = ROOT / "docs" / "value_by_value.md", ROOT / "docs" / "images", ROOT / "outputs"
PICTURES = {"completions": "pixelcnn", "sound": "tones", "chains": "rbm"}
"""What a run's model draws of itself"""
MACHINES = {
    "rbm_16": "16 units, CD-5",
    "rbm": "128 units, CD-5",
    "rbm_persistent": "128 units, 256 persistent chains, k = 5",
}


def record_of(run: str) -> Record:
    """The measurements of a run."""
    return read_record(OUTPUTS / run / "metrics.json")


def describe_tones() -> str:
    """How much of the power of generated sound lies at the tones, and of the data's."""
    record = record_of("tones")
    last, floor = record.last, record.floor or {}
    return (
        f"After {last.images:,} waves, {last.values['tone_power']:.1%} of the power of {last.card.protocol['n_fake']}"
        f" generated sounds lies at the tones; of as many of the data {floor['tone_power']:.1%}."
    )


def machines_table() -> str:
    """log Z both ways and exactly, and the likelihood, of each machine."""
    lines = [
        "| machine | log Z, AIS forward | in reverse | exactly | nats a digit ↓ | bits a pixel ↓ | FID ↓ |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for run, name in MACHINES.items():
        last = record_of(run).last
        facts, values = last.card.run, last.values
        exact = f"{facts['log_z']:.2f}" if facts["likelihood"] == "exact" else "–"
        logs = f"{facts['log_z_ais_forward']:.2f} | {facts['log_z_ais_reverse']:.2f} | {exact}"
        quality = f"{values['nll']:.2f} | {values['bits_per_dim']:.3f} | {values['fid']:.2f}"
        lines.append(f"| {name} | {logs} | {quality} |")
    card = record_of("rbm").last.card
    lines += [
        "",
        f"At {card.run['images']:,} images, AIS of 100 chains over 1,000 temperatures; seed {card.run['seed']}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the blocks and the pictures."""
    text = PAGE.read_text(encoding="utf-8")
    for name, content in {"tones": describe_tones(), "machines": machines_table()}.items():
        block = rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)"
        text = re.sub(block, lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text, flags=re.S)
    PAGE.write_text(text, encoding="utf-8")
    for name, run in PICTURES.items():
        model, dataset = load(OUTPUTS / run), load_dataset(OUTPUTS / run)
        save_png(model.illustrate(dataset)[name].picture, IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()

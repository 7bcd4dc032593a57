"""Samples of a trained model, as files: zerosum sample run=outputs/<run> count=64 seed=0"""

from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.errors import UserError
from zerosum.experiment.compose import CONF
from zerosum.files import save_whole

MOST_DRAWN = 1024
"""Samples in grid.png"""


CONFIG_NAME = "sample"


@command
@hydra.main(version_base="1.3", config_path=str(CONF), config_name=CONFIG_NAME)
def main(config: DictConfig) -> None:
    """Write `count` samples, of seeds `seed`, `seed` + 1, ..., one file each and a grid."""
    with errors_as_sentences(CONFIG_NAME):
        what = config.checkpoint, config.count, config.seed, config.output
        print(sample(Path(config.run), *what, config.trusted))


def sample(
    run: Path, checkpoint: str, count: int, seed: int, output: str | None, trusted: str | Sequence[str] = ()
) -> str:
    """Write samples of seeds seed to seed + count - 1 into a folder and return a sentence that says where.

    Images become one PNG each, points a CSV; grid.png shows the first 1,024 of either.
    """
    import torch

    from zerosum import sampling
    from zerosum.drawing.grid import as_picture, save_png
    from zerosum.pixels import to_uint8
    from zerosum.runs.load import load, load_dataset

    if not isinstance(count, int) or count < 1 or not isinstance(seed, int) or seed < 0:
        raise UserError(f"count={count} seed={seed}: count is a whole number from 1, seed from 0")
    module = load(run, checkpoint, trusted=trusted)
    dataset = load_dataset(run, trusted)
    folder = Path(output) if output else run / "generated"
    samples = torch.cat([batch.cpu() for batch in sampling.images(module, range(seed, seed + count))])
    if samples.dim() == 4:
        for number, pixels in enumerate(to_uint8(samples), start=seed):
            save_png(as_picture(pixels), folder / f"{number:06d}.png")
    else:
        rows = "\n".join(",".join(map(str, point)) for point in samples.tolist())
        save_whole(folder / "samples.csv", lambda partial: partial.write_text(f"x1,x2\n{rows}\n", encoding="utf-8"))
    save_png(dataset.draw(samples[:MOST_DRAWN]), folder / "grid.png")
    seen = f"{count} samples of {run.name} at {module.images_seen:,} images"
    return f"{seen}: {folder}, all of them in {folder / 'grid.png'}"


if __name__ == "__main__":
    main()

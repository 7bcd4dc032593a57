"""Pictures of a run's generator, as files."""

from collections.abc import Sequence
from pathlib import Path

import torch

from zerosum import experiment, sampling
from zerosum.errors import UserError
from zerosum.files import saved_whole
from zerosum.pictures import as_picture, save_png


def write(
    run: Path, checkpoint: str, count: int, seed: int, output: str | None, trusted: str | Sequence[str] = ()
) -> str:
    """Write samples of seeds seed .. seed + count - 1 into a folder; returns a sentence that says where.

    Pictures become one PNG each, points a CSV; both also grid.png, the picture of up to the first 1,024.
    """
    if not isinstance(count, int) or count < 1 or not isinstance(seed, int) or seed < 0:
        raise UserError(f"count={count} seed={seed}: count is a whole number from 1, seed from 0")
    gan = experiment.load(run, checkpoint, trusted=trusted)
    dataset = experiment.load_dataset(run, trusted)
    folder = Path(output) if output else run / "generated"
    samples = torch.cat([batch.cpu() for batch in sampling.images(gan, range(seed, seed + count))])
    if samples.dim() == 4:
        for number, sample in enumerate(sampling.to_uint8(samples), start=seed):
            save_png(as_picture(sample), folder / f"{number:06d}.png")
    else:
        rows = "\n".join(",".join(map(str, point)) for point in samples.tolist())
        saved_whole(folder / "samples.csv", lambda partial: partial.write_text(f"x1,x2\n{rows}\n"))
    grid = dataset.picture(samples[:1024])
    save_png(grid, folder / "grid.png")
    return (
        f"{count} samples of {run.name} at {gan.images_seen:,} images: {folder}, all of them in {folder / 'grid.png'}"
    )

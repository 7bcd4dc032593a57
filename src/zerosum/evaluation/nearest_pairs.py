"""The samples that are nearest to training pictures, each above its neighbour: a look at what may be copied."""

import torch
from PIL import Image

from zerosum.evaluation.neighbour_metrics import nearest
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.reference import FeatureSet
from zerosum.drawing.grid import captioned, grid, stack
from zerosum.pixels import from_uint8
from zerosum.sampling import Model


def nearest_pairs(protocol: ImageProtocol, model: Model, fake: FeatureSet, count: int = 10) -> Image.Image:
    """A sheet of the `count` closest pairs, the closest first."""
    found = nearest(fake.features, protocol.reference.of("train").features)
    rows = found.distances.argsort()[:count]
    with torch.inference_mode():
        samples = model.sample([protocol.seed * protocol.n_fake + int(row) for row in rows]).cpu()
    pictures = protocol.dataset.split("train").images[found.indices[rows].cpu().numpy()]
    neighbours = from_uint8(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    farthest = float(found.distances[rows[-1]])
    rows_of_sheet = [
        captioned(grid(samples, columns=count), f"samples, of {protocol.n_fake:,} those nearest to a training picture"),
        captioned(grid(neighbours, columns=count), f"those training pictures, at distances up to {farthest:.3g}"),
    ]
    return stack(rows_of_sheet)

"""The samples nearest to training images, each above its neighbour, to look for copies."""

import torch
from PIL import Image

from zerosum.drawing.grid import add_caption, grid, stack
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.neighbour_metrics import nearest
from zerosum.evaluation.reference import FeatureSet
from zerosum.pixels import from_uint8
from zerosum.sampling import Model


def draw_nearest_pairs(protocol: ImageProtocol, model: Model, fake: FeatureSet, count: int = 10) -> Image.Image:
    """Draw the `count` closest pairs, the closest first; `fake` has the features of the protocol's first samples."""
    found = nearest(fake.features, protocol.reference.load("train").features)
    rows = found.distances.argsort()[:count]
    with torch.inference_mode():
        samples = protocol.sample(model, rows.tolist()).cpu()
    images = protocol.dataset.split("train").images[found.indices[rows].cpu().numpy()]
    neighbours = from_uint8(torch.from_numpy(images).permute(0, 3, 1, 2))
    farthest = float(found.distances[rows[-1]])
    sheet = [
        add_caption(
            grid(samples, columns=count), f"of {len(fake.features):,} samples those nearest to a training image"
        ),
        add_caption(grid(neighbours, columns=count), f"those training images, at distances up to {farthest:.3g}"),
    ]
    return stack(sheet)

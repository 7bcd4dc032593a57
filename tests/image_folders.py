"""Folders of small images for tests."""

import numpy as np
from PIL import Image

from zerosum.data.image_folder import ImageFolder

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def folder_of(top, **options):
    return ImageFolder(str(top), root=str(top.parent / "root"), **{"resolution": 4, **options})


def caches(top):
    return sorted((top.parent / "root" / "cache").glob("*"))


def fill(top, count, color=RED):
    """`count` flat images named 00.png and up."""
    top.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (4, 4), color).save(top / f"{number:02d}.png")


def decode(top, image, suffix=".png", saving=None, **options):
    """What an image becomes: it is saved twice, as one of two is held out."""
    for name in "ab":
        image.save(top / (name + suffix), **(saving or {}))
    images, labels, *_ = folder_of(top, **options).split("train")
    assert labels is None and len(images) == 1 and images.dtype == np.uint8
    return images[0]


def is_flat(array, color):
    return (array == np.array(color)).all()


def refuse_to_decode(*_):
    raise AssertionError("decoded again")

"""Any folder of images as a dataset."""

import hashlib
import logging
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ImageColor

from zerosum.data.attributes import AttributeFile
from zerosum.data.image_cache import read_cache, write_cache
from zerosum.data.image_decoding import ResizeOptions
from zerosum.data.image_files import ImageFile, list_splits, printable_path, short_name
from zerosum.data.images import ImageDataset, Split
from zerosum.errors import UserError

log = logging.getLogger("zerosum")

CACHE_FORMAT = 2
"""Raise it whenever the same files are decoded to other pixels or cached in another form."""
MOST_NAMED = 5
"""Messages name at most this many broken images."""


class ImageFolder(ImageDataset):
    """Every image in `path` and below it, decoded once to a cache in `root`.

    Sub-folders are classes. If there are folders `train` and `test` (or `val`), they are the splits; otherwise one
    image in ten is held out as test. `fit` is crop (center square) or resize (aspect ignored); `background`
    lies under transparent pixels; broken images are an error, or with `skip_broken` left out and named in the log.
    `attributes` is a CSV file with a line of numbers for each image; it may have lines of other images too.
    """

    def __init__(
        self,
        path: str,
        resolution: int = 64,
        channels: int = 3,
        fit: Literal["crop", "resize"] = "crop",
        background: Sequence[int] | str = "white",
        skip_broken: bool = False,
        attributes: str | None = None,
        root: str = "data",
        flip: bool = False,
    ) -> None:
        super().__init__(resolution, root, flip)
        if not path:
            raise UserError("dataset.path is empty: set dataset.path=... to the folder that holds your images")
        if resolution < 1:
            raise UserError(f"dataset.resolution={resolution} is no image size: take 1 or more, such as 64")
        if channels not in (1, 3):
            raise UserError(f"dataset.channels={channels} is not possible: take 1 for gray or 3 for color")
        if fit not in ("crop", "resize"):
            raise UserError(f"dataset.fit={fit} is not known: take crop or resize")
        self.folder = Path(path).expanduser().absolute()
        self.channels = channels
        self.resize_options = ResizeOptions(resolution, channels, fit, parse_color(background))
        self.skip_broken = skip_broken
        self.attribute_file = None if attributes is None else AttributeFile(Path(attributes).expanduser().absolute())
        self._left_out: dict[str, tuple[str, ...]] = {}

    @cached_property
    def files(self) -> dict[str, list[ImageFile]]:
        """The files of each split, sorted by name, listed once."""
        return list_splits(self.folder)

    @cached_property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """Sorted names of the sub-folders that hold images; None if there are images outside of sub-folders."""
        folders = {file.folder for files in self.files.values() for file in files}
        names = sorted(printable_path(folder) for folder in folders if folder is not None)
        if names and None in folders:
            log.warning(
                "%s has images in sub-folders and others beside them, so there are no classes:"
                " move them all into sub-folders if you want classes",
                printable_path(self.folder),
            )
        return tuple(names) if names and None not in folders else None

    @property
    def attribute_names(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The columns of the CSV file after the first; None without one."""
        return None if self.attribute_file is None else self.attribute_file.names

    @cached_property
    def attributes(self) -> dict[str, np.ndarray] | None:
        """(A,) float32 of each file in the folder, readable or not; None without a CSV file."""
        if self.attribute_file is None:
            return None
        names = [file.name for files in self.files.values() for file in files]
        return dict(zip(names, self.attribute_file.read(names, self.folder), strict=True))

    def prepare(self) -> None:
        """Decode both splits, or open what an earlier run decoded; every UserError about the files is raised here."""
        for split in self.splits:
            self.split(split)

    def read(self, split: str) -> Split:
        """The readable images in the order of their names, from the cache if it was made of the same files."""
        files, attributes = self.files[split], self.attributes  # before any image is decoded
        place = self.cache_path(split)
        decoded = read_cache(place, len(files), self.resize_options)
        if decoded is None or (decoded.broken and not self.skip_broken):  # they may have been mended since
            broken = write_cache(place, self.folder, [file.name for file in files], self.resize_options)
            self.check_broken(split, broken)
            decoded = read_cache(place, len(files), self.resize_options)
            if decoded is None:
                raise UserError(f"{place} cannot be read back: check that disk, or set dataset.root=... to another")
        self._left_out[split] = tuple(decoded.broken)
        if decoded.broken:
            record = printable_path(place.with_suffix(".json").absolute())
            log.warning("Left out %s; all are named in %s", self.describe_broken(split, decoded.broken), record)
        kept = [file for file in files if file.name not in decoded.broken]
        rows = None if attributes is None else np.stack([attributes[file.name] for file in kept])
        return Split(decoded.images, self.labels(kept), rows)

    def check_broken(self, split: str, broken: dict[str, str]) -> None:
        """UserError if there are broken images that may not be left out, or no others."""
        if len(broken) == len(self.files[split]):
            raise UserError(
                f"Cannot read {self.describe_broken(split, broken)}: replace them, or set dataset.path=... to another"
                " folder"
            )
        if broken and not self.skip_broken:
            raise UserError(
                f"Cannot read {self.describe_broken(split, broken)}: replace or delete them, or set"
                " dataset.skip_broken=true to leave them out"
            )

    def describe_broken(self, split: str, broken: dict[str, str]) -> str:
        """'2 of 100 train images in /folder, a.png (an empty file) and b.png (not an image)'."""
        named = [f"{short_name(name)} ({reason})" for name, reason in islice(broken.items(), MOST_NAMED)]
        if len(broken) > MOST_NAMED:
            named.append(f"{len(broken) - MOST_NAMED:,} more")
        names = " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
        return f"{len(broken):,} of {len(self.files[split]):,} {split} images in {printable_path(self.folder)}, {names}"

    def labels(self, files: Sequence[ImageFile]) -> np.ndarray | None:
        """(N,) int64 indices into `classes`."""
        if self.classes is None:
            return None
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[printable_path(file.folder or "")] for file in files], dtype=np.int64)

    def cache_path(self, split: str) -> Path:
        """The file of the decoded split: another one whenever a file or the resize options change."""
        content = (CACHE_FORMAT, self.resize_options, self.files[split])
        digest = hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()
        return self.cache / f"{digest}.{split}.npy"

    def fingerprint(self, split: str) -> str:
        """A hash of the cache's name, classes, attributes and the images left out: no pixel is read again."""
        attributes = self.split(split).attributes
        content: tuple[object, ...] = (self.cache_path(split).name, self.classes, self._left_out[split])
        content += () if attributes is None else (self.attribute_names, attributes.tobytes())
        return hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()


def parse_color(background: Sequence[int] | str) -> tuple[int, int, int]:
    """RGB from a name, '#rrggbb' or three numbers; UserError for anything else."""
    try:
        red, green, blue = ImageColor.getrgb(background)[:3] if isinstance(background, str) else background
        if all(isinstance(value, int) and 0 <= value <= 255 for value in (red, green, blue)):
            return red, green, blue
    except (TypeError, ValueError):
        pass
    raise UserError(
        f"dataset.background={background} is no color: take a name such as white, '#rrggbb' or three numbers from 0 to"
        " 255 such as [255,255,255]"
    )

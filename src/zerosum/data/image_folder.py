"""Any folder of pictures as a dataset."""

import hashlib
import logging
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ImageColor

from zerosum.data.image_decoding import ResizeOptions, store, stored
from zerosum.data.image_files import ImageFile, brief, listed_splits, shown
from zerosum.data.images import ImageDataset, Split
from zerosum.errors import UserError

log = logging.getLogger("zerosum")

CACHE_FORMAT = 1
"""To be raised when the same files would be decoded to other pixels."""
NAMED = 5
"""At most so many broken pictures are named."""


class ImageFolder(ImageDataset):
    """Every picture in `path` and below it, decoded once to a cache in `root`.

    Sub-folders are classes. `train` next to `test` (or else `val`) are taken as the splits, otherwise one
    picture in ten is held out as test. `fit` is crop (center square) or resize (aspect ignored); `background`
    lies under transparent pixels; broken pictures are an error, or with `skip_broken` left out and named in the log.
    """

    def __init__(
        self,
        path: str,
        resolution: int = 64,
        channels: int = 3,
        fit: Literal["crop", "resize"] = "crop",
        background: Sequence[int] | str = "white",
        skip_broken: bool = False,
        root: str = "data",
        flip: bool = False,
    ) -> None:
        super().__init__(resolution, root, flip)
        if not path:
            raise UserError("dataset.path is empty: set dataset.path=... to the folder that holds your pictures")
        if resolution < 1:
            raise UserError(f"dataset.resolution={resolution} is no size for a picture: take 1 or more, such as 64")
        if channels not in (1, 3):
            raise UserError(f"dataset.channels={channels} is not possible: take 1 for gray or 3 for color")
        if fit not in ("crop", "resize"):
            raise UserError(f"dataset.fit={fit} is not known: take crop or resize")
        self.folder = Path(path).expanduser().absolute()
        self.channels = channels
        self.view = ResizeOptions(resolution, channels, fit, color(background))
        self.skip_broken = skip_broken
        self._left_out: dict[str, tuple[str, ...]] = {}

    @cached_property
    def files(self) -> dict[str, list[ImageFile]]:
        """Each split's files sorted by name, listed once."""
        return listed_splits(self.folder)

    @cached_property
    def classes(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """Names of the sub-folders that hold pictures, sorted; None where pictures lie outside of them."""
        folders = {file.folder for files in self.files.values() for file in files}
        names = sorted(shown(folder) for folder in folders if folder is not None)
        if names and None in folders:
            log.warning(
                f"{shown(self.folder)} has pictures in sub-folders and others beside them, so there are no classes:"
                " move them all into sub-folders if you want classes"
            )
        return tuple(names) if names and None not in folders else None

    def prepare(self) -> None:
        """Decode both splits, or map them where an earlier run did; every UserError about the files is raised here."""
        for split in self.splits:
            self.split(split)

    def read(self, split: str) -> Split:
        """The readable pictures in the order of their names, from the cache where it knows these files."""
        files = self.files[split]
        place = self.place(split)
        decoded = stored(place, len(files))
        if decoded is None or (decoded.broken and not self.skip_broken):  # they may have been mended since
            broken = store(place, self.folder, [file.name for file in files], self.view)
            self.judge(split, broken)
            decoded = stored(place, len(files))
            assert decoded is not None
        self._left_out[split] = tuple(decoded.broken)
        if decoded.broken:
            every = shown(place.with_suffix(".json").absolute())
            log.warning(f"Left out {self.counted(split, decoded.broken)}; all are named in {every}")
        return Split(decoded.images, self.labels([file for file in files if file.name not in decoded.broken]))

    def judge(self, split: str, broken: dict[str, str]) -> None:
        """A UserError where there are broken pictures and they may not be left out, or nothing else is left."""
        if len(broken) == len(self.files[split]):
            raise UserError(
                f"Cannot read {self.counted(split, broken)}: replace them, or set dataset.path=... to another folder"
            )
        if broken and not self.skip_broken:
            raise UserError(
                f"Cannot read {self.counted(split, broken)}: replace or delete them, or set dataset.skip_broken=true"
                " to leave them out"
            )

    def counted(self, split: str, broken: dict[str, str]) -> str:
        """'2 of 100 train pictures in /folder, a.png (an empty file) and b.png (not a picture)'."""
        named = [f"{brief(name)} ({reason})" for name, reason in islice(broken.items(), NAMED)]
        if len(broken) > NAMED:
            named.append(f"{len(broken) - NAMED:,} more")
        names = " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
        return f"{len(broken):,} of {len(self.files[split]):,} {split} pictures in {shown(self.folder)}, {names}"

    def labels(self, files: Sequence[ImageFile]) -> np.ndarray | None:
        """(N,) int64 places in `classes`."""
        if self.classes is None:
            return None
        number = {name: place for place, name in enumerate(self.classes)}
        return np.array([number[shown(file.folder or "")] for file in files], dtype=np.int64)

    def place(self, split: str) -> Path:
        """Where the decoded split is kept: another file whenever a picture or the view of it changes."""
        digest = hashlib.blake2b(repr((CACHE_FORMAT, self.view, self.files[split])).encode(), digest_size=16)
        return self.cache / f"{digest.hexdigest()}.{split}.npy"

    def fingerprint(self, split: str) -> str:
        """A hash of the cache's name, the classes and the pictures left out: no pixel is read again."""
        self.split(split)
        what = (self.place(split).name, self.classes, self._left_out[split])
        return hashlib.blake2b(repr(what).encode(), digest_size=16).hexdigest()


def color(background: Sequence[int] | str) -> tuple[int, int, int]:
    """RGB of a name, '#rrggbb' or three numbers; a UserError where it is none of these."""
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

"""Lists the image files of a folder, with their split and sub-folder, without opening any of them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from zerosum.errors import UserError, printable

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
HOLD_OUT_EVERY = 10
"""Without a test folder, one image in this many is held out."""
LONGEST_NAME = 80
"""Longer names are shortened in messages, to this many characters."""


class ImageFile(NamedTuple):
    """An image file and its state when it was listed: two are equal only if the file did not change in between."""

    name: str
    """relative to the dataset's folder, with slashes"""
    folder: str | None
    """the sub-folder of its split that holds it, directly or deeper; None outside of sub-folders"""
    size: int = -1
    changed: int = -1
    """time of modification in nanoseconds"""
    mode: int = -1
    """type and permissions: a file that has become readable has changed"""


def printable_path(path: str | Path) -> str:
    """The path with escapes for what a terminal cannot show: names on disk may have line ends or not be UTF-8."""
    return printable(os.fsencode(path).decode(errors="backslashreplace"))


def short_name(name: str) -> str:
    """The printable name, without its middle if it is long."""
    text = printable_path(name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME // 2]}…{text[-LONGEST_NAME // 2 + 1 :]}"


def list_splits(top: Path) -> dict[str, list[ImageFile]]:
    """train and test, each sorted by name; UserError if one of them would be empty."""
    try:
        test_folder = next((name for name in ("test", "val") if (top / name).is_dir()), None)
        if test_folder and (top / "train").is_dir():
            return {"train": list_images(top, top / "train"), "test": list_images(top, top / test_folder)}
        files = list_images(top, top)
    except OSError as error:
        raise_not_listable(error)
    test = hold_out(files)
    if len(files) == len(test):
        raise UserError(
            f"{printable_path(top)} holds one image, but at least two are needed, as one is held out for tests:"
            " add images, or set dataset.path=... to another folder"
        )
    return {"train": [file for file in files if file not in test], "test": [file for file in files if file in test]}


def hold_out(files: Sequence[ImageFile]) -> set[ImageFile]:
    """One file in ten, at least one: those whose names hash lowest, so that a new file moves at most one other."""
    ranked = sorted(files, key=lambda file: hashlib.blake2b(os.fsencode(file.name), digest_size=8).digest())
    return set(ranked[: max(1, len(files) // HOLD_OUT_EVERY)])


def list_images(top: Path, start: Path) -> list[ImageFile]:
    """The image files in and below `start`, sorted by their names relative to `top`; UserError if there are none."""
    if not start.is_dir():
        wrong = "is a file, not a folder" if start.exists() else "does not exist"
        raise UserError(f"{printable_path(start)} {wrong}: set dataset.path=... to the folder that holds your images")
    files = sorted(find_images(top, start))
    if not files:
        raise UserError(
            f"{printable_path(start)} holds no images: set dataset.path=... to a folder with files that end in"
            f" {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    return files


def find_images(top: Path, start: Path) -> Iterator[ImageFile]:
    """Files with an image's suffix that are not hidden; links are followed, but each real folder is listed once."""
    listed: set[str] = set()
    for place, folders, names in os.walk(start, onerror=raise_not_listable, followlinks=True):
        real = os.path.realpath(place)
        if real in listed:  # a link back up would loop
            folders.clear()
            continue
        listed.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(place).relative_to(start).parts
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield image_file(Path(place, name), top, below[0] if below else None)


def image_file(path: Path, top: Path, folder: str | None) -> ImageFile:
    """The file with its current size, time and mode, or without them if it is a broken link."""
    name = path.relative_to(top).as_posix()
    try:
        status = path.stat()
    except OSError:
        return ImageFile(name, folder)
    return ImageFile(name, folder, status.st_size, status.st_mtime_ns, status.st_mode)


def raise_not_listable(error: OSError) -> NoReturn:
    """UserError for a folder that os.walk would skip silently."""
    raise UserError(
        f"{printable_path(error.filename)} cannot be listed ({error.strerror}): make it readable, or take it out of"
        " dataset.path"
    ) from error

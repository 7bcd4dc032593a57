"""Which picture files a folder holds, in which split and which sub-folder, before any of them is opened."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from zerosum.errors import UserError, printable

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
HELD_OUT_EVERY = 10
LONGEST = 80
"""Characters of a name in a message."""


class ImageFile(NamedTuple):
    """A file as it was when listed: equal to a later one only if nobody has changed it in between."""

    name: str
    """relative to the dataset's folder, with slashes"""
    folder: str | None
    """the sub-folder of its split that it lies in or below"""
    size: int = -1
    changed: int = -1
    """nanoseconds"""
    mode: int = -1
    """permissions too: a picture that has become readable is a changed one"""


def shown(path: str | Path) -> str:
    """The path in characters that any terminal takes: names on disk need not be UTF-8, and may have line ends."""
    return printable(os.fsencode(path).decode(errors="backslashreplace"))


def brief(name: str) -> str:
    """The name as shown, without the middle of a long one."""
    text = shown(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"


def listed_splits(top: Path) -> dict[str, list[ImageFile]]:
    """train and test, each sorted by name; a UserError where one of them would be empty."""
    try:
        held_out = next((name for name in ("test", "val") if (top / name).is_dir()), None)
        if held_out and (top / "train").is_dir():
            return {"train": listed(top, top / "train"), "test": listed(top, top / held_out)}
        files = listed(top, top)
    except OSError as error:
        not_listed(error)
    test = held_out_of(files)
    if len(files) == len(test):
        raise UserError(
            f"{shown(top)} holds one picture, and at least two are needed, one of them to hold out:"
            " add pictures, or set dataset.path=... to another folder"
        )
    return {"train": [file for file in files if file not in test], "test": [file for file in files if file in test]}


def held_out_of(files: Sequence[ImageFile]) -> set[ImageFile]:
    """One file in ten, at least one: those whose names hash lowest, so that a new file moves one other at most."""
    ranked = sorted(files, key=lambda file: hashlib.blake2b(os.fsencode(file.name), digest_size=8).digest())
    return set(ranked[: max(1, len(files) // HELD_OUT_EVERY)])


def listed(top: Path, start: Path) -> list[ImageFile]:
    """The picture files in and below `start`, sorted by their names relative to `top`."""
    if not start.is_dir():
        wrong = "is a file, not a folder" if start.exists() else "does not exist"
        raise UserError(f"{shown(start)} {wrong}: set dataset.path=... to the folder that holds your pictures")
    files = sorted(walked(top, start))
    if not files:
        raise UserError(
            f"{shown(start)} holds no pictures: set dataset.path=... to a folder with files that end in"
            f" {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        )
    return files


def walked(top: Path, start: Path) -> Iterator[ImageFile]:
    """Files that end like pictures, the hidden ones apart; each real folder once, so that links cannot loop."""
    seen: set[str] = set()
    for place, folders, names in os.walk(start, onerror=not_listed, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(place).relative_to(start).parts
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield as_listed(Path(place, name), top, below[0] if below else None)


def as_listed(path: Path, top: Path, folder: str | None) -> ImageFile:
    """The file as it is now; without size and time where it is a link to nowhere."""
    name = path.relative_to(top).as_posix()
    try:
        status = path.stat()
    except OSError:
        return ImageFile(name, folder)
    return ImageFile(name, folder, status.st_size, status.st_mtime_ns, status.st_mode)


def not_listed(error: OSError) -> NoReturn:
    """A UserError where os.walk would pass over a folder in silence."""
    raise UserError(
        f"{shown(error.filename)} cannot be listed ({error.strerror}): make it readable, or take it out of dataset.path"
    ) from error

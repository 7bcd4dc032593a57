"""Files are written whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from zerosum.errors import UserError


def save_whole(path: Path, write: Callable[[Path], object]) -> None:
    """`write` a temporary file beside `path`, then put it in place: a good file there is never left half-written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)  # a link of that name would be written through
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{path} could not be written ({error.strerror or error}): {remedy(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def clear_partial(folder: Path) -> None:
    """Remove what a killed process had begun to write, which nobody will finish."""
    for partial in folder.rglob(".*.partial") if folder.is_dir() else ():
        partial.unlink(missing_ok=True)


def remedy(error: OSError) -> str:
    """What to do about a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on that disk, or choose another with hydra.run.dir=... and dataset.root=..."
    return "check that the folder exists and may be written"

"""Every file is written as a whole or not at all."""

import errno
import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zerosum.errors import UserError

PLACES = (".", "samples", "averages", "report", "wandb")
"""Where a run writes, below its folder"""
PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}\.partial")


def save_whole(path: Path, write: Callable[[Path], object], size: int | None = None) -> None:
    """Call `write` with a temporary file beside `path`, then rename it to `path`: no crash leaves half a file there.

    `size` in bytes, where it is known, is named by the UserError of a failed write.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")  # no other process, nor a link, has this name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "unexpected pos" not in str(error):
            raise
        failure = error if isinstance(error, OSError) else OSError(errno.ENOSPC, "disk full?")  # torch.save hides it
        needed = "" if size is None else f" ({size:,} bytes)"
        reason = failure.strerror or failure
        raise UserError(f"{path}{needed} could not be written ({reason}): {suggest_remedy(failure)}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def clear_partial(folder: Path, idle_seconds: float = 0) -> None:
    """Remove temporary files of killed processes.

    In a folder that other processes write to as well, remove only files that were not written to for `idle_seconds`.
    """
    for partial in [path for place in PLACES for path in (folder / place).glob(".*.partial")]:
        with suppress(OSError):  # another process may have finished or removed it
            is_idle = idle_seconds == 0 or time.time() - partial.lstat().st_mtime > idle_seconds
            if is_idle and PARTIAL.fullmatch(partial.name):
                partial.unlink()


def suggest_remedy(error: OSError) -> str:
    """Advice for a failed write."""
    elsewhere = "or choose another (hydra.run.dir=... of a training, output=... of a verb, dataset.root=... of data)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"make room on that disk, {elsewhere}"
    return f"check that its folder exists and may be written to, {elsewhere}"

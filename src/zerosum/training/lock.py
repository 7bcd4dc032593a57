"""One process at a time trains in a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zerosum.errors import UserError
from zerosum.files import suggest_remedy

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
"""Environment variables that torchrun, Lightning and SLURM number a run's processes by"""
HELD: set[str] = set()
"""Folders that this process has locked"""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Lock <folder>/.lock until the block ends; UserError if another process has locked it.

    The operating system releases the lock when its process ends, however it ends. Of a run's processes the first holds
    it for all.
    """
    name = os.path.realpath(folder)
    if fcntl is None or name in HELD or not is_first_process():
        yield
        return
    descriptor = open_locked(folder / ".lock")
    HELD.add(name)
    try:
        yield
    finally:
        HELD.remove(name)
        os.close(descriptor)


def is_held(folder: Path) -> bool:
    """Whether a process trains in the folder."""
    path = folder / ".lock"
    if fcntl is None or os.path.realpath(folder) in HELD:
        return fcntl is not None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return False


def is_first_process() -> bool:
    """Whether this is rank 0, by the environment: asked before torch knows."""
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def open_locked(path: Path) -> int:
    """Open and lock a file; a link is not followed, and a file system without locks is used without."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise UserError(f"{path} could not be opened ({error.strerror}): {suggest_remedy(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UserError(
            f"another process is training in {path.parent}: wait until it ends or stop it, or choose another"
            " hydra.run.dir"
        ) from error
    except OSError:  # such as some network file systems
        pass
    return descriptor

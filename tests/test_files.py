"""Files are written as a whole or not at all."""

import errno
import os
import resource
import time

import pytest
import torch

from zerosum.errors import UserError
from zerosum.files import clear_partial, save_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def small_disk():
    """Files of at most 1,000 bytes, as on a disk that becomes full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_failed_write_leaves_the_old_file_and_says_what_to_do(tmp_path, small_disk):
    path = tmp_path / "new" / "file"
    save_whole(path, lambda partial: partial.write_bytes(b"old"))
    with pytest.raises(UserError, match=r"new/file \(1,001 bytes\) could not be written \(File too large\): check"):
        save_whole(path, lambda partial: partial.write_bytes(bytes(1001)), size=1001)
    assert path.read_bytes() == b"old" and names(path.parent) == ["file"]


def test_a_full_disk_under_torch_save_is_a_sentence_too(tmp_path, small_disk):
    with pytest.raises(UserError, match=r"a\.pt could not be written \(disk full\?\): make room on that disk"):
        save_whole(tmp_path / "a.pt", lambda partial: torch.save({"weights": torch.zeros(5000)}, partial))
    assert names(tmp_path) == []


def test_other_errors_of_a_writer_stay_what_they_are(tmp_path):
    def fail(_):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        save_whole(tmp_path / "file", fail)


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "make room"), (errno.EACCES, "may be written to")])
def test_the_advice_fits_the_error_and_names_both_folders(tmp_path, number, advice):
    def fail(_):
        raise OSError(number, os.strerror(number))

    with pytest.raises(UserError, match=rf"{os.strerror(number)}.*{advice}.*hydra\.run\.dir=.*dataset\.root="):
        save_whole(tmp_path / "file", fail)


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(partial):
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_whole(tmp_path / "file", interrupt)
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    """As two machines may whose processes have one number and whose disk is one."""

    def write_outer(partial):
        partial.write_bytes(b"outer")
        save_whole(tmp_path / "file", lambda inner: inner.write_bytes(b"inner"))

    save_whole(tmp_path / "file", write_outer)
    assert (tmp_path / "file").read_bytes() == b"outer" and names(tmp_path) == ["file"]


def test_temporary_files_are_cleared_in_sub_folders_and_only_when_idle_for_long_enough(tmp_path):
    (tmp_path / "samples").mkdir()
    old, new, other = (
        tmp_path / name for name in (f".last.ckpt.{7:032}.partial", f"samples/.a.png.{8:032}.partial", "last.ckpt")
    )
    for file in (old, new, other):
        file.touch()
    os.utime(old, (time.time() - 100,) * 2)
    clear_partial(tmp_path / "missing")
    clear_partial(tmp_path, idle_seconds=50)
    assert not old.exists() and new.exists()
    clear_partial(tmp_path)
    assert not new.exists() and other.exists()


def test_only_files_of_our_own_names_are_cleared_and_only_where_a_run_writes(tmp_path):
    ours = f".last.ckpt.{'0123456789abcdef' * 2}.partial"
    kept = [tmp_path / ".movie.partial", tmp_path / "mine" / ours, tmp_path / "samples" / "deeper" / ours]
    cleared = [tmp_path / ours, tmp_path / "samples" / ours]
    for path in [*kept, *cleared]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    clear_partial(tmp_path)
    assert all(path.exists() for path in kept) and not any(path.exists() for path in cleared)

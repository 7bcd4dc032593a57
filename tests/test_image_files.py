"""The files of an image folder are listed, split and named rightly, and every mistake is one clear sentence."""

import errno
import os

import numpy as np
import pytest
from image_folders import fill, folder_of
from PIL import Image

from zerosum.data.image_folder import ImageFolder
from zerosum.errors import UserError


def test_hidden_and_other_files_are_ignored(top):
    fill(top / "cat", 2)
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (top / name).write_text("no image")
    fill(top / ".trash", 1)
    (top / "empty").mkdir()
    dataset = folder_of(top)
    assert dataset.classes == ("cat",) and sum(map(len, dataset.files.values())) == 2


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (9, 1), (10, 1), (20, 2), (99, 9)])
def test_one_image_in_ten_is_held_out_but_at_least_one(top, count, held_out):
    for number in range(count):
        (top / f"{number}.png").touch()
    files = folder_of(top).files
    assert len(files["test"]) == held_out and len(files["train"]) == count - held_out
    assert not {file.name for file in files["test"]} & {file.name for file in files["train"]}


def test_adding_a_file_moves_at_most_one_other_between_the_splits(top):
    def held_out():
        return {file.name for file in folder_of(top).files["test"]}

    for number in range(100):
        (top / f"{number}.png").touch()
    before = held_out()
    assert before == held_out()
    for number in range(100, 130):
        (top / f"{number}.png").touch()
        after = held_out()
        assert len((before ^ after) - {f"{number}.png"}) <= 1
        before = after


def test_a_loop_of_links_is_walked_once(top):
    fill(top / "cat", 2)
    (top / "cat" / "again").symlink_to(top)
    (top / "cat" / "self").symlink_to(top / "cat")
    assert sum(map(len, folder_of(top).files.values())) == 2


def test_linked_folders_are_followed(top, tmp_path):
    fill(tmp_path / "elsewhere", 2)
    (top / "cat").symlink_to(tmp_path / "elsewhere")
    dataset = folder_of(top)
    assert dataset.classes == ("cat",) and len(dataset.split("train").images) == 1


def non_utf8(top):
    """Two images whose names are Latin-1, in a class whose name is too."""
    folder = top / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for name in (b"\xe0.png", b"\xe8.png"):
        Image.new("RGB", (4, 4)).save(folder / os.fsdecode(name))
    return folder


def test_names_that_are_not_utf8_are_read(top):
    non_utf8(top)
    dataset = folder_of(top)
    dataset.prepare()
    assert dataset.classes == ("caf\\xe9",) and dataset.split("train").labels.tolist() == [0]
    assert np.array_equal(folder_of(top).split("train").images, dataset.split("train").images)


def test_names_that_are_not_utf8_can_be_printed_when_broken(top):
    for file in non_utf8(top).iterdir():
        file.write_bytes(b"")
    with pytest.raises(UserError, match=r"caf\\xe9/\\xe[08]\.png \(an empty file\)") as caught:
        folder_of(top).prepare()
    assert str(caught.value).encode()


def test_a_missing_folder_is_named_in_full(top, monkeypatch):
    monkeypatch.chdir(top)
    with pytest.raises(UserError) as caught:
        ImageFolder("not/here").prepare()
    assert str(top / "not" / "here") in str(caught.value)
    assert "does not exist" in str(caught.value) and "dataset.path=" in str(caught.value)


def test_a_file_in_place_of_a_folder_is_reported(top):
    fill(top, 1)
    with pytest.raises(UserError, match=r"00\.png is a file, not a folder: set dataset\.path="):
        ImageFolder(str(top / "00.png")).prepare()


def test_a_folder_without_images_says_which_suffixes_are_read(top):
    (top / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"holds no images.*\.jpg, \.png.* or \.webp"):
        folder_of(top).prepare()


def test_an_empty_test_folder_is_reported(top):
    fill(top / "train", 2)
    (top / "test").mkdir()
    with pytest.raises(UserError, match=r"images/test holds no images"):
        folder_of(top).prepare()


def test_a_single_image_is_too_few(top):
    fill(top, 1)
    with pytest.raises(UserError, match="holds one image, but at least two are needed"):
        folder_of(top).prepare()


def test_a_folder_that_may_not_be_listed_is_reported(top, monkeypatch):
    def denied(place):
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    fill(top, 2)
    monkeypatch.setattr(os, "scandir", denied)  # chmod does not stop root
    with pytest.raises(UserError, match=r"images cannot be listed \(Permission denied\): make it readable"):
        folder_of(top).prepare()

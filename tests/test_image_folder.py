"""ImageFolder: sub-folders are classes, and every broken image is named in one clear sentence."""

import errno
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from image_folders import BLUE, GREEN, RED, caches, fill, folder_of, is_flat, refuse_to_decode
from PIL import Image

from zerosum.data import image_decoding
from zerosum.data.image_folder import ImageFolder
from zerosum.errors import UserError


def test_nothing_is_read_before_it_is_asked_for():
    dataset = ImageFolder("/no/such/folder", resolution=48, channels=1)
    assert dataset.sample_shape == (1, 48, 48)


def test_sub_folders_are_classes_in_alphabetical_order(top):
    for name, color in (("dog", RED), ("cat", BLUE), ("eel/deep/down", GREEN)):
        fill(top / name, 10, color)
    dataset = folder_of(top)
    assert dataset.classes == ("cat", "dog", "eel")
    splits = [dataset.split(name)[:2] for name in dataset.splits]
    images, labels = (np.concatenate(part) for part in zip(*splits, strict=True))
    assert labels.dtype == np.int64 and len(labels) == 30
    for label, color in enumerate((BLUE, RED, GREEN)):
        assert (labels == label).sum() == 10 and is_flat(images[labels == label], color)


def test_without_sub_folders_there_are_no_labels(top):
    fill(top, 3)
    assert folder_of(top).classes is None and folder_of(top).split("train").labels is None


def test_images_beside_class_folders_take_the_classes_away_with_a_warning(top, caplog):
    fill(top / "cat", 2)
    fill(top, 2)
    dataset = folder_of(top)
    assert dataset.classes is None and len(dataset.split("train").images) == 3
    assert "so there are no classes" in caplog.text


@pytest.mark.parametrize("held_out", ["test", "val"])
def test_train_and_test_folders_are_the_splits_and_classes_their_union(top, held_out):
    fill(top / "train" / "cat", 3, RED)
    fill(top / "train" / "dog", 2, RED)
    fill(top / held_out / "dog", 2, BLUE)
    fill(top / held_out / "ant", 1, BLUE)
    dataset = folder_of(top)
    assert dataset.classes == ("ant", "cat", "dog")
    assert dataset.split("train").labels.tolist() == [1, 1, 1, 2, 2]
    assert dataset.split("test").labels.tolist() == [0, 2, 2]
    assert is_flat(dataset.split("train").images, RED) and is_flat(dataset.split("test").images, BLUE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": ""}, "dataset.path is empty"),
        ({"resolution": 0}, "dataset.resolution=0"),
        ({"channels": 4}, "dataset.channels=4 is not possible: take 1 for gray or 3 for color"),
        ({"fit": "stretch"}, "dataset.fit=stretch is not known: take crop or resize"),
        ({"background": "whitish"}, "dataset.background=whitish is no color"),
        ({"background": [1, 2]}, r"dataset.background=\[1, 2\] is no color"),
        ({"background": [1, 2, 256]}, "three numbers from 0 to 255"),
        ({"background": None}, "dataset.background=None is no color"),
    ],
)
def test_wrong_arguments_are_refused_at_once(options, message):
    with pytest.raises(UserError, match=message):
        ImageFolder(**{"path": "images", **options})


def truncated(path):
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1000])


def vanished(path):
    path.symlink_to(path.parent / "gone")


def looped(path):
    path.symlink_to(path)


def bomb(path):
    """60,000 x 60,000 pixels, says its header."""
    path.write_bytes(png(60_000, 60_000))


def png(width, height):
    """A PNG that promises a size and holds 1,000 bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(b"\0" * 1000), b"IEND": b""}
    body = [len(d).to_bytes(4, "big") + k + d + zlib.crc32(k + d).to_bytes(4, "big") for k, d in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


BREAKS = {
    "Too many levels of symbolic links": looped,
    "a pipe or a device, not a file": os.mkfifo,
    "decompression bomb": bomb,
    "image file is truncated": lambda path: path.write_bytes(png(100, 100)),
    "an empty file": lambda path: path.write_bytes(b""),
    "not an image": lambda path: path.write_text("hello"),
    "truncated": truncated,
    "No such file or directory": vanished,
}


@pytest.mark.parametrize("reason", BREAKS)
def test_a_broken_image_is_named_with_its_reason(top, reason):
    fill(top / "train", 4)
    fill(top / "test", 1)
    BREAKS[reason](top / "train" / "bad.png")
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    message = str(caught.value)
    assert message.startswith(f"Cannot read 1 of 5 train images in {top}, train/bad.png (") and reason in message
    assert message.endswith("replace or delete them, or set dataset.skip_broken=true to leave them out")


@pytest.mark.parametrize("reason", BREAKS)
def test_skip_broken_leaves_out_any_broken_image_and_says_so_again_from_the_cache(top, reason, caplog, monkeypatch):
    fill(top / "train", 4)
    fill(top / "test", 1)
    BREAKS[reason](top / "train" / "bad.png")
    seen = []
    for _ in range(2):
        dataset = folder_of(top, skip_broken=True)
        dataset.prepare()
        seen.append((caplog.messages, dataset.fingerprint("train"), len(dataset.split("train").images)))
        caplog.clear()
        monkeypatch.setattr(image_decoding, "decode_all", refuse_to_decode)
    assert seen[0] == seen[1] and seen[0][2] == 4
    (said,) = seen[0][0]
    assert said.startswith(f"Left out 1 of 5 train images in {top}, train/bad.png (") and reason in said


NAMES = {
    b"line\nend": r"line\nend.png",
    b"\x1b[31mred": r"\x1b[31mred.png",
    b"\xff\xfe": r"\xff\xfe.png",
    "\u202egnp".encode(): r"\u202egnp.png",
    b"l" * 251: "l…l",
    b"%s {} \\": "%s {} \\.png",
}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_broken_image_of_any_name_is_named_on_one_line(top, name, caplog):
    fill(top / "train", 4)
    fill(top / "test", 1)
    try:
        (top / "train" / os.fsdecode(name + b".png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    folder_of(top, skip_broken=True).prepare()
    shortened = NAMES[name].replace("l…l", "l" * 34 + "…" + "l" * 35 + ".png")
    for said in (str(caught.value), *caplog.messages):
        assert f"1 of 5 train images in {top}, train/{shortened} (not an image)" in said
        assert said.isprintable() and len(said) < 400


def test_an_image_that_vanishes_while_others_are_read_is_left_out(top, monkeypatch, caplog):
    fill(top / "train", 4)
    fill(top / "test", 1)
    original = image_decoding.decode

    def vanishing(path, options):
        (top / "train" / "03.png").unlink(missing_ok=True)
        return original(path, options)

    monkeypatch.setattr(image_decoding, "decode", vanishing)
    assert len(folder_of(top, skip_broken=True).split("train").images) == 3
    assert "Left out 1 of 4" in caplog.text and "train/03.png (No such file or directory)" in caplog.text


def test_an_image_that_vanishes_after_it_was_listed_is_reported(top):
    fill(top / "train", 3)
    fill(top / "test", 1)
    dataset = folder_of(top)
    assert len(dataset.files["train"]) == 3
    (top / "train" / "01.png").unlink()
    with pytest.raises(UserError, match=r"1 of 3 train images.*train/01\.png \(No such file or directory\)"):
        dataset.prepare()


def test_a_truncated_jpeg_is_broken_too(top):
    fill(top, 9)
    Image.effect_noise((64, 64), 50).save(top / "bad.jpg")
    (top / "bad.jpg").write_bytes((top / "bad.jpg").read_bytes()[:1500])
    with pytest.raises(UserError, match=r"bad\.jpg \(.*truncated"):
        folder_of(top).prepare()


@pytest.mark.parametrize("limit", [400, 150])
def test_an_image_bomb_is_an_error_from_the_warning_on(top, monkeypatch, limit):
    fill(top / "train", 3)
    fill(top / "test", 1)
    Image.new("L", (25, 20)).save(top / "train" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"1 of 4 train images.*huge\.png \(Image size \(500 pixels\) exceeds limit"):
        folder_of(top).prepare()


def test_an_unreadable_image_is_reported(top, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "00.png")

    fill(top, 2)
    monkeypatch.setattr(Image, "open", denied)  # chmod does not stop root
    with pytest.raises(UserError, match=r"\.png \(Permission denied\)"):
        folder_of(top).prepare()


def test_five_broken_images_are_named_and_the_others_counted(top):
    fill(top / "train", 2)
    fill(top / "test", 1)
    for number in range(7):
        (top / "train" / f"bad{number}.png").touch()
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    assert "7 of 9 train images" in str(caught.value) and "bad4.png (an empty file) and 2 more:" in str(caught.value)
    assert "bad5" not in str(caught.value)


def with_two_broken(top):
    """A class of three and a class of two, with one broken in each."""
    fill(top / "train" / "cat", 3, RED)
    fill(top / "train" / "dog", 2, BLUE)
    fill(top / "test" / "dog", 1)
    (top / "train" / "cat" / "01.png").write_bytes(b"")
    (top / "train" / "dog" / "00.png").write_text("hello")


def test_skip_broken_leaves_them_out_with_one_warning(top, caplog):
    with_two_broken(top)
    dataset = folder_of(top, skip_broken=True)
    dataset.prepare()
    images, labels, *_ = dataset.split("train")
    assert labels.tolist() == [0, 0, 1] and images.shape == (3, 4, 4, 3)
    assert is_flat(images[:2], RED) and is_flat(images[2], BLUE)
    (record,) = caplog.records
    assert record.name == "zerosum" and record.levelname == "WARNING"
    assert "Left out 2 of 5 train images" in record.getMessage()
    assert "train/cat/01.png (an empty file) and train/dog/00.png (not an image)" in record.getMessage()


def test_a_cache_that_lacks_broken_images_serves_skip_broken_alone(top, monkeypatch, caplog):
    with_two_broken(top)
    for _ in range(2):
        with pytest.raises(UserError, match="Cannot read 2 of 5 train images"):
            folder_of(top).prepare()
    folder_of(top, skip_broken=True).prepare()
    caplog.clear()
    monkeypatch.setattr(image_decoding, "decode_all", refuse_to_decode)
    assert folder_of(top, skip_broken=True).split("train").labels.tolist() == [0, 0, 1]
    assert "Left out 2 of 5" in caplog.text
    with pytest.raises(AssertionError, match="decoded again"):
        folder_of(top).prepare()


def test_a_mended_image_comes_back(top):
    with_two_broken(top)
    broken = folder_of(top, skip_broken=True)
    broken.prepare()
    shutil.copy(top / "train" / "cat" / "00.png", top / "train" / "cat" / "01.png")
    shutil.copy(top / "train" / "dog" / "01.png", top / "train" / "dog" / "00.png")
    mended = folder_of(top)
    assert mended.split("train").labels.tolist() == [0, 0, 0, 1, 1]
    assert mended.fingerprint("train") != broken.fingerprint("train")


def test_all_broken_is_an_error_even_with_skip_broken(top):
    for name in "abc":
        (top / f"{name}.png").touch()
    with pytest.raises(UserError, match=r"Cannot read 2 of 2 train images.*set dataset\.path="):
        folder_of(top, skip_broken=True).prepare()
    assert caches(top) == []

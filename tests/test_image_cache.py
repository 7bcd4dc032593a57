"""Images are decoded once; a cache that is damaged in any way is noticed and made anew."""

import os
import resource
import signal
import time

import numpy as np
import pytest
from image_folders import BLUE, caches, fill, folder_of, is_flat, refuse_to_decode

from zerosum.data import image_cache, image_decoding
from zerosum.errors import UserError


def test_a_second_use_maps_and_does_not_decode(top, monkeypatch):
    fill(top / "cat", 12)
    first = folder_of(top)
    first.prepare()
    monkeypatch.setattr(image_decoding, "decode_all", refuse_to_decode)
    second = folder_of(top)
    second.prepare()
    for split in ("train", "test"):
        assert np.array_equal(first.split(split).images, second.split(split).images)
        assert np.array_equal(first.split(split).labels, second.split(split).labels)
        assert first.fingerprint(split) == second.fingerprint(split)


def test_prepare_caches_both_splits_and_nothing_else(top):
    fill(top, 3)
    folder_of(top).prepare()
    names = {file.name.split(".", 1)[1] for file in caches(top)}
    assert names == {"train.npy", "train.json", "test.npy", "test.json"} and len(caches(top)) == 4


def test_large_arrays_are_mapped_and_small_ones_loaded(top, monkeypatch):
    fill(top, 3)
    assert not isinstance(folder_of(top).split("train").images, np.memmap)
    monkeypatch.setattr(image_cache, "IN_MEMORY", 1)
    assert isinstance(folder_of(top).split("train").images, np.memmap)


def test_a_changed_image_is_decoded_anew(top):
    fill(top, 3)
    before = folder_of(top)
    before.prepare()
    fill(top, 3, BLUE)
    for file in top.iterdir():
        os.utime(file, ns=(1, 1))
    after = folder_of(top)
    assert is_flat(after.split("train").images, BLUE)
    assert before.fingerprint("train") != after.fingerprint("train")


@pytest.mark.parametrize(
    "option", [{"resolution": 5}, {"channels": 1}, {"fit": "resize"}, {"background": "black"}], ids=str
)
def test_another_view_has_another_cache(top, option):
    fill(top, 2)
    assert folder_of(top).cache_path("train") != folder_of(top, **option).cache_path("train")


def test_an_interrupted_decode_leaves_no_cache(top, monkeypatch):
    fill(top, 9)
    calls = []
    original = image_decoding.decode

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(image_decoding, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder_of(top).prepare()
    assert caches(top) == []
    monkeypatch.setattr(image_decoding, "decode", original)
    assert len(folder_of(top).split("train").images) == 8


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("length", [0, 1, 150])
def test_a_cut_off_cache_is_made_anew(top, suffix, length):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith(f"train{suffix}"))
    file.write_bytes(file.read_bytes()[:length])
    assert np.array_equal(folder_of(top).split("train").images, whole)


def test_a_full_disk_is_reported_with_the_bytes_needed_and_leaves_nothing(top):
    fill(top, 11)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        with pytest.raises(UserError) as caught:
            folder_of(top).prepare()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(caught.value)
    assert str(top.parent / "root" / "cache") in message and "480 bytes" in message and "dataset.root" in message
    assert "File too large" in message  # the error where files may have 300 bytes, in the place of a full disk
    assert caches(top) == []


def test_a_root_that_is_a_file_is_reported(top):
    fill(top, 2)
    (top.parent / "root").write_text("")
    with pytest.raises(UserError, match=r"root/cache/.* could not be written .*dataset\.root"):
        folder_of(top).prepare()


@pytest.mark.parametrize("record", ["5", "[]", "null", '"abc"', '{"a": 1}', "{", 100_000 * "["])
def test_a_record_that_is_none_is_made_anew(top, record):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith("train.json"))
    file.write_text(record)
    assert np.array_equal(folder_of(top).split("train").images, whole)


@pytest.mark.parametrize("content", [np.zeros((8, 4, 4, 3)), np.zeros(8, np.uint8), np.zeros((8, 4), np.uint8)])
def test_an_array_that_is_no_images_is_made_anew(top, content):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith("train.npy"))
    np.save(file, content)
    assert np.array_equal(folder_of(top).split("train").images, whole)


def cache_file(top, ending):
    (file,) = (file for file in caches(top) if file.name.endswith(ending))
    return file


def damage_is_noticed(top, whole, caplog):
    """The same images come again, decoded anew, and one line of the log says why."""
    caplog.clear()
    assert np.array_equal(folder_of(top).split("train").images, whole)
    (message,) = caplog.messages
    assert "train.npy is damaged (" in message and message.endswith("is made anew.")
    caplog.clear()
    assert np.array_equal(folder_of(top).split("train").images, whole)
    assert caplog.messages == []
    return message


@pytest.mark.parametrize("in_memory", [image_cache.IN_MEMORY, 1], ids=["loaded", "mapped"])
@pytest.mark.parametrize("place", [-1, 200, 128])
def test_a_flipped_bit_in_the_pixels_is_noticed(top, caplog, monkeypatch, place, in_memory):
    monkeypatch.setattr(image_cache, "IN_MEMORY", in_memory)
    monkeypatch.setattr(image_cache, "HASH_BLOCK", 100)
    fill(top, 9)
    whole = np.array(folder_of(top).split("train").images)
    file = cache_file(top, "train.npy")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert "its checksum differs" in damage_is_noticed(top, whole, caplog)


def test_a_changed_name_of_a_broken_image_is_noticed(top, caplog):
    """Otherwise the labels would be those of other images."""
    for name, count in (("train/cat", 3), ("train/dog", 3), ("test/cat", 1)):
        fill(top / name, count)
    (top / "train" / "cat" / "02.png").write_bytes(b"")
    assert folder_of(top, skip_broken=True).split("train").labels.tolist() == [0, 0, 1, 1, 1]
    record = cache_file(top, "train.json")
    record.write_text(record.read_text().replace("cat/02", "dog/02"))
    caplog.clear()
    assert folder_of(top, skip_broken=True).split("train").labels.tolist() == [0, 0, 1, 1, 1]
    assert "its checksum differs" in caplog.messages[0]


@pytest.mark.parametrize("suffix", [".npy", ".json"])
def test_a_pipe_in_place_of_a_cache_is_not_read(top, caplog, suffix):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    file = cache_file(top, f"train{suffix}")
    file.unlink()
    os.mkfifo(file)
    signal.alarm(20)  # reading a pipe waits for ever
    try:
        assert "no regular file" in damage_is_noticed(top, whole, caplog)
    finally:
        signal.alarm(0)


def test_pixels_without_their_checksum_are_decoded_again(top, caplog):
    """As a process leaves them that is killed between the two files, whichever comes first."""
    fill(top, 9)
    whole = folder_of(top).split("train").images
    cache_file(top, "train.json").unlink()
    damage_is_noticed(top, whole, caplog)
    cache_file(top, "train.npy").unlink()
    caplog.clear()
    assert np.array_equal(folder_of(top).split("train").images, whole) and caplog.messages == []


def test_what_a_killed_process_was_writing_an_hour_ago_is_removed(top):
    fill(top, 9)
    folder = top.parent / "root" / "cache"
    folder.mkdir(parents=True)
    abandoned, in_use = folder / f".a.npy.{1:032}.partial", folder / f".b.npy.{2:032}.partial"
    for file in (abandoned, in_use):
        file.touch()
    os.utime(abandoned, (time.time() - 4000,) * 2)
    folder_of(top).prepare()
    assert not abandoned.exists() and in_use.exists()

"""ImageFolder: any tree of pictures becomes the right bytes, and every mistake one clear sentence."""

import errno
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from zerosum.data.dataset import cache
from zerosum.data.image_folder import ImageFolder
from zerosum.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def top(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def folder_of(top, **options):
    return ImageFolder(str(top), root=str(top.parent / "root"), **{"resolution": 4, **options})


def caches(top):
    return sorted((top.parent / "root" / "cache").glob("*"))


def fill(top, count, color=RED):
    """`count` flat pictures named 00.png and up."""
    top.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (4, 4), color).save(top / f"{number:02d}.png")


def decoded(top, picture, suffix=".png", saving=None, **options):
    """What a picture becomes: it is saved twice, as one of two is held out."""
    for name in "ab":
        picture.save(top / (name + suffix), **(saving or {}))
    images, labels = folder_of(top, **options).split("train")
    assert labels is None and len(images) == 1 and images.dtype == np.uint8
    return images[0]


def flat(array, color):
    return (array == np.array(color)).all()


def refuses_to_decode(*_):
    raise AssertionError("decoded again")


# Modes


def test_gray_gives_equal_channels(top):
    assert flat(decoded(top, Image.new("L", (9, 7), 90)), (90, 90, 90))


def test_gray_stays_gray_with_one_channel(top):
    image = decoded(top, Image.new("L", (9, 7), 90), channels=1)
    assert image.shape == (4, 4, 1) and flat(image, 90)


def test_rgb_keeps_every_pixel_where_the_size_fits(top):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert np.array_equal(decoded(top, Image.fromarray(pixels)), pixels)


def test_rgb_with_one_channel_is_luma(top):
    assert flat(decoded(top, Image.new("RGB", (4, 4), RED), channels=1), 76)


@pytest.mark.parametrize(
    ("background", "color"),
    [("white", WHITE), ("#102030", (16, 32, 48)), ([1, 2, 3], (1, 2, 3)), ((9, 9, 9), (9, 9, 9))],
)
def test_transparent_rgba_shows_exactly_the_background(top, background, color):
    assert flat(decoded(top, Image.new("RGBA", (4, 4), (50, 60, 70, 0)), background=background), color)


def test_half_transparent_rgba_is_mixed_with_the_background(top):
    assert flat(decoded(top, Image.new("RGBA", (4, 4), (255, 0, 0, 51)), background="black"), (51, 0, 0))


def test_hidden_color_does_not_bleed_into_the_edge(top):
    picture = Image.new("RGBA", (64, 64), (0, 255, 0, 0))  # green that nobody should see
    picture.paste((255, 0, 0, 255), (0, 0, 32, 64))
    image = decoded(top, picture, background="black")
    assert (image[..., 1] == 0).all() and image[0, 0, 0] == 255


def test_palette_uses_its_colors(top):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    assert flat(decoded(top, picture), (10, 200, 30))


@pytest.mark.parametrize(("index", "color"), [(0, BLUE), (1, (10, 200, 30))])
def test_palette_transparency_lies_on_the_background(top, index, color):
    picture = Image.new("P", (4, 4), index)
    picture.putpalette([0, 0, 0, 10, 200, 30])
    assert flat(decoded(top, picture, saving={"transparency": 0}, background="blue"), color)


def test_gray_with_alpha_lies_on_the_background(top):
    picture = Image.new("LA", (4, 4), (100, 0))
    picture.paste((100, 255), (0, 0, 2, 4))
    image = decoded(top, picture, background="red")
    assert flat(image[:, :2], (100, 100, 100)) and flat(image[:, 2:], RED)


def test_cmyk_is_converted(top):
    image = decoded(top, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), ".jpg", {"quality": 100})
    assert np.abs(image.astype(int) - RED).max() <= 3


def test_16_bit_gray_is_scaled_by_257_and_not_clipped(top):
    values = np.array([[0, 256, 257, 12345], [40000, 50000, 65534, 65535]], dtype=np.uint16).repeat(2, 0)
    assert np.array_equal(decoded(top, Image.fromarray(values), channels=1)[..., 0], values // 257)


def test_16_bit_gray_tiff_is_scaled_alike(top):
    values = np.full((4, 4), 30000, dtype=np.uint16)
    assert flat(decoded(top, Image.fromarray(values), ".tiff", channels=1), 30000 // 257)


def test_32_bit_pixels_are_reported_not_clipped(top):
    with pytest.raises(UserError, match="32-bit pixels have no known range"):
        decoded(top, Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)), ".tif")


def test_1_bit_is_black_and_white(top):
    picture = Image.new("1", (4, 4), 0)
    picture.paste(1, (0, 0, 2, 4))
    image = decoded(top, picture)
    assert flat(image[:, :2], WHITE) and flat(image[:, 2:], 0)


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".gif", ".tif", ".JPG", ".jpeg"])
def test_each_suffix_is_read(top, suffix):
    saving = {"lossless": True} if suffix == ".webp" else {"quality": 100} if suffix.lower().startswith(".j") else {}
    image = decoded(top, Image.new("RGB", (8, 8), (200, 100, 50)), suffix, saving)
    assert np.abs(image.astype(int) - (200, 100, 50)).max() <= (0 if suffix in (".webp", ".bmp", ".tif", ".gif") else 3)


def test_an_animation_gives_its_first_frame(top):
    frames = [Image.new("RGB", (4, 4), color) for color in (RED, GREEN, BLUE)]
    assert flat(decoded(top, frames[0], ".gif", {"save_all": True, "append_images": frames[1:]}), RED)


# Geometry


def halves(width, height):
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_exif_orientation_6_turns_left_to_top(top, suffix):
    exif = Image.Exif()
    exif[274] = 6  # shown turned clockwise by 90 degrees
    image = decoded(top, halves(4, 4), suffix, {"exif": exif})
    assert flat(image[:2], RED) and flat(image[2:], BLUE)


def test_exif_orientation_of_a_reduced_jpeg(top):
    exif = Image.Exif()
    exif[274] = 6
    image = decoded(top, halves(256, 128), ".jpg", {"exif": exif, "quality": 100}, fit="resize").astype(int)
    assert np.abs(image[0] - RED).max() <= 6 and np.abs(image[-1] - BLUE).max() <= 6


def test_corrupt_exif_is_no_reason_to_refuse_a_picture(top, recwarn):
    assert decoded(top, Image.new("RGB", (4, 4)), ".jpg", {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"}).max() == 0
    assert not recwarn


def test_crop_keeps_the_center_square_pixel_for_pixel(top):
    image = decoded(top, halves(32, 8), resolution=8)
    assert flat(image[:, :4], RED) and flat(image[:, 4:], BLUE)


def test_crop_of_an_odd_margin_does_not_blur(top):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 7, 3), dtype=np.uint8)
    assert np.array_equal(decoded(top, Image.fromarray(pixels)), pixels[:, 1:5])


def test_crop_of_a_tall_picture_keeps_its_middle(top):
    picture = Image.new("RGB", (4, 12), RED)
    picture.paste(GREEN, (0, 4, 4, 8))
    assert flat(decoded(top, picture), GREEN)


def test_crop_scales_the_short_side(top):
    scaled = halves(24, 8).resize((12, 4), Image.Resampling.LANCZOS)
    assert np.array_equal(decoded(top, halves(24, 8)), np.asarray(scaled)[:, 4:8])


def test_resize_squeezes_both_sides(top):
    image = decoded(top, halves(32, 8), resolution=8, fit="resize")
    assert np.array_equal(image, np.asarray(halves(32, 8).resize((8, 8), Image.Resampling.LANCZOS)))
    assert flat(image[:, 0], RED) and flat(image[:, -1], BLUE)


def test_shrinking_is_antialiased(top):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    image = decoded(top, Image.fromarray(board), channels=1)
    assert np.abs(image.astype(int) - 127.5).max() <= 3


def test_small_pictures_are_enlarged(top):
    assert flat(decoded(top, Image.new("RGB", (1, 2), BLUE), resolution=16), BLUE)


def test_a_reduced_jpeg_is_near_the_full_one(top):
    ramp = np.linspace(0, 255, 640)[None].repeat(640, 0)
    picture = Image.fromarray(np.stack([ramp, ramp.T, 255 - ramp], 2).astype(np.uint8))
    image = decoded(top, picture, ".jpg", {"quality": 95}, resolution=32).astype(int)
    assert np.abs(image - np.asarray(picture.resize((32, 32), Image.Resampling.LANCZOS))).max() <= 6


# Listing


def test_nothing_is_read_before_it_is_asked_for():
    dataset = ImageFolder("/no/such/folder", resolution=48, channels=1)
    assert dataset.sample_shape == (1, 48, 48)


def test_sub_folders_are_classes_in_alphabetical_order(top):
    for name, color in (("dog", RED), ("cat", BLUE), ("eel/deep/down", GREEN)):
        fill(top / name, 10, color)
    dataset = folder_of(top)
    assert dataset.classes == ("cat", "dog", "eel")
    images, labels = (np.concatenate(part) for part in zip(*map(dataset.split, dataset.splits), strict=True))
    assert labels.dtype == np.int64 and len(labels) == 30
    for label, color in enumerate((BLUE, RED, GREEN)):
        assert (labels == label).sum() == 10 and flat(images[labels == label], color)


def test_without_sub_folders_there_are_no_labels(top):
    fill(top, 3)
    assert folder_of(top).classes is None and folder_of(top).split("train").labels is None


def test_pictures_beside_class_folders_take_the_classes_away_with_a_warning(top, caplog):
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
    assert flat(dataset.split("train").images, RED) and flat(dataset.split("test").images, BLUE)


def test_hidden_and_other_files_are_ignored(top):
    fill(top / "cat", 2)
    for name in (".hidden.png", "notes.txt", "Thumbs.db"):
        (top / name).write_text("no picture")
    fill(top / ".trash", 1)
    (top / "empty").mkdir()
    dataset = folder_of(top)
    assert dataset.classes == ("cat",) and sum(map(len, dataset.files.values())) == 2


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (9, 1), (10, 1), (20, 2), (99, 9)])
def test_one_picture_in_ten_is_held_out_but_at_least_one(top, count, held_out):
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
    """Two pictures whose names are Latin-1, in a class whose name is too."""
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


# Cache


def test_a_second_use_maps_and_does_not_decode(top, monkeypatch):
    fill(top / "cat", 12)
    first = folder_of(top)
    first.prepare()
    monkeypatch.setattr(cache, "attempts", refuses_to_decode)
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
    monkeypatch.setattr(cache, "IN_MEMORY", 1)
    assert isinstance(folder_of(top).split("train").images, np.memmap)


def test_a_changed_picture_is_decoded_anew(top):
    fill(top, 3)
    before = folder_of(top)
    before.prepare()
    fill(top, 3, BLUE)
    for file in top.iterdir():
        os.utime(file, ns=(1, 1))
    after = folder_of(top)
    assert flat(after.split("train").images, BLUE)
    assert before.fingerprint("train") != after.fingerprint("train")


@pytest.mark.parametrize(
    "option", [{"resolution": 5}, {"channels": 1}, {"fit": "resize"}, {"background": "black"}], ids=str
)
def test_another_view_has_another_cache(top, option):
    fill(top, 2)
    assert folder_of(top).place("train") != folder_of(top, **option).place("train")


def test_an_interrupted_decode_leaves_no_cache(top, monkeypatch):
    fill(top, 9)
    calls = []
    decode = cache.decode

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return decode(*arguments)

    monkeypatch.setattr(cache, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        folder_of(top).prepare()
    assert caches(top) == []
    monkeypatch.setattr(cache, "decode", decode)
    assert len(folder_of(top).split("train").images) == 8


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("length", [0, 1, 150])
def test_a_cut_off_cache_is_made_anew(top, suffix, length):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith(f"train{suffix}"))
    file.write_bytes(file.read_bytes()[:length])
    assert np.array_equal(folder_of(top).split("train").images, whole)


def test_a_full_disk_is_reported_with_the_bytes_needed_and_leaves_nothing(top, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill(top, 11)
    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    message = str(caught.value)
    assert "480 bytes" in message and str(top.parent / "root" / "cache") in message
    assert "No space left on device" in message and "dataset.root" in message
    assert caches(top) == []


def test_a_root_that_is_a_file_is_reported(top):
    fill(top, 2)
    (top.parent / "root").write_text("")
    with pytest.raises(UserError, match=r"could not be written to .*root/cache.*dataset\.root"):
        folder_of(top).prepare()


# Mistakes


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


def test_a_folder_without_pictures_says_which_suffixes_are_read(top):
    (top / "notes.txt").write_text("")
    with pytest.raises(UserError, match=r"holds no pictures.*\.jpg, \.png.* or \.webp"):
        folder_of(top).prepare()


def test_an_empty_test_folder_is_reported(top):
    fill(top / "train", 2)
    (top / "test").mkdir()
    with pytest.raises(UserError, match=r"pictures/test holds no pictures"):
        folder_of(top).prepare()


def test_a_single_picture_is_too_few(top):
    fill(top, 1)
    with pytest.raises(UserError, match="holds one picture, and at least two are needed"):
        folder_of(top).prepare()


def test_a_folder_that_may_not_be_listed_is_reported(top, monkeypatch):
    def denied(place):
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    fill(top, 2)
    monkeypatch.setattr(os, "scandir", denied)  # chmod does not stop root
    with pytest.raises(UserError, match=r"pictures cannot be listed \(Permission denied\): make it readable"):
        folder_of(top).prepare()


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
        ImageFolder(**{"path": "pictures", **options})


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
    "a pipe or a device, no file": os.mkfifo,
    "decompression bomb": bomb,
    "image file is truncated": lambda path: path.write_bytes(png(100, 100)),
    "an empty file": lambda path: path.write_bytes(b""),
    "not a picture": lambda path: path.write_text("hello"),
    "truncated": truncated,
    "No such file or directory": vanished,
}


@pytest.mark.parametrize("reason", BREAKS)
def test_a_broken_picture_is_named_with_its_reason(top, reason):
    fill(top / "train", 4)
    fill(top / "test", 1)
    BREAKS[reason](top / "train" / "bad.png")
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    message = str(caught.value)
    assert message.startswith(f"Cannot read 1 of 5 train pictures in {top}, train/bad.png (") and reason in message
    assert message.endswith("replace or delete them, or set dataset.skip_broken=true to leave them out")


@pytest.mark.parametrize("reason", BREAKS)
def test_skip_broken_leaves_out_any_broken_picture_and_says_so_again_from_the_cache(top, reason, caplog, monkeypatch):
    fill(top / "train", 4)
    fill(top / "test", 1)
    BREAKS[reason](top / "train" / "bad.png")
    seen = []
    for _ in range(2):
        dataset = folder_of(top, skip_broken=True)
        dataset.prepare()
        seen.append((caplog.messages, dataset.fingerprint("train"), len(dataset.split("train").images)))
        caplog.clear()
        monkeypatch.setattr(cache, "attempts", refuses_to_decode)
    assert seen[0] == seen[1] and seen[0][2] == 4
    (said,) = seen[0][0]
    assert said.startswith(f"Left out 1 of 5 train pictures in {top}, train/bad.png (") and reason in said


NAMES = {
    b"line\nend": r"line\nend.png",
    b"\x1b[31mred": r"\x1b[31mred.png",
    b"\xff\xfe": r"\xff\xfe.png",
    "\u202egnp".encode(): r"\u202egnp.png",
    b"l" * 251: "l…l",
    b"%s {} \\": "%s {} \\.png",
}


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_broken_picture_of_any_name_is_named_on_one_line(top, name, caplog):
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
        assert f"1 of 5 train pictures in {top}, train/{shortened} (not a picture)" in said
        assert said.isprintable() and len(said) < 400


@pytest.mark.parametrize("record", ["5", "[]", "null", '"abc"', '{"a": 1}', "{", 100_000 * "["])
def test_a_record_that_is_none_is_made_anew(top, record):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith("train.json"))
    file.write_text(record)
    assert np.array_equal(folder_of(top).split("train").images, whole)


@pytest.mark.parametrize("content", [np.zeros((8, 4, 4, 3)), np.zeros(8, np.uint8), np.zeros((8, 4), np.uint8)])
def test_an_array_that_is_no_pictures_is_made_anew(top, content):
    fill(top, 9)
    whole = folder_of(top).split("train").images
    (file,) = (file for file in caches(top) if file.name.endswith("train.npy"))
    np.save(file, content)
    assert np.array_equal(folder_of(top).split("train").images, whole)


def test_a_picture_that_vanishes_while_others_are_read_is_left_out(top, monkeypatch, caplog):
    fill(top / "train", 4)
    fill(top / "test", 1)
    decode = cache.decode

    def vanishing(path, view):
        (top / "train" / "03.png").unlink(missing_ok=True)
        return decode(path, view)

    monkeypatch.setattr(cache, "decode", vanishing)
    assert len(folder_of(top, skip_broken=True).split("train").images) == 3
    assert "Left out 1 of 4" in caplog.text and "train/03.png (No such file or directory)" in caplog.text


def test_a_picture_that_vanishes_after_it_was_listed_is_reported(top):
    fill(top / "train", 3)
    fill(top / "test", 1)
    dataset = folder_of(top)
    assert len(dataset.files["train"]) == 3
    (top / "train" / "01.png").unlink()
    with pytest.raises(UserError, match=r"1 of 3 train pictures.*train/01\.png \(No such file or directory\)"):
        dataset.prepare()


def test_a_truncated_jpeg_is_broken_too(top):
    fill(top, 9)
    Image.effect_noise((64, 64), 50).save(top / "bad.jpg")
    (top / "bad.jpg").write_bytes((top / "bad.jpg").read_bytes()[:1500])
    with pytest.raises(UserError, match=r"bad\.jpg \(.*truncated"):
        folder_of(top).prepare()


@pytest.mark.parametrize("limit", [400, 150])
def test_a_picture_bomb_is_an_error_from_the_warning_on(top, monkeypatch, limit):
    fill(top / "train", 3)
    fill(top / "test", 1)
    Image.new("L", (25, 20)).save(top / "train" / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"1 of 4 train pictures.*huge\.png \(Image size \(500 pixels\) exceeds limit"):
        folder_of(top).prepare()


def test_an_unreadable_picture_is_reported(top, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "00.png")

    fill(top, 2)
    monkeypatch.setattr(Image, "open", denied)  # chmod does not stop root
    with pytest.raises(UserError, match=r"\.png \(Permission denied\)"):
        folder_of(top).prepare()


def test_five_broken_pictures_are_named_and_the_others_counted(top):
    fill(top / "train", 2)
    fill(top / "test", 1)
    for number in range(7):
        (top / "train" / f"bad{number}.png").touch()
    with pytest.raises(UserError) as caught:
        folder_of(top).prepare()
    assert "7 of 9 train pictures" in str(caught.value) and "bad4.png (an empty file) and 2 more:" in str(caught.value)
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
    images, labels = dataset.split("train")
    assert labels.tolist() == [0, 0, 1] and images.shape == (3, 4, 4, 3)
    assert flat(images[:2], RED) and flat(images[2], BLUE)
    (record,) = caplog.records
    assert record.name == "zerosum" and record.levelname == "WARNING"
    assert "Left out 2 of 5 train pictures" in record.getMessage()
    assert "train/cat/01.png (an empty file) and train/dog/00.png (not a picture)" in record.getMessage()


def test_a_cache_that_lacks_broken_pictures_serves_skip_broken_alone(top, monkeypatch, caplog):
    with_two_broken(top)
    for _ in range(2):
        with pytest.raises(UserError, match="Cannot read 2 of 5 train pictures"):
            folder_of(top).prepare()
    folder_of(top, skip_broken=True).prepare()
    caplog.clear()
    monkeypatch.setattr(cache, "attempts", refuses_to_decode)
    assert folder_of(top, skip_broken=True).split("train").labels.tolist() == [0, 0, 1]
    assert "Left out 2 of 5" in caplog.text
    with pytest.raises(AssertionError, match="decoded again"):
        folder_of(top).prepare()


def test_a_mended_picture_comes_back(top):
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
    with pytest.raises(UserError, match=r"Cannot read 2 of 2 train pictures.*set dataset\.path="):
        folder_of(top, skip_broken=True).prepare()
    assert caches(top) == []

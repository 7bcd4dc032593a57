"""A .npz file and a folder of Hugging Face's datasets as data."""

import sys

import numpy as np
import pytest

from zerosum.data.stored_images import HuggingFace, Npz
from zerosum.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(20) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    return str(tmp_path / "mine.npz")


def test_a_npz_file_keeps_its_pixels_and_labels(tmp_path):
    dataset = Npz(saved(tmp_path, images=PIXELS, labels=LABELS), 8)
    train, test = dataset.split("train"), dataset.split("test")
    assert np.array_equal(test.images, PIXELS[[9, 19]]) and test.labels.tolist() == [0, 1]
    assert np.array_equal(train.images, np.delete(PIXELS, [9, 19], axis=0))
    assert dataset.classes == ("0", "1", "2") and dataset.sample_shape == (3, 8, 8) and dataset.name == "mine"


def test_gray_images_of_another_size_are_brought_to_the_resolution(tmp_path):
    dataset = Npz(saved(tmp_path, images=np.full((20, 10, 12), 7, np.uint8)), 8, 1)
    assert dataset.classes is None and dataset.split("train").labels is None
    assert np.array_equal(dataset.split("train").images, np.full((18, 8, 8, 1), 7))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": PIXELS}, "needs an array `images`.*it has pictures"),
        ({"images": PIXELS.astype(np.float32)}, "uint8"),
        ({"images": np.array([{"a": 1}])}, "no .npz file that can be read"),
        ({"images": PIXELS.transpose(0, 3, 1, 2)}, "move the channels last"),
        ({"images": PIXELS, "labels": LABELS[:5]}, "labels are not 20 whole numbers"),
        ({"images": PIXELS, "labels": LABELS - 1}, "labels are not 20 whole numbers"),
        ({"images": PIXELS[:5]}, "has 5 images"),
    ],
)
def test_what_cannot_be_taken_is_refused(tmp_path, arrays, message):
    dataset = Npz(saved(tmp_path, **arrays), 8)
    with pytest.raises(UserError, match=message):
        dataset.split("test")


def test_a_missing_or_cut_file_is_named(tmp_path):
    path = saved(tmp_path, images=PIXELS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:300])
    for name in ("none.npz", "cut.npz"):
        with pytest.raises(UserError, match=rf"{name} is no .npz file"):
            Npz(path.replace("mine.npz", name)).prepare()


def test_a_folder_of_hugging_face_keeps_its_pixels_and_names_of_classes(tmp_path):
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    names = ["cat", "dog", "owl"]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    columns = {"image": [Image.fromarray(image) for image in PIXELS], "label": LABELS.tolist()}
    table = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict(train=table).save_to_disk(tmp_path / "animals")
    dataset = HuggingFace(str(tmp_path / "animals"), 8)
    assert np.array_equal(dataset.split("test").images, PIXELS[[9, 19]])
    assert dataset.split("test").labels.tolist() == [0, 1] and dataset.classes == tuple(names)
    with pytest.raises(UserError, match="no folder of datasets' save_to_disk"):
        HuggingFace(str(tmp_path / "none")).prepare()


def test_without_the_library_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="pip install datasets"):
        HuggingFace(str(tmp_path)).prepare()


def test_no_damage_of_a_file_is_a_traceback(tmp_path):
    np.savez_compressed(tmp_path / "mine.npz", images=PIXELS)
    whole = (tmp_path / "mine.npz").read_bytes()
    np.save(tmp_path / "array.npy", PIXELS)
    damaged = bytearray(whole)
    damaged[200:260] = bytes(60)
    (tmp_path / "deflate.npz").write_bytes(damaged)
    for name in ("array.npy", "deflate.npz"):
        with pytest.raises(UserError, match=rf"{name} is no .npz file that can be read"):
            Npz(str(tmp_path / name)).prepare()


@pytest.mark.parametrize("label", [10**9, 2**63 + 1])
def test_a_huge_label_takes_no_memory(tmp_path, label):
    labels = np.full(20, label, dtype=np.uint64)
    with pytest.raises(UserError, match="labels are not 20 whole numbers from 0 to at most 99,999"):
        Npz(saved(tmp_path, images=PIXELS, labels=labels)).split("test")


def test_a_broken_image_of_hugging_face_is_named(tmp_path):
    datasets = pytest.importorskip("datasets")
    column = {"image": [{"bytes": b"no image", "path": None}] * 20}
    datasets.Dataset.from_dict(column, datasets.Features({"image": datasets.Image()})).save_to_disk(tmp_path / "broken")
    with pytest.raises(UserError, match="image 9 cannot be read"):
        HuggingFace(str(tmp_path / "broken")).split("test")
    words = datasets.Dataset.from_dict({"image": ["a"] * 20})
    words.save_to_disk(tmp_path / "words")
    with pytest.raises(UserError, match="row 9 of `image` holds str"):
        HuggingFace(str(tmp_path / "words")).split("test")

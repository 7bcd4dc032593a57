"""Caches of features and classifiers: whole, finite and of the right data, or made anew."""

import os

import numpy as np
import pytest
import torch
from given_images import Arrays, FirstPixels, Pixels, draw_images

from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.evaluation.cached import load_or_compute
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.evaluation.features.extractor import hash_tensors
from zerosum.evaluation.reference import Reference


def reference_of(root, seed=2):
    dataset = Arrays(draw_images(50, 0, 200, 1), draw_images(40, 20, 256, seed), root)
    return Reference(dataset, Pixels(), "test", 10, torch.device("cpu"))


@pytest.fixture
def features(tmp_path):
    """The features of 40 images and the file that they are cached in."""
    features = reference_of(tmp_path).real.features
    (path,) = (tmp_path / "cache").glob("features-*.pt")
    return features, path


def test_features_are_read_from_the_cache_and_made_anew_for_other_images(features, tmp_path, monkeypatch):
    monkeypatch.setattr(Reference, "compute", lambda *_: pytest.fail("computed again"))
    assert torch.equal(reference_of(tmp_path).real.features, features[0])
    with pytest.raises(pytest.fail.Exception, match="computed again"):
        reference_of(tmp_path, seed=7).real  # noqa: B018


def flip_bit(path, content):
    """Of the first stored feature: without a checksum this was a FID of NaN, or a plausible wrong one."""
    data = bytearray(path.read_bytes())
    place = data.find(content["features"].numpy()[0].tobytes())
    assert place > 0
    data[place + 2] ^= 1
    path.write_bytes(bytes(data))


def cut_file(path, content):
    path.write_bytes(path.read_bytes()[:500])


def drop_rows(path, content):
    torch.save({**content, "features": content["features"][:20]}, path)


def put_nan(path, content):
    torch.save({**content, "features": content["features"] / 0}, path)


def forget_features(path, content):
    torch.save({"made_of": content["made_of"]}, path)


def save_list(path, content):
    torch.save([content], path)


@pytest.mark.parametrize("damage", [flip_bit, cut_file, drop_rows, put_nan, forget_features, save_list])
def test_damaged_features_are_made_anew_with_a_line_in_the_log(features, tmp_path, caplog, damage):
    expected, path = features
    damage(path, torch.load(path, weights_only=True))
    assert torch.equal(reference_of(tmp_path).real.features, expected)
    assert caplog.text.count("is damaged") == 1
    assert torch.equal(reference_of(tmp_path).real.features, expected)
    assert caplog.text.count("is damaged") == 1


def test_features_of_other_data_under_that_name_are_refused(features, tmp_path):
    path = features[1]
    torch.save({**torch.load(path, weights_only=True), "made_of": {"images": "others"}}, path)
    with pytest.raises(UserError, match=r"made of other data.*delete it"):
        reference_of(tmp_path).real  # noqa: B018


def test_a_pipe_in_place_of_a_cache_is_refused_at_once(features, tmp_path):
    path = features[1]
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="is a pipe"):
        reference_of(tmp_path).real  # noqa: B018


def test_a_failed_pass_leaves_no_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(FirstPixels, "forward", lambda *_: pytest.fail("out of memory"))
    with pytest.raises(pytest.fail.Exception):
        reference_of(tmp_path).real  # noqa: B018
    assert not list(tmp_path.rglob("*.pt*"))


def test_a_result_that_is_not_finite_is_never_cached(tmp_path):
    def check(content):
        raise ValueError("features has NaN or infinite values")

    with pytest.raises(UserError, match="NaN"):
        load_or_compute(tmp_path / "features.pt", {}, dict, check)
    assert not list(tmp_path.iterdir())


def test_a_damaged_classifier_is_trained_anew(tmp_path, caplog):
    dataset = Synthetic(16, count=64, root=str(tmp_path))
    first = ClassifierFeatures(steps=3)
    first.prepare(dataset)
    (path,) = (tmp_path / "cache").glob("classifier-*.pt")
    good = torch.load(path, weights_only=True)
    weights = good["weights"]
    for damaged in (
        {**good, "weights": {**weights, "mean": weights["mean"] * np.nan}},
        {**good, "weights": {**weights, "mean": weights["mean"][:5]}},
        {**good, "weights": {name: value for name, value in weights.items() if name != "mean"}},
        {**good, "accuracy": 7.0},
    ):
        torch.save(damaged, path)
        caplog.clear()
        again = ClassifierFeatures(steps=3)
        again.prepare(dataset)
        assert "is damaged" in caplog.text and again.describe() == first.describe()


def test_the_hash_of_a_classifier_is_that_of_its_tensors_whatever_file_they_were_saved_in(tmp_path):
    """torch.save writes the name of the file, with a random part, into it: equal weights had different hashes."""
    described = []
    for folder in ("one", "other"):
        features = ClassifierFeatures(steps=3)
        features.prepare(Synthetic(16, count=64, root=str(tmp_path / folder)))
        described.append(features.describe())
    files = [path.read_bytes() for path in tmp_path.rglob("classifier-*.pt")]
    assert len(files) == 2 and files[0] != files[1]
    assert described[0] == described[1]


def test_the_hash_of_tensors_depends_on_values_names_shapes_and_types_and_not_on_order():
    zeros, ones = torch.zeros(2, 3), torch.ones(4)
    base = hash_tensors({"a": zeros, "b": ones})
    assert base == hash_tensors({"b": ones, "a": zeros, "c": None})
    wide = [zeros.T, zeros.int(), torch.full((2, 3), -0.0)]
    others = [{"x": zeros, "b": ones}, *({"a": other, "b": ones} for other in wide)]
    assert len({base, *map(hash_tensors, others)}) == 5

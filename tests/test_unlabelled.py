"""A folder of images without labels and without a network is measured."""

import json

import numpy as np
import pytest
from conftest import TINY, verb
from PIL import Image


@pytest.mark.slow
def test_a_folder_without_labels_is_measured_by_patches_and_a_file_of_arrays_by_its_labels(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 20, 24, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "images" / f"{number}.png")
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(40) % 2)
    common = [*TINY[1:], "dataset.resolution=16", f"dataset.root={tmp_path}/data", "run.images=32"]
    folder = ["dataset=image_folder", f"dataset.path={tmp_path}/images", f"hydra.run.dir={tmp_path}/folder"]
    verb("train.py", *folder, *(option for option in common if not option.startswith("features.")))
    file = ["dataset=npz", f"dataset.path={tmp_path}/images.npz", f"hydra.run.dir={tmp_path}/file"]
    verb("train.py", *file, *common, "features=classifier", "optimizer=rmsprop")
    patches, classifier = (
        json.loads((tmp_path / name / "metrics.json").read_text())["last"] for name in ("folder", "file")
    )
    assert patches["card"]["protocol"]["features"] == "patches" and patches["values"]["sliced_wasserstein"] > 0
    assert patches["card"]["run"]["better"]["sliced_wasserstein_16"] == "lower"
    assert "features=inception" in patches["card"]["run"]["left_out"]["fid"]
    assert classifier["card"]["protocol"]["features"] == "classifier" and classifier["values"].keys() == {"fid"}

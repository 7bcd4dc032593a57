"""A torch Dataset of images in any usual form gives the same pixels; what cannot be taken is refused in a sentence."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from zerosum.data.torch_dataset import TorchDataset
from zerosum.errors import UserError


class Items(Dataset):
    def __init__(self, items) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int):
        return self.items[index]


PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
FORMS = {
    "PIL": [Image.fromarray(image) for image in PIXELS],
    "array": list(PIXELS),
    "uint8 tensor": list(torch.from_numpy(PIXELS).permute(0, 3, 1, 2)),
    "float tensor": list(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_gives_its_pixels(form):
    dataset = TorchDataset(Items(FORMS[form]), 8, 3)
    train, test = dataset.split("train"), dataset.split("test")
    assert np.array_equal(test.images, PIXELS[[9, 19]])  # every tenth is held out
    assert np.array_equal(train.images, np.delete(PIXELS, [9, 19], axis=0)) and train.labels is None


def test_gray_images_have_one_channel_and_labels_their_classes():
    gray = [(torch.from_numpy(image[:, :, 0]), index % 2) for index, image in enumerate(PIXELS)]
    dataset = TorchDataset(Items(gray), 8, 1, test=Items(gray[:3]), classes=["even", "odd"])
    assert np.array_equal(dataset.split("train").images, PIXELS[:, :, :, :1])
    assert dataset.split("test").labels.tolist() == [0, 1, 0] and dataset.num_classes == 2
    batch = dataset.stream(0, torch.device("cpu")).batch(0, 4, slice(0, 4))
    assert batch.images.shape == (4, 1, 8, 8) and batch.condition.dtype == torch.int64


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        ([np.zeros((9, 8, 3), np.uint8)] * 20, {}, "resize it in the Dataset's transform"),
        ([np.zeros((8, 8, 3), np.float64)] * 20, {}, "float64"),
        ([torch.full((3, 8, 8), -1.0)] * 20, {}, "without a Normalize transform"),
        ([(np.zeros((8, 8, 3), np.uint8), 5)] * 20, {"classes": ["a", "b"]}, "labels from 5 to 5"),
        ([np.zeros((8, 8, 3), np.uint8)] * 5, {}, "the test split of Items is empty"),
    ],
)
def test_what_cannot_be_taken_is_refused(items, options, message):
    dataset = TorchDataset(Items(items), 8, 3, **options)
    with pytest.raises(UserError, match=message):
        for split in dataset.splits:
            dataset.split(split)


def test_something_without_items_is_refused():
    with pytest.raises(UserError, match="map-style"):
        TorchDataset(iter([]), 8, 3)

"""Image datasets and the stream of batches that training reads."""

import numpy as np
import pytest
import torch

from zerosum.data.images import ImageDataset, ShuffledImages, Split
from zerosum.data.synthetic import Synthetic
from zerosum.errors import UserError
from zerosum.pixels import to_uint8

CPU = torch.device("cpu")


def numbered(count: int, flip: bool = False, seed: int = 0) -> ShuffledImages:
    """Images whose left pixel is their number."""
    images = np.zeros((count, 1, 2, 1), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return ShuffledImages(Split(images, np.arange(count, dtype=np.int64)), seed, CPU, flip)


def numbers(stream: ShuffledImages, index: int, size: int, shard: slice | None = None) -> list[int]:
    batch = stream.batch(index, size, shard or slice(0, size))
    assert batch.condition is not None
    assert to_uint8(batch.images)[:, 0, 0, 0].tolist() == batch.condition.tolist()
    return batch.condition.tolist()


def test_an_epoch_shows_every_image_once_across_batches_that_do_not_divide_it():
    stream = numbered(10)
    shown = [number for index in range(20) for number in numbers(stream, index, 3)]
    for epoch in range(6):
        assert sorted(shown[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert shown[:10] != shown[10:20]


def test_a_batch_is_a_function_of_seed_and_index_not_of_what_was_read_before():
    expected = numbers(numbered(10), 7, 4)
    stream = numbered(10)
    for index in (0, 30, 2):
        stream.batch(index, 4, slice(0, 4))
    assert numbers(stream, 7, 4) == expected
    assert numbers(numbered(10, seed=1), 7, 4) != expected


def test_shards_of_two_processes_make_the_batch_of_one():
    stream = numbered(10)
    assert numbers(stream, 3, 6, slice(0, 3)) + numbers(stream, 3, 6, slice(3, 6)) == numbers(stream, 3, 6)


def test_a_batch_larger_than_the_dataset_holds_several_epochs():
    assert sorted(numbers(numbered(3), 0, 9)) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_flip_mirrors_about_half_of_the_images_and_only_where_asked():
    images = numbered(200, flip=True).batch(0, 200, slice(0, 200)).images
    mirrored = (to_uint8(images)[:, 0, 0, 1] > 0).float().mean()
    assert 0.35 < mirrored < 0.65
    assert (to_uint8(numbered(200).batch(0, 200, slice(0, 200)).images)[:, 0, 0, 1] == 0).all()


def test_batches_lie_channels_last():
    images = Synthetic(16, channels=3).stream(0, CPU).batch(0, 8, slice(0, 8)).images
    assert images.shape == (8, 3, 16, 16)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_an_unknown_split_is_named_with_those_there_are():
    with pytest.raises(UserError, match=r"no split 'val'.*train, test"):
        Synthetic().split("val")


class Own(ImageDataset):
    """Arrays as a user's own dataset may return them."""

    channels = 1

    def __init__(self, images, labels, classes):
        super().__init__(resolution=4)
        self.arrays, self.classes = Split(images, labels), classes

    def read(self, split):
        return self.arrays


IMAGES = np.zeros((3, 4, 4, 1), dtype=np.uint8)
WRONG = {
    r"read float64 \(3, 4, 4, 1\) as train: return uint8 \(N, \*\(4, 4, 1\)\)": (np.zeros(IMAGES.shape), None, None),
    r"read uint8 \(3, 1, 4, 4\) as train: return uint8": (IMAGES.transpose(0, 3, 1, 2), None, None),
    r"read uint8 \(0, 4, 4, 1\) as train": (IMAGES[:0], None, None),
    "has labels, but no classes: set its `classes`": (IMAGES, np.arange(3), None),
    "read 0 labels for 3 images as train": (IMAGES, np.arange(0), ("a", "b")),
    "read labels from 0 to 2 as train: return indices into `classes`, from 0 to 1": (IMAGES, np.arange(3), ("a", "b")),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_dataset_that_breaks_its_contract_is_told_what_to_return(message):
    with pytest.raises(UserError, match=f"Own {message}"):
        Own(*WRONG[message]).prepare()

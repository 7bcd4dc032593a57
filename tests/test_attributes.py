"""Attributes of an image folder: read from a CSV file, and never apart from their images."""

import json

import numpy as np
import pytest
import torch
from image_folders import fill, folder_of, refuse_to_decode
from PIL import Image

from zerosum.data import attributes as reading
from zerosum.data import image_decoding
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.labels.conditions import AttributeConditions
from zerosum.gan.labels.terms import cost_of_guess
from zerosum.gan.regularizers import ScoredBatch
from zerosum.models.networks import Scores
from zerosum.pixels import to_uint8
from zerosum.runs.load import load

CPU = torch.device("cpu")


def shaded(top, count=20, size=4):
    """Images in two sub-folders: the left half's gray is the image's number, and the CSV says it and its square."""
    lines = ["path,gray,square"]
    for number in range(count):
        name = f"{'ab'[number % 2]}/{number:02d}.png"
        (top / name).parent.mkdir(exist_ok=True)
        picture = Image.new("L", (size, size), 200)
        picture.paste(number, (0, 0, size // 2, size))
        picture.save(top / name)
        lines.append(f"{name},{number / 100},{number**2 / 10_000}")
    return lines


def written(top, lines):
    path = top.parent / "attributes.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def folder(top, lines, **options):
    return folder_of(top, channels=1, attributes=written(top, lines), **options)


def agree(images, attributes):
    """Whether each image's darker half has the gray that its attributes say."""
    grays = np.asarray(images).reshape(len(images), -1).min(1) / 100
    return np.allclose(attributes[:, 0], grays, atol=1e-6) and np.allclose(attributes[:, 1], grays**2, atol=1e-6)


def test_each_image_has_the_numbers_of_its_line_whatever_the_order_of_the_lines(top):
    header, *lines = shaded(top)
    dataset = folder(top, [header, "elsewhere/else.png,7,7", "", *reversed(lines), "./more.png, 1e3 ,-2"])
    assert dataset.attribute_names == ("gray", "square") and dataset.num_attributes == 2
    for split in dataset.splits:
        images, labels, attributes, _ = dataset.split(split)
        assert attributes.dtype == np.float32 and agree(images, attributes)
        assert labels is not None and (labels == np.rint(attributes[:, 0] * 100) % 2).all()
        assert dataset.split(split).condition is attributes


def test_the_header_alone_says_how_many_there_are(top):
    shaded(top)
    dataset = folder(top, ["path,tall", "one,nonsense"])
    assert dataset.num_attributes == 1


def test_images_left_out_take_their_attributes_along(top):
    lines = shaded(top)
    for name in ("a/00.png", "b/05.png", "a/12.png"):
        (top / name).write_bytes(b"broken")
    for _ in range(2):  # decoded, then from the cache
        dataset = folder(top, lines, skip_broken=True)
        assert sum(len(dataset.split(split).images) for split in dataset.splits) == 17
        assert all(agree(dataset.split(split).images, dataset.split(split).attributes) for split in dataset.splits)


def test_stream_keeps_images_and_attributes_together_through_shuffle_flip_shards_and_resume(top):
    dataset = folder(top, shaded(top), flip=True)
    stream = dataset.stream(3, CPU)
    batches = [stream.batch(index, 8, slice(0, 8)) for index in range(6)]
    for batch in batches:
        assert agree(to_uint8(batch.images), batch.condition.numpy())
    lefts = torch.cat([to_uint8(batch.images)[:, 0, 0, 0] for batch in batches])
    assert (lefts == 200).any() and (lefts < 200).any(), "nothing was mirrored"
    resumed = dataset.stream(3, CPU)
    shards = [resumed.batch(5, 8, part) for part in (slice(4, 8), slice(0, 4))]
    assert torch.equal(torch.cat([shards[1].condition, shards[0].condition]), batches[5].condition)
    assert torch.equal(torch.cat([shards[1].images, shards[0].images]), batches[5].images)


def test_changed_attributes_are_read_again_and_no_image_is_decoded_again(top, monkeypatch):
    lines = shaded(top)
    before = folder(top, lines)
    before.prepare()
    monkeypatch.setattr(image_decoding, "decode_all", refuse_to_decode)
    after = folder(top, [lines[0], *(f"{line}1" for line in lines[1:])])
    assert not np.array_equal(before.split("train").attributes, after.split("train").attributes)
    assert before.fingerprint("train") != after.fingerprint("train")
    assert folder(top, lines).fingerprint("train") == before.fingerprint("train")
    renamed = folder(top, ["path,other,square", *lines[1:]])
    assert renamed.fingerprint("train") != before.fingerprint("train")
    assert folder_of(top, channels=1).split("train").attributes is None


WRONG = {
    "no row for 2 of 20 images": lambda lines: [line for line in lines if "07" not in line and "13" not in line],
    "a/00.png, a/02.png, a/04.png, a/06.png, a/08.png and 15 more: add them": lambda lines: lines[:1],
    r"first path is a\00.png": lambda lines: [line.replace("/", "\\") for line in lines],
    "line 4: a/02.png stands in line 3 too: delete one": lambda lines: [*lines[:2], lines[3], *lines[3:]],
    "line 6, column square: 'big' is no finite number": lambda lines: [*lines[:5], "b/03.png,0,big", *lines[6:]],
    "line 6, column gray: 'nan' is no": lambda lines: [*lines[:5], "b/03.png,nan,0", *lines[6:]],
    "line 6, column gray: '-inf' is no": lambda lines: [*lines[:5], "b/03.png,-inf,0", *lines[6:]],
    "line 6, column gray: '1e39' is no": lambda lines: [*lines[:5], "b/03.png,1e39,0", *lines[6:]],
    "line 6, column gray: the cell is empty": lambda lines: [*lines[:5], "b/03.png, ,0", *lines[6:]],
    "line 6 has 2 columns, the first line 3": lambda lines: [*lines[:5], "b/03.png,0", *lines[6:]],
    "divided by semicolons: save it with commas": lambda lines: [line.replace(",", ";") for line in lines],
    "divided by tabs: save it with commas": lambda lines: [line.replace(",", "\t") for line in lines],
    "no column of attributes in its first line": lambda lines: [line.partition(",")[0] for line in lines],
    "has no column of attributes": lambda lines: [],
    "begins with numbers: let its first line name": lambda lines: lines[1:],
    "two columns called 'gray'": lambda lines: ["path,gray,gray", *lines[1:]],
    "a column without a name": lambda lines: ["path,gray,", *lines[1:]],
    "has 3 attributes: keep at most 2": lambda lines: [f"{line},a" for line in lines],
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_file_is_one_sentence_before_any_image_is_decoded(top, message, monkeypatch):
    monkeypatch.setattr(image_decoding, "decode_all", refuse_to_decode)
    monkeypatch.setattr(reading, "MOST_ATTRIBUTES", 2)
    with pytest.raises(UserError) as caught:
        folder(top, WRONG[message](shaded(top))).prepare()
    assert str(caught.value).startswith(f"dataset.attributes={top.parent}/attributes.csv ")
    assert message in str(caught.value)


def test_a_file_that_is_no_utf8_csv_is_named_with_what_to_do(top, monkeypatch):
    fill(top, 3)
    path = top.parent / "made.csv"
    for content, message in {
        "path,größe\n".encode("latin-1"): "is not UTF-8 text",
        b"\xff\xfep\x00,\x00a\x00": "is not UTF-8 text",
        b"path,a\n" + b"x" * 200_000: "is no CSV file",
    }.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            folder_of(top, attributes=str(path)).prepare()
    monkeypatch.setattr(reading, "LARGEST_FILE", 100)
    with pytest.raises(UserError, match="more than 100 bytes"):
        folder_of(top, attributes=str(path)).prepare()
    with pytest.raises(UserError, match="does not exist"):
        folder_of(top, attributes=str(top / "none.csv")).prepare()
    with pytest.raises(UserError, match="is no file"):
        folder_of(top, attributes=str(top)).prepare()


def test_large_values_are_warned_of(top, caplog):
    lines = shaded(top)
    folder(top, [*lines[:-1], "b/19.png,0,-250"]).prepare()
    assert "square has values up to 250" in caplog.text


def trained(composed, top, lines, *options):
    built = build(
        validate(
            composed(
                *("dataset=image_folder", "dataset.channels=1", "dataset.resolution=16", "model.base_channels=4"),
                *(f"dataset.path={top}", f"dataset.attributes={written(top, lines)}", "trainer=cpu"),
                *("training.batch_size=8", "run.images=24", "protocol.n_fake=8", "callbacks.samples.count=4"),
                *("callbacks.samples.frames=1", "~callbacks.progress", *options),
            )
        )
    )
    built.trainer.fit(built.module, datamodule=built.data)
    return built.module


@pytest.mark.parametrize("labels", ["concat", "projection", "acgan"])
def test_attributes_are_conditions_of_every_kind_packed_too(composed, top, labels):
    gan = trained(composed, top, shaded(top, size=16), f"labels={labels}", "game.pack=2")
    assert gan.sample([1, 2], torch.tensor([[0.0, 0.0], [1.0, 1.0]])).shape == (2, 1, 16, 16)
    known = {(number / 100, number**2 / 10_000) for number in range(20)}
    kept = {tuple(round(value, 5) for value in row) for row in gan.conditions.kept.tolist()}
    assert kept <= {tuple(round(value, 5) for value in row) for row in known} and len(kept) > 10


def test_a_run_is_opened_and_sampled_without_its_images(composed, top):
    from zerosum.experiment.train import train

    lines = shaded(top, size=16)
    config = composed(
        *("dataset=image_folder", "dataset.channels=1", "dataset.resolution=16", "model.base_channels=4"),
        *(f"dataset.path={top}", f"dataset.attributes={written(top, lines)}", "trainer=cpu", "labels=concat"),
        *("training.batch_size=8", "run.images=16", "protocol.n_fake=8", "callbacks.samples.frames=1"),
    )
    train(config)
    for path in (*top.rglob("*.png"), top.parent / "attributes.csv"):
        path.unlink()
    run = top.parent / "run"
    assert "num_attributes: 2" in (run / "config.yaml").read_text()
    gan = load(run)
    torch.testing.assert_close(gan.sample([3, 4])[1], gan.sample([4])[0])
    assert json.loads((run / "metrics.json").read_text())["last"]["card"]["protocol"]["labels"]


def test_the_cost_of_guessed_attributes_is_half_their_squared_distance_packed_or_not():
    condition, guess = torch.randn(6, 3), torch.randn(6, 3)
    expected = 0.5 * (condition - guess).square().sum(1).mean()
    for logits, rows in ((guess, 6), (guess.reshape(3, 6), 3)):
        scored = ScoredBatch(torch.zeros(6, 1), Scores(torch.zeros(rows), logits), condition)
        torch.testing.assert_close(cost_of_guess(scored), expected)


def test_a_picture_has_a_column_for_each_vector_that_differs():
    conditions = AttributeConditions(2)
    vectors = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    conditions.kept.copy_(vectors[torch.arange(1000) % 7 % 3])
    condition, columns, _ = conditions.arrange(64)
    assert columns == 3 and torch.equal(condition.reshape(-1, 3, 2), vectors.expand(21, 3, 2))
    conditions.kept.copy_(torch.randn(1000, 2))
    condition, columns, _ = conditions.arrange(64)
    assert columns == 8 and torch.equal(condition[:8], conditions.kept[:8]) and len(condition) == 64


def test_a_batch_norm_for_attributes_begins_as_batch_norm():
    from zerosum.models.conditioning import ConditionalBatchNorm, Flat

    norm = torch.nn.BatchNorm1d(5)
    features, condition = torch.randn(9, 5), torch.randn(9, 2)
    torch.testing.assert_close(ConditionalBatchNorm(norm, Flat(2))(features, condition), norm(features))

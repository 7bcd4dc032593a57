"""The curves: metrics.csv, whatever became of it."""

import csv
import os

import pytest

from zerosum.errors import UserError
from zerosum.training.csv_logger import CSVLogger


def rows_of(folder):
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_curves_have_images_first_and_no_row_twice(finished_run):
    rows = rows_of(finished_run)
    assert next(iter(rows[0])) == "images" and len({row["images"] for row in rows}) == len(rows)
    rows = [row for row in rows if row["game/d_real"] or row["quality/fid"]]  # the doctor looks at other times too
    assert [int(row["images"]) for row in rows] == [0, 80, 160, 240, 320]
    assert [row["quality/fid"] != "" for row in rows] == [True, False, True, False, True]
    assert all(0 < float(row["game/d_real"]) < 1 for row in rows[1:])


def test_resumed_curves_drop_the_rows_after_the_checkpoint_from_the_file_too(tmp_path):
    first = CSVLogger(str(tmp_path))
    for images in (100, 200, 300):
        first.log_metrics({"images": images, "loss": images / 100})
    CSVLogger(str(tmp_path)).log_metrics({"images": 250, "loss": 9, "fid": 1})
    expected = [("100", "1.0", ""), ("200", "2.0", ""), ("250", "9", "1")]
    assert [(row["images"], row["loss"], row["fid"]) for row in rows_of(tmp_path)] == expected


WHOLE = b"images,loss,fid\r\n16,1.5,\r\n32,1.25,3\r\n48,1.0,\r\n64,0.5,2\r\n"
DAMAGES = {
    "nothing": (WHOLE, [16, 32, 48, 64]),
    "a byte that is no text": (WHOLE.replace(b"1.25", b"1.\xff5"), [16, 48, 64]),
    "images as a float": (WHOLE.replace(b"32,", b"3.2e1,"), [16, 48, 64]),
    "no column of images": (WHOLE.replace(b"images", b"imagex"), []),
    "a column twice": (WHOLE.replace(b"loss", b"fid"), []),
    "a row too long": (WHOLE.replace(b"1.25,3", b"1.25,3,4"), [16, 48, 64]),
    "a row too short": (WHOLE.replace(b"1.25,3", b"1.25"), [16, 48, 64]),
    "a field of 200 kB": (WHOLE.replace(b"1.25", b"1" * 200_000 + b"x"), [16, 48, 64]),
    "an unclosed quote": (WHOLE.replace(b"1.25", b'"1.25'), [16, 48, 64]),
    "a last row cut within its number": (WHOLE[: -len(b"4,0.5,2\r\n")], [16, 32, 48]),
    "NULs after a power cut": (WHOLE[:40] + bytes(100), [16, 32]),
    "a row out of order": (WHOLE.replace(b"48,", b"8,"), [16, 32, 64]),
    "an endless number of images": (WHOLE.replace(b"32,", b"3" * 5000 + b","), [16, 48, 64]),
    "an empty file": (b"", []),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows_are_left_out_with_one_line_in_the_log_and_kept_aside(tmp_path, caplog, damage):
    content, images = DAMAGES[damage]
    (tmp_path / "metrics.csv").write_bytes(content)
    CSVLogger(str(tmp_path)).log_metrics({"images": 80, "loss": 0.25})
    assert [int(row["images"]) for row in rows_of(tmp_path)] == [*images, 80]
    assert all(set(row) == {"images", "loss", "fid"} for row in rows_of(tmp_path)) or not images
    damaged = tmp_path / "metrics.damaged.csv"
    if damage == "nothing":
        assert not caplog.records and not damaged.exists()
    else:
        assert len(caplog.records) == 1 and "is damaged" in caplog.text and "left out" in caplog.text
        assert damaged.read_bytes() == content


def test_a_pipe_in_the_place_of_the_curves_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(UserError, match=r"metrics\.csv is not a file"):
        CSVLogger(str(tmp_path))


def test_a_full_disk_is_a_sentence(tmp_path):
    logger = CSVLogger(str(tmp_path))
    logger.log_metrics({"images": 16, "loss": 1})
    logger.path = tmp_path / "full.csv"
    logger.path.symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"full\.csv could not be written \(No space left on device\): make room"):
        logger.log_metrics({"images": 32, "loss": 1})

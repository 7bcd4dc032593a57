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
    assert next(iter(rows[0])) == "images"
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


def test_a_wandb_server_that_does_not_answer_means_offline_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    logger = wandb_logger(str(tmp_path))
    logger.log_metrics({"images": 16, "fid": 2.0}, step=16)
    logger.finalize("success")
    assert list((tmp_path / "wandb").glob("offline-run-*"))
    assert "W&B logs offline" in caplog.text and f"wandb sync {tmp_path}" in caplog.text


def test_a_resumed_run_continues_its_wandb_run(tmp_path):
    first = read_run_id(tmp_path / "wandb" / "id.txt")
    assert read_run_id(tmp_path / "wandb" / "id.txt") == first != read_run_id(tmp_path / "other" / "id.txt")


@pytest.mark.parametrize("kind", ["link", "other words", "too long", "pipe"])
def test_an_id_that_is_not_wandbs_is_not_used(tmp_path, kind):
    """Of a link the first line would be uploaded as the run's id."""
    (tmp_path / "secret").write_text("topsecre")
    path = tmp_path / "id.txt"
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("../../x!" if kind == "other words" else "a" * 1000)
    found = read_run_id(path)
    assert found != "topsecre" and len(found) == 8 and found.isalnum()
    assert path.read_text() == found and not path.is_symlink()
    assert (tmp_path / "secret").read_text() == "topsecre"


def test_wandb_logs_offline_against_images(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    train(tiny("run.images=64", "logger=wandb", "callbacks.curves.every=32"))
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert list(folder.glob("*.wandb")) and list(folder.rglob("*.png"))
    assert (tmp_path / "run" / "metrics.csv").exists()

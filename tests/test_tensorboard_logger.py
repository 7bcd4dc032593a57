"""TensorBoard: what its own reader finds in the event files."""

import csv
import io
import sys

import pytest
from PIL import Image

from zerosum.errors import UserError
from zerosum.training.loggers import TensorBoardLogger

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture(scope="module")
def events(logged_run):
    """Everything in the event files of a run that was resumed."""
    guidance = {"scalars": 0, "images": 0, "histograms": 0}
    found = event_accumulator.EventAccumulator(str(logged_run / "tensorboard"), size_guidance=guidance)
    return found.Reload()


def test_scalars_are_those_of_the_curves_by_the_same_names_each_once(logged_run, events):
    with (logged_run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = set(rows[0]) - {"images"}
    assert names == set(events.Tags()["scalars"])
    for name in names:
        expected = {int(row["images"]): float(row[name]) for row in rows if row[name]}
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert len(found) == len(expected) and dict(found) == pytest.approx(expected, rel=1e-5), name


def test_samples_histograms_and_the_film_are_there_at_their_images(logged_run, events):
    frames = sorted((logged_run / "samples").glob("*.png"))
    pictures = events.Images("samples/fixed_seeds")
    assert [picture.step for picture in pictures] == [int(frame.stem) for frame in frames]
    with Image.open(io.BytesIO(pictures[-1].encoded_image_string)) as last, Image.open(frames[-1]) as frame:
        assert last.convert("RGB").tobytes() == frame.convert("RGB").tobytes()
    (film,) = events.Images("samples/training")
    with Image.open(io.BytesIO(film.encoded_image_string)) as gif:
        assert film.step == 160 and gif.format == "GIF" and gif.n_frames == len(frames)
    histograms = events.Histograms("game/logits/fake/histogram")
    assert [histogram.step for histogram in histograms] == [64, 128]
    assert all(histogram.histogram_value.num > 0 for histogram in histograms)


def test_of_two_values_at_one_step_the_last_is_written_once(tmp_path):
    logger = TensorBoardLogger(str(tmp_path))
    for images, value in ((64, 1.0), (128, 0.0), (128, 2.0)):
        logger.log_metrics({"images": images, "doctor/findings": value})
    logger.log_metrics({"images": 128, "quality/fid": 3.0})
    logger.save()
    logger.log_metrics({"images": 128, "doctor/findings": 4.0})
    logger.finalize("success")
    found = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("doctor/findings")] == [(64, 1.0), (128, 4.0)]
    assert [(event.step, event.value) for event in found.Scalars("quality/fid")] == [(128, 3.0)]


def test_without_the_package_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'zerosum\[tensorboard\]'"):
        TensorBoardLogger(str(tmp_path))

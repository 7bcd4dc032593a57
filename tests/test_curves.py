"""Averages over seeds, along training."""

import json

from fake_runs import fake_run

from zerosum.report.curves import MINUTES_ALONE, make_curves
from zerosum.report.grouping import group_by_setting
from zerosum.report.measured_runs import read_runs


def test_curves_are_means_of_the_runs_that_went_as_far_as_the_farthest(tmp_path):
    fake_run(tmp_path / "a", fids=(100.0, 10.0, 4.0))
    fake_run(tmp_path / "b", seed=1, fids=(200.0, 30.0, 8.0))
    fake_run(tmp_path / "c", seed=2, fids=(300.0, 1.0), run__images=2000)
    (curve,) = make_curves(group_by_setting(read_runs([tmp_path])[0])[0], "fid")
    assert curve.name == "a (2 of 3 runs)"
    assert curve.images.tolist() == [0, 1000, 2000] and curve.minutes.tolist() == [0, 2, 4]
    assert curve.mean.tolist() == [150, 20, 6]
    assert curve.low.tolist() == [100, 10, 4] and curve.high.tolist() == [200, 30, 8]


def test_a_missing_measurement_is_interpolated(tmp_path):
    fake_run(tmp_path / "a", fids=(100.0, None, 4.0))
    fake_run(tmp_path / "b", seed=1, fids=(200.0, 30.0, 8.0))
    (curve,) = make_curves(group_by_setting(read_runs([tmp_path])[0])[0], "fid")
    assert curve.mean.tolist() == [150, (52 + 30) / 2, 6]


def test_a_value_that_was_never_measured_has_no_curve(tmp_path):
    settings, _ = group_by_setting(read_runs([fake_run(tmp_path / "a")])[0])
    assert make_curves(settings, "kid") == []


def test_minutes_are_of_training_alone_where_every_run_has_measured_them(tmp_path):
    for name, seconds in (("a", 1.5), ("b", 1.0)):
        path = fake_run(tmp_path / name, loss=name.upper(), fids=(100.0, 10.0, 4.0)) / "metrics.json"
        report = json.loads(path.read_text())
        for step, entry in enumerate([*report["history"], report["last"]]):
            entry["values"] |= {"train_minutes": seconds * min(step, 2)} if step else {}
        path.write_text(json.dumps(report))
    fake_run(tmp_path / "c", loss="C", fids=(100.0, 10.0))

    def curves(*names):
        return make_curves(group_by_setting(read_runs([tmp_path / name for name in names])[0])[0], "fid")

    assert [curve.minutes.tolist() for curve in curves("a", "b")] == [[0, 1.5, 3], [0, 1, 2]]
    assert {curve.time for curve in curves("a", "b")} == {MINUTES_ALONE}
    assert [curve.minutes.tolist() for curve in curves("a", "c")] == [[0, 2, 4], [0, 2]]

"""One table of a sweep, from what its jobs left."""

import json

from zerosum.sweep_table import table


def job(folder, number, loss, seed, share):
    run = folder / f"{number}_job"
    run.mkdir()
    (run / "config.yaml").write_text(f"loss:\n  _target_: zerosum.losses.{loss}\nseed: {seed}\n")
    last = {"values": {"modes": 8.0, "high_quality": share}, "card": {"n_fake": 100, "seed": seed}, "minutes": 1.5}
    (run / "metrics.json").write_text(json.dumps({"last": last}))


def test_seeds_share_a_row_with_mean_and_range_and_failures_are_counted(tmp_path):
    job(tmp_path, 0, "Hinge", 0, 0.9)
    job(tmp_path, 1, "Hinge", 1, 0.7)
    job(tmp_path, 2, "Minimax", 0, 0.5)
    (tmp_path / "3_job").mkdir()
    text = table(tmp_path, ["loss._target_"], "Losses")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows == [
        "| loss._target_ | seeds | modes | high_quality | minutes |",
        "|---|---|---|---|---|",
        "| zerosum.losses.Hinge | 2 | 8 | 0.8 (0.7 to 0.9) | 1.5 |",
        "| zerosum.losses.Minimax | 1 | 8 | 0.5 | 1.5 |",
    ]
    assert "n_fake 100" in text and "1 jobs failed" in text and "seed 0" not in text

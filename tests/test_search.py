"""hydra/sweeper=search: Optuna's study in the sweep's folder."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import yaml
from conftest import ROOT, SMALL_POINTS, verb
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

optuna = pytest.importorskip("optuna", minversion="4.2")

from hydra_plugins.zerosum_optuna_sweeper import _space, _study  # noqa: E402
from zerosum.evaluation.measurement import read_record  # noqa: E402
from zerosum.training.callbacks.prune import PRUNED, Prune  # noqa: E402


def test_overrides_become_distributions():
    words = [
        "a=interval(0,1.0)",
        "b=tag(log,interval(0.1,10.0))",
        "c=int(interval(1,5))",
        "d=x,y",
        "e=range(1,4)",
        "f=3",
    ]
    space, fixed = _space.split(OverridesParser.create().parse_overrides([*words, "seed=1", "seed=2"]))
    distributions = optuna.distributions
    assert space == {
        "a": distributions.FloatDistribution(0, 1),
        "b": distributions.FloatDistribution(0.1, 10, log=True),
        "c": distributions.IntDistribution(1, 5),
        "d": distributions.CategoricalDistribution(["x", "y"]),
        "e": distributions.CategoricalDistribution(["1", "2", "3"]),
    }
    assert fixed == ["f=3", "seed=2"]


def returned(value, status=JobStatus.COMPLETED):
    return JobReturn(_return_value=value, status=status)


def test_a_trial_below_the_median_of_five_is_given_up(tmp_path):
    study = _study.open_study(tmp_path, ["maximize"], seed=0)
    for number, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0, 2.9, 3.1]):
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
        gives_up = Prune(str(tmp_path), trial.number, "modes").ask(value, 100)
        assert gives_up == (number == 5)
        _study.tell(study, trial, returned(value))
    states = [trial.state.name for trial in study.trials]
    assert states == 5 * ["COMPLETE"] + ["PRUNED", "COMPLETE"] and study.trials[5].user_attrs == {PRUNED: 100}
    assert study.best_value == 5.0


def test_training_is_stopped_at_the_evaluation_that_is_hopeless(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Prune, "ask", lambda self, value, images: asked.append((value, images)) or value < 1)
    history = [SimpleNamespace(images=0, values={"fid": 9.0})]
    evaluate = SimpleNamespace(history=history)
    monkeypatch.setattr("zerosum.training.callbacks.prune.evaluation_of", lambda trainer: evaluate)
    strategy = SimpleNamespace(broadcast=lambda found: found)
    trainer = SimpleNamespace(is_global_zero=True, should_stop=False, strategy=strategy)
    prune = Prune(str(tmp_path), 0, "fid")
    for images, value in ((0, 9.0), (100, 5.0), (100, 5.0), (200, 0.5)):
        history.append(SimpleNamespace(images=images, values={"fid": value}))
        assert not trainer.should_stop
        prune.on_train_batch_end(trainer, None, None, None, 0)
    assert asked == [(5.0, 100), (0.5, 200)] and trainer.should_stop


def test_failed_trials_count_and_the_best_of_several_objectives_are_written(tmp_path):
    study = _study.open_study(tmp_path, ["maximize", "minimize"], seed=0)
    for values in ([1.0, 1.0], [2.0, 2.0], [1.0, 3.0], None):
        status = JobStatus.FAILED if values is None else JobStatus.COMPLETED
        _study.tell(study, study.ask(), returned(values, status))
    assert _study.count_left(study, 5) == 1
    _study.write_results(study, tmp_path / "results.yaml")
    written = yaml.safe_load((tmp_path / "results.yaml").read_text())
    assert [trial["trial"] for trial in written["best"]] == [0, 1]
    assert written["trials"] == {"complete": 3, "fail": 1}


@pytest.mark.slow
def test_a_search_for_nothing_is_one_sentence(tmp_path):
    options = ["-m", "hydra/sweeper=search", f"hydra.sweep.dir={tmp_path}/sweep", "gamma=0.1,1"]
    assert "error: objective is missing" in verb("train.py", *options, fails=True)
    assert "n_trials=0 n_jobs=1: choose 1 or more" in verb(
        "train.py", *options, "objective=fid", "hydra.sweeper.n_trials=0", fails=True
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_killed_search_of_two_objectives_goes_on(tmp_path):
    options = ["-m", *SMALL_POINTS, "resume=auto", "hydra/sweeper=search", "hydra.sweeper.n_trials=3"]
    options += ["objective=[high_quality,mode_kl]", "optimizer.lr=tag(log,interval(0.0001,0.1))"]
    command = [sys.executable, str(ROOT / "train.py"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while first.poll() is None and not list(tmp_path.glob("outputs/sweep_*/1_*/config.yaml")):
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    rate = yaml.safe_load(next(tmp_path.glob("outputs/*/1_*/config.yaml")).read_text())["optimizer"]["lr"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sweep,) = tmp_path.glob("outputs/*")
    records = {int(path.parent.name.split("_")[0]): read_record(path).best for path in sweep.glob("*/metrics.json")}
    assert sorted(records) == [0, 1, 2]
    assert yaml.safe_load(next(sweep.glob("1_*/config.yaml")).read_text())["optimizer"]["lr"] == rate
    written = yaml.safe_load((sweep / "optimization_results.yaml").read_text())
    assert written["trials"] == {"complete": 3}
    for best in written["best"]:
        values = records[best["trial"]].values
        assert best["values"] == [values["high_quality"], values["mode_kl"]]

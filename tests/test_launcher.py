"""hydra/launcher=process: each job of a sweep is a program of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from conftest import ROOT

from hydra_plugins.zerosum_process_launcher import _slots
from zerosum.errors import UserError

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests")}
LAUNCHER = "hydra_plugins.zerosum_process_launcher.process_launcher.ProcessLauncher"
PROGRAM = """
import os, time, hydra
@hydra.main(version_base="1.3", config_path=".", config_name="toy")
def main(config):
    if config.x == 2:
        raise ValueError("two is not for me")
    time.sleep(config.seconds)
    print(os.environ["CUDA_VISIBLE_DEVICES"], config.name)
    return config.x / 4
main()
"""
TOY = {
    "x": 0,
    "seconds": 0,
    "name": "${hydra:job.num}_${x}",
    "defaults": [{"override hydra/launcher": "process"}, "_self_"],
    "hydra": {
        "output_subdir": None,
        "job_logging": {"root": {"handlers": ["console"]}},
        "sweep": {"dir": "sweep, a=b", "subdir": "${hydra.job.num}_${hydra:runtime.choices.hydra/launcher}_${x}"},
        "launcher": {"slots": ["6", "7"], "jobs": 2},
        "callbacks": {"heard": {"_target_": "toy_callback.Heard"}},
    },
}
HEARD = """
from pathlib import Path
from hydra.experimental.callback import Callback
class Heard(Callback):
    def on_multirun_end(self, config, **named):
        Path("heard").write_text(config.hydra.sweep.dir)
"""


@pytest.fixture
def toy(tmp_path):
    """A program that sleeps, fails or returns a number; the command that sweeps over it."""
    (tmp_path / "toy.py").write_text(PROGRAM)
    (tmp_path / "toy_callback.py").write_text(HEARD)
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(TOY))
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "process.yaml").write_text(f"_target_: {LAUNCHER}\njobs: 1\nslots: null\n")
    return [sys.executable, "toy.py", "-m"]


def swept(command, folder, fails=False):
    """What a sweep printed."""
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert (done.returncode != 0) == fails, done.stdout
    return done.stdout


def test_a_failed_job_stops_no_other_and_the_sweep_says_which_and_why(toy, tmp_path):
    printed = swept([*toy, "x=1,2,3"], tmp_path, fails=True)
    sweep = tmp_path / "sweep, a=b"
    assert sorted(path.name for path in sweep.iterdir()) == [
        "0_process_1",
        "1_process_2",
        "2_process_3",
        "multirun.yaml",
    ]
    assert (sweep / "0_process_1" / "output.log").read_text() == "6 0_1\n"
    assert (sweep / "2_process_3" / "output.log").read_text() in ("6 2_3\n", "7 2_3\n")
    assert "#0 x=1 done after" in printed and "s: 0.25\n" in printed and "s: 0.75\n" in printed
    assert f"1 of 3 jobs failed:\n{sweep}/1_process_2: status 1:" in without_times(printed)
    assert (tmp_path / "heard").read_text() == "sweep, a=b"


def without_times(printed):
    return "\n".join(line.partition("[HYDRA] ")[2].strip() or line for line in printed.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_goes_to_the_jobs_and_ends_the_sweep(toy, tmp_path, number):
    process = subprocess.Popen(
        [*toy, "x=1,3,4", "seconds=60"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where the tests themselves run in the background of a script, Ctrl-C would be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    started = [tmp_path / "sweep, a=b" / name / "output.log" for name in ("0_process_1", "1_process_3")]
    while process.poll() is None and not all(path.exists() for path in started):
        time.sleep(0.05)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number, printed
    assert f"Stopped by {number.name}, 1 of 3 jobs not started." in printed
    assert not (tmp_path / "sweep, a=b" / "2_process_4").exists()


@pytest.mark.parametrize(
    ("devices", "jobs", "expected"),
    [
        (["0", "1", "2", "3"], 2, ["0,1", "2,3"]),
        (["4", "5", "7"], 2, ["4", "5"]),
        (["0", "1"], 3, ["0", "1", "0"]),
        ([], 3, []),
    ],
)
def test_devices_are_cut_into_equal_parts(devices, jobs, expected):
    assert _slots.divide(devices, jobs) == expected


def test_jobs_share_the_cores_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(10)), raising=False)
    assert _slots.environments(4, ["0", "1", "2", "3"])[3] == {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "3"}
    assert _slots.threads(1) == {}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert _slots.threads(4) == {}
    with pytest.raises(UserError, match="as many slots as jobs"):
        _slots.environments(2, ["0"])


SMALL = ["dataset=synthetic", "model=mlp", "training.batch_size=16", "run.images=32", "~callbacks.samples"]


def train(folder, *options, fails=False):
    own = [f"dataset.root={folder}/data", f"hydra.sweep.dir={folder}/sweep"]
    return swept([sys.executable, str(ROOT / "train.py"), "-m", *SMALL, *own, *options], folder, fails)


def test_hydras_own_launcher_refuses_jobs_of_several_processes(tmp_path):
    printed = train(tmp_path, "trainer=ddp", "seed=0,1", fails=True)
    assert "error: trainer.devices=2 in a sweep: add hydra/launcher=process" in printed


@pytest.mark.slow
def test_optuna_trials_of_two_processes_train_by_one_config_each(tmp_path):
    """And the objective comes back: the best value is the least of those in the trials' metrics.json."""
    pytest.importorskip("optuna", minversion="4.2")
    sweep = ["hydra/launcher=process", "hydra.launcher.jobs=3", "hydra/sweeper=search", "hydra.sweeper.n_trials=3"]
    sweep += ["hydra.sweeper.n_jobs=3", "optimizer.lr=tag(log,interval(0.0001,0.1))", "objective=fid"]
    measured = ["features.steps=20", "protocol.n_fake=64", "protocol.batch_size=32"]
    witness = "+logger.witness={_target_: witness.Config, folder: '${run.folder}'}"
    train(tmp_path, *sweep, *measured, "trainer=ddp", "trainer.accelerator=cpu", witness)
    jobs = sorted(path for path in (tmp_path / "sweep").iterdir() if path.is_dir())
    seen = [[(job / f"seen_{rank}").read_text() for rank in (0, 1)] for job in jobs]
    assert len(seen) == 3 and all(first == second for first, second in seen)
    assert len({first for first, _ in seen}) == 3
    best = min(json.loads((job / "metrics.json").read_text())["best"]["values"]["fid"] for job in jobs)
    results = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    assert results["best"][0]["values"] == [best]


@pytest.mark.slow
def test_submitit_runs_the_jobs_of_a_sweep(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    train(tmp_path, "hydra/launcher=submitit_local", "seed=3", "trainer=cpu", "~callbacks.evaluate")
    assert (tmp_path / "sweep" / "0_synthetic_mlp_nonsat_seed3" / "last.ckpt").exists()

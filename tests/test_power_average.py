"""Averages of any width, made after training, against those that were tracked all along."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from conftest import ROOT, SMALL_POINTS, verb
from hydra import compose, initialize_config_dir
from lightning import Callback
from omegaconf import OmegaConf
from strangers import edit, tamper

from zerosum.commands.evaluate import evaluate
from zerosum.commands.sample import Asked, sample
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs.averages import list_snapshots, load_average
from zerosum.runs.load import load
from zerosum.runs.resume import resume
from zerosum.sampling import latents
from zerosum.training.callbacks.power_average import PowerAverage, find_snapshots, floating_weights
from zerosum.training.power_functions import decay, gamma_of
from zerosum.training.process import silence_libraries

AVERAGED = ("callbacks=[default,power_average]", "~callbacks.doctor", "~callbacks.logits", "~callbacks.weights")
POINTS = (*SMALL_POINTS, *AVERAGED, "callbacks.power_average.every=16")
BETWEEN = (0.05, 0.06, 0.075, 0.09, 0.10)
BEYOND = (0.04, 0.15)


class Tracked(Callback):
    """Averages of many widths in float64, from the generator's weights after each step."""

    def __init__(self):
        self.averages = {width: {} for width in (*BETWEEN, *BEYOND)}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        for width, average in self.averages.items():
            beta = decay(gamma_of(width), pl_module.last_step.images, pl_module.images_seen)
            for name, weight in floating_weights(pl_module.generator).items():
                average[name] = beta * average.get(name, 0) + (1 - beta) * weight.double()


def fit(config, *further):
    """The trained module; `further` callbacks come last."""
    silence_libraries()
    built = build(validate(config))
    built.trainer.callbacks += further
    built.trainer.fit(built.module, datamodule=built.data)
    return built.module


def distance(one, other):
    """Relative, over a tensor."""
    return float((one.double() - other).norm() / other.norm())


def times_of(run):
    return [images for images, _ in find_snapshots(run / "averages")]


def test_averages_made_afterwards_are_those_tracked_all_along(tiny, tmp_path):
    """64 steps of a DCGAN, with the running statistics of batch norm, and 32 snapshots."""
    tracked = Tracked()
    options = ("run.images=1024", "optimizer.lr=0.002", "callbacks.power_average.every=32")
    module = fit(tiny(*AVERAGED, *options, "~callbacks.evaluate", "~callbacks.samples"), tracked)
    network = module.ema.network
    for widths, tolerance in ((BETWEEN, 1e-4), (BEYOND, 1e-3)):
        for width in widths:
            assert load_average(list_snapshots(tmp_path / "run"), width, network, module.images_seen) == 1024
            for name, expected in tracked.averages[width].items():
                assert distance(floating_weights(network)[name], expected) < tolerance, f"{width} {name}"
    narrow, wide = tracked.averages[0.05], tracked.averages[0.10]
    assert min(distance(narrow[name], wide[name]) for name in wide) > 1e-3  # they could be told apart
    assert any("running_var" in name for name in wide)


def test_a_resumed_run_has_the_snapshots_and_averages_of_an_uninterrupted_one(composed, tmp_path):
    """Killed after more snapshots than its checkpoint knows, and after some were removed to make room."""
    options = (*POINTS, "callbacks.power_average.every=32", "callbacks.power_average.most=6", "~callbacks.evaluate")
    runs = tmp_path / "straight", tmp_path / "killed"
    train(composed(*options, "run.images=480", f"run.folder={runs[0]}"))
    train(composed(*options, "run.images=400", "callbacks.checkpoint.every=144", f"run.folder={runs[1]}"))
    assert times_of(runs[1]) == [128, 256, 384, 400]
    shutil.copy(runs[1] / "previous.ckpt", runs[1] / "last.ckpt")
    assert torch.load(runs[1] / "last.ckpt", weights_only=True)["images_seen"] == 288
    resume(runs[1], ["run.images=480"])
    assert times_of(runs[0]) == times_of(runs[1]) == [128, 256, 384, 480]
    for images in times_of(runs[0]):
        one, other = (read_tensors(run / "averages" / f"{images:010d}.pt") for run in runs)
        assert len(one) > 4 and all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    states = [torch.load(run / "last.ckpt", weights_only=True)["callbacks"]["PowerAverage"] for run in runs]
    assert states[0]["times"] == states[1]["times"] and states[0]["interval"] == states[1]["interval"] == 128


def test_a_run_that_was_interrupted_at_its_first_checkpoint_goes_on(composed, tmp_path):
    """That of the first step, which the averages follow only before the second."""
    options = (*POINTS, "callbacks.power_average.every=32", "callbacks.checkpoint.every=1000", "~callbacks.evaluate")
    runs = tmp_path / "straight", tmp_path / "killed"
    for run in runs:
        train(composed(*options, "run.images=96", f"run.folder={run}"))
    shutil.copy(runs[1] / "previous.ckpt", runs[1] / "last.ckpt")
    assert torch.load(runs[1] / "last.ckpt", weights_only=True)["images_seen"] == 16
    resume(runs[1], [])
    assert times_of(runs[0]) == times_of(runs[1])
    for images in times_of(runs[0]):
        one, other = (read_tensors(run / "averages" / f"{images:010d}.pt") for run in runs)
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def read_tensors(path):
    averages = torch.load(path, weights_only=True)["averages"]
    return [value for average in averages for value in average.values()]


def test_a_run_that_was_not_averaged_from_its_beginning_is_refused(run):
    with pytest.raises(UserError, match="averages from the first image on, and this run has seen 64 without it"):
        tamper(run, lambda config: config["callbacks"].update(power_average=node_of(run)))
        resume(run, ["run.images=128"])


def node_of(run):
    return {"_target_": "zerosum.training.callbacks.power_average.PowerAverage", "folder": str(run)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [0.1, 0.05]}, "name the smaller one first"),
        ({"widths": [0.05, 0.051]}, "differ by a tenth"),
        ({"widths": [0.05, 0.5]}, r"callbacks\.power_average\.widths=0\.5: the width of an average"),
        ({"most": 7}, "choose an even number"),
        ({"most": 4096}, "choose an even number from 2 to 1024"),
        ({"every": 0}, r"callbacks\.power_average\.every=0: choose 1 image or more"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        PowerAverage("x", **options)


# Opening


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    """A finished run of points with 20 snapshots; to be read, not changed."""
    folder = tmp_path_factory.mktemp("averaged") / "run"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = OmegaConf.create(compose("config", [*POINTS, "~callbacks.report", "optimizer.lr=0.01"]))
    config.run = {"images": 320, "name": "test", "folder": str(folder)}
    train(config)
    return folder


@pytest.fixture
def copied(averaged, tmp_path):
    """A copy of the run, to be damaged."""
    return Path(shutil.copytree(averaged, tmp_path / "copy"))


def test_the_card_says_the_width_and_the_file_too(averaged):
    for name, options in {"ema": {}, "raw": {"weights": "raw"}, "power average 0.07": {"ema": 0.07}}.items():
        assert "written to" in evaluate(averaged, "last", **options)
        file = {"ema": "", "raw": "_raw"}.get(name, "_ema0.07")
        seen = json.loads((averaged / f"evaluation_last{file}.json").read_text())
        assert seen["card"]["protocol"]["weights"] == name and seen["card"]["run"]["images"] == 320


def test_samples_are_those_of_the_average(averaged, tmp_path):
    printed = sample(averaged, "last", Asked(3, 0), str(tmp_path), ema=0.05)
    assert "at 320 images, power average 0.05" in printed
    points = [[float(value) for value in row.split(",")] for row in (tmp_path / "samples.csv").read_text().split()[1:]]
    stored = torch.load(averaged / "averages" / f"{320:010d}.pt", weights_only=True)["averages"][0]
    generator = load(averaged, "last").ema.network
    generator.load_state_dict(stored)
    assert torch.tensor(points) == pytest.approx(generator(latents(range(3), generator.latent_dim)), abs=1e-5)


def test_an_earlier_checkpoint_has_the_average_of_its_own_time(copied):
    stored = torch.load(copied / "last.ckpt", weights_only=True)
    stored["images_seen"] = 199
    torch.save(stored, copied / "best.ckpt")
    assert load(copied, ema=0.05).images_seen == 192
    stored["images_seen"] = 15
    torch.save(stored, copied / "best.ckpt")
    with pytest.raises(UserError, match=r"the first snapshot is of 16 images, .*: choose a later one"):
        load(copied, ema=0.05)


def opened(run, ema=0.07):
    return [
        lambda: load(run, "last", ema=ema),
        lambda: sample(run, "last", Asked(1, 0), None, ema=ema),
        lambda: evaluate(run, "last", ema=ema),
    ]


def refused(run, message, ema=0.07):
    for opening in opened(run, ema):
        with pytest.raises(UserError, match=message):
            opening()


def test_a_run_without_snapshots_says_how_to_make_some(run):
    refused(run, r"has no snapshots of averages: leave ema out, or train with 'callbacks=\[default,power_average\]'")


def test_a_width_that_snapshots_do_not_give_is_refused(averaged):
    refused(
        averaged, r"ema=0\.01 cannot be made from 20 snapshots of the widths 0\.05 and 0\.1 \(the profile is off", 0.01
    )
    refused(averaged, r"ema=0\.4: the width of an average", 0.4)


def rewrite(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def flip(path):
    bits = bytearray(path.read_bytes())
    bits[len(bits) // 2] ^= 1
    path.write_bytes(bits)


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "flipped": flip,
    "empty": lambda path: path.write_bytes(b""),
    "large": lambda path: path.write_bytes(path.read_bytes() + bytes(2**23)),
    "renamed": lambda path: rewrite(path, lambda content: content.update(images_seen=17)),
    "widths": lambda path: rewrite(path, lambda content: content.update(widths=[0.06, 0.1])),
    "no widths": lambda path: rewrite(path, lambda content: content.pop("widths")),
    "one": lambda path: rewrite(path, lambda content: content["averages"].pop()),
    "list": lambda path: rewrite(path, lambda content: content["averages"].__setitem__(0, [1])),
    "nan": lambda path: rewrite(path, lambda content: next(iter(content["averages"][1].values())).fill_(torch.nan)),
    "shape": lambda path: rewrite(
        path, lambda content: content["averages"][0].update(dict.fromkeys(content["averages"][0], torch.zeros(1)))
    ),
    "code": lambda path: torch.save({"images_seen": os.system}, path),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_is_one_sentence(copied, damage):
    path = copied / "averages" / f"{160:010d}.pt"
    DAMAGES[damage](path)
    with pytest.raises(UserError, match=rf"{path.name} cannot be read \(.*\): it is damaged, remove it"):
        load(copied, "last", ema=0.07)
    path.unlink()
    assert load(copied, "last", ema=0.07).images_seen == 320


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_files_are_opened(copied, kind):
    path = copied / "averages" / f"{160:010d}.pt"
    other = path.rename(copied / "elsewhere")
    {"link": lambda: path.symlink_to(other), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    refused(copied, "is a link, a pipe or a folder, and a snapshot is a file")


def test_a_link_to_a_folder_elsewhere_is_refused(copied, tmp_path):
    (copied / "averages").rename(tmp_path / "far")
    (copied / "averages").symlink_to(tmp_path / "far")
    refused(copied, "and a run writes into its own folder alone")


@pytest.mark.parametrize(
    "change",
    [
        {"averages": []},
        {"averages": [{"x": 3}, {}]},
        {"times": [-1]},
        {"times": list(range(2000))},
        {"images": "x"},
        {"widths": [0.2, 0.25]},
    ],
    ids=["no averages", "no tensor", "negative", "many", "text", "widths"],
)
def test_a_damaged_state_is_refused_before_training(copied, change):
    edit(copied, lambda stored: stored["callbacks"]["PowerAverage"].update(change))
    with pytest.raises(UserError, match=r"has no state that PowerAverage can load|was averaged with"):
        resume(copied, ["run.images=640"])


def test_averages_of_another_generator_are_refused(copied):
    def change(stored):
        stored["callbacks"]["PowerAverage"]["averages"][0].popitem()

    edit(copied, change)
    with pytest.raises(UserError, match="are not of this generator"):
        resume(copied, ["run.images=640"])


def test_the_command_line_refuses_raw_weights_of_a_width(tmp_path):
    printed = verb("evaluate.py", f"run={tmp_path}", "weights=raw", "ema=0.05", fails=True)
    assert printed == "error: weights=raw ema=0.05: raw weights are no average: leave out one of the two\n"


@pytest.mark.slow
def test_of_two_processes_the_first_writes_and_the_averages_are_those_of_one(tmp_path):
    options = (*SMALL_POINTS, *AVERAGED, "callbacks.power_average.every=32", "run.images=160")
    own = ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"]
    plain = [option for option in options if option != "trainer=cpu"]
    verb("train.py", *plain, *own, "trainer=cpu", f"hydra.run.dir={tmp_path}/one")
    verb("train.py", *plain, *own, "trainer=ddp", "trainer.accelerator=cpu", f"hydra.run.dir={tmp_path}/two")
    assert times_of(tmp_path / "two") == [32, 64, 96, 128, 160]
    for name in (path.name for _, path in find_snapshots(tmp_path / "two" / "averages")):
        one, two = (read_tensors(tmp_path / run / "averages" / name) for run in ("one", "two"))
        assert all(distance(*pair) < 1e-5 for pair in zip(two, one, strict=True))


@pytest.mark.slow
def test_a_conditional_run_is_sampled_by_label_from_an_average(tiny, tmp_path):
    train(tiny(*AVERAGED, "labels=concat", "run.images=320", "callbacks.power_average.every=32"))
    printed = verb("sample.py", f"run={tmp_path}/run", "checkpoint=last", "ema=0.07", "labels=0,1", "count=2")
    assert "2 samples of each of the labels 0, 1 of run at 320 images, power average 0.07" in printed

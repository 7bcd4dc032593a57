"""Checkpoints are read without running code, and only if every bit is one that was saved."""

import os
import pickle
import re
import time
import zipfile
from functools import partial

import pytest
import torch
from conftest import ROOT
from strangers import edit, openings, tamper

from zerosum.errors import UserError
from zerosum.runs import resume
from zerosum.runs.load import load
from zerosum.runs.resumable import check_optimizer


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_is_opened_without_running_code(run, tmp_path, zipped):
    payload = {"state_dict": {}, "images_seen": 64, "x": Payload(f"touch {tmp_path}/pwned")}
    for name in ("best.ckpt", "last.ckpt"):
        torch.save(payload, run / name, _use_new_zipfile_serialization=zipped)
    for opening in [openings(run)[index] for index in (0, 3, 4, 5)]:
        with pytest.raises(UserError, match=r"ckpt cannot be read .* damaged"):
            opening()
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(run / "last.ckpt", weights_only=True)


def test_lightning_is_told_to_read_weights_only_too(run, monkeypatch):
    from lightning import Trainer

    seen = []
    fit = Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda *arguments, **named: seen.append(named) or fit(*arguments, **named))
    resume.resume(run, ["run.images=128"])
    assert [named["weights_only"] for named in seen] == [True]


def test_no_torch_load_in_the_sources_may_run_code():
    calls = [
        call
        for path in [*(ROOT / "src").rglob("*.py"), *ROOT.glob("*.py")]
        for call in re.findall(r"(?:torch|pickle|joblib)\.loads?\(.*", path.read_text())
    ]
    assert len(calls) >= 3
    assert all("weights_only=True" in call for call in calls), calls


def test_one_changed_bit_in_a_weight_is_noticed(run):
    weight = torch.load(run / "best.ckpt", weights_only=True)["state_dict"]["generator.layers.0.weight"]
    content = bytearray((run / "best.ckpt").read_bytes())
    content[content.find(weight.numpy().tobytes()) + 5] ^= 1
    (run / "best.ckpt").write_bytes(content)
    torch.load(run / "best.ckpt", weights_only=True)  # torch does not notice
    with pytest.raises(UserError, match=r"cannot be read \(the checksum of .*data/\d+ is wrong\)"):
        load(run)


def test_a_packed_checkpoint_is_refused_before_it_unfolds(run):
    with zipfile.ZipFile(run / "best.ckpt") as plain:
        records = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(run / "best.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in records.items():
            packed.writestr(name, content)
    with pytest.raises(UserError, match="it is compressed"):
        load(run)


NAME = "generator.layers.0.weight"
WEIGHTS = {
    "renamed": (lambda weights: weights.update(other=weights.pop(NAME)), "there is no place for other"),
    "missing": (lambda weights: weights.pop(NAME), f"{NAME} is missing"),
    "another shape": (lambda weights: weights.update({NAME: torch.zeros(16, 8)}), r"\[16, 8\], not .*\[8, 16\]"),
    "expanded": (lambda weights: weights.update({NAME: torch.zeros(1).expand(10**12)}), r"\[1000000000000\], not"),
    "another type": (lambda weights: weights.update({NAME: weights[NAME].half()}), "torch.float16 of"),
    "no tensor": (lambda weights: weights.update({NAME: 3}), "is a int, not"),
    "sparse": (lambda weights: weights.update({NAME: weights[NAME].to_sparse()}), "holds another model"),
    "nowhere": (lambda weights: weights.update({NAME: weights[NAME].to("meta")}), "has no values|cannot be read"),
    "NaN": (lambda weights: weights[NAME].fill_(float("nan")), rf"holds NaN or infinite values \({NAME}\)"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_other_weights_are_refused(run, kind):
    change, message = WEIGHTS[kind]
    edit(run, lambda stored: change(stored["state_dict"]))
    for opening in (lambda: load(run, "last"), openings(run)[5]):
        with pytest.raises(UserError, match=message):
            opening()


def moment(stored):
    return stored["optimizer_states"][0]["state"][0]["exp_avg"]


PROGRESS = {
    "no loops": lambda stored: stored.pop("loops"),
    "a loop less": lambda stored: stored["loops"]["fit_loop"].popitem(),
    "a negative count": lambda stored: stored["loops"]["fit_loop"]["epoch_progress"]["total"].update(ready=-1),
    "an old version": lambda stored: stored.update({"pytorch-lightning_version": "0.0.1"}),
    "a scheduler": lambda stored: stored.update(lr_schedulers=[{}]),
    "other steps": lambda stored: stored.update(images_seen=48),
    "no optimizers": lambda stored: stored.pop("optimizer_states"),
    "one optimizer": lambda stored: stored["optimizer_states"].pop(),
    "other moments": lambda stored: stored["optimizer_states"][0]["state"][0].update(exp_avg=torch.zeros(10**6)),
    "broken moments": lambda stored: moment(stored).fill_(float("inf")),
    "no callbacks": lambda stored: stored.pop("callbacks"),
    "no values": lambda stored: stored["callbacks"]["Evaluate"]["history"][0].update(values={}),
    "values that are none": lambda stored: stored["callbacks"]["Evaluate"]["history"][0]["values"].update(modes=[]),
    "another history": lambda stored: stored["callbacks"]["Evaluate"].update(history=[{"values": 3}]),
}


@pytest.mark.parametrize("kind", PROGRESS)
def test_training_does_not_go_on_from_something_else(run, kind):
    edit(run, PROGRESS[kind])
    with pytest.raises(UserError, match=r"last\.ckpt cannot be resumed"):
        resume.resume(run, ["run.images=128"])


OPTIMIZERS = {
    **{name: {} for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "Adafactor", "ASGD")},
    **{f"{name} in another way": {"foreach": True} for name in ("Adam", "SGD", "RMSprop", "Rprop")},
    "Adam with everything": {"amsgrad": True, "weight_decay": 0.1, "fused": True, "betas": [0.0, 0.9]},
    "SGD with momentum": {"momentum": 0.9, "nesterov": True},
    "SGD": {},
    "RMSprop with everything": {"momentum": 0.9, "centered": True},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_is_refused_its_own_state(name, tmp_path):
    """After some steps, a change of the learning rate as `Anneal` makes it, and a parameter that is never used."""
    make = partial(getattr(torch.optim, name.split()[0]), lr=0.01, **OPTIMIZERS[name])
    weights = [torch.nn.Parameter(torch.randn(shape)) for shape in [(4, 3), (3,), (2, 2, 2), (5,)]]
    optimizer = make(weights)
    for _ in range(3):
        for weight in weights[:-1]:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.002
    torch.save(optimizer.state_dict(), tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    check_optimizer(make([torch.nn.Parameter(weight.detach()) for weight in weights]), state, 3)
    other = [torch.nn.Parameter(torch.cat([weight.detach(), weight.detach()])) for weight in weights]
    if state["state"] and name not in ("SGD in another way", "Adafactor"):
        with pytest.raises(ValueError, match="does not fit its weights"):
            check_optimizer(make(other), state, 3)


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true", "bf16-mixed"])
def test_weights_of_every_precision_are_known_as_such(run, precision):
    kinds = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}
    kind = kinds.get(precision, torch.float32)
    tamper(run, lambda config: config["trainer"].update(precision=precision))
    edit(run, lambda stored: stored["state_dict"].update({k: v.to(kind) for k, v in stored["state_dict"].items()}))
    load(run, "last")


def test_what_a_callback_remembers_is_tried_before_training(run):
    edit(run, lambda stored: stored["callbacks"].update(DivergenceGuard={"something": 3}))
    with pytest.raises(UserError, match=r"last\.ckpt cannot be resumed .it has no state that DivergenceGuard can load"):
        resume.resume(run, ["run.images=128"])


def test_a_wide_model_is_compared_before_it_takes_memory(run):
    """65,535 wide, 3 deep: 50 GB, if it were built."""
    tamper(run, lambda config: config["model"]["generator"].update(width=2**16 - 1, depth=3))
    with pytest.raises(UserError, match="holds another model"):
        load(run)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def unfolding(depth):
    """A list of a few lists that would unfold to 2^depth."""
    node = [1]
    for _ in range(depth):
        node = [node, node]
    return node


def endless():
    node = {}
    node["again"] = node
    return node


MANY = {
    "history": lambda stored: stored["callbacks"]["Evaluate"].update(history=unfolding(34)),
    "values": lambda stored: stored["callbacks"]["Evaluate"]["history"][0]["values"].update(modes=unfolding(34)),
    "progress": lambda stored: stored["loops"]["fit_loop"]["state_dict"].update(x=unfolding(34)),
    "settings": lambda stored: stored["optimizer_states"][0]["param_groups"][0].update(betas=unfolding(34)),
    "a circle": lambda stored: stored["loops"]["fit_loop"].update(state_dict=endless()),
    "a long history": lambda stored: stored["callbacks"]["Evaluate"].update(history=2**16 * [1]),
}


@pytest.mark.parametrize("kind", MANY)
def test_lists_that_unfold_to_more_than_memory_holds_are_refused_at_once(run, kind, monkeypatch):
    """An early version took 85 s and 7 GB for 20 kB."""
    monkeypatch.setattr("zerosum.runs.checkpoints.MOST_VALUES", 2**16)
    edit(run, MANY[kind])
    began = time.perf_counter()
    for opening in (lambda: load(run, "last"), openings(run)[5]):
        with pytest.raises(UserError, match=r"last\.ckpt cannot be read \(it holds more than 65,536 values"):
            opening()
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("images", [-1, True, 2**70, 1.0, None])
def test_images_seen_are_a_number_of_images(run, images):
    edit(run, lambda stored: stored.update(images_seen=images))
    with pytest.raises(UserError, match="images_seen is not a number of images"):
        load(run, "last")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named(finished_run, tmp_path, content):
    (tmp_path / "config.yaml").write_bytes((finished_run / "config.yaml").read_bytes())
    (tmp_path / "best.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"best.ckpt cannot be read .* damaged"):
        load(tmp_path)


def test_a_checkpoint_of_another_model_is_named(finished_run, tmp_path):
    config = (finished_run / "config.yaml").read_text().replace("base_channels: 8", "base_channels: 4")
    (tmp_path / "config.yaml").write_text(config)
    (tmp_path / "best.ckpt").write_bytes((finished_run / "best.ckpt").read_bytes())
    with pytest.raises(UserError, match="holds another model"):
        load(tmp_path)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        load(tmp_path)

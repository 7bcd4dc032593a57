"""Opening a run that someone else made runs none of their code and writes nowhere but into its folder."""

import os
import pickle
import re
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from zerosum.experiment.build import build
from zerosum.experiment.train import train
from zerosum.runs.load import load
from zerosum.runs.load import load_dataset
from zerosum.runs.load import load_protocol
from zerosum.commands.sample import sample
from zerosum.commands.evaluate import evaluate
from zerosum.runs import resume
from zerosum.runs.checkpoints import refuse_state
from zerosum.errors import UserError
from zerosum.training.loggers import CSVLogger
from zerosum.runs.trust import OWN, folders, check_trusted, check_trusted_target

SMALL = ("model.generator.width=8", "model.generator.depth=1", "model.discriminator.width=8")
OPTIONS = ("dataset=ring", "model=mlp", "protocol=points10k", "protocol.n_fake=32", "training.batch_size=16", "trainer=cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run: 64 images of a ring."""
    folder = tmp_path_factory.mktemp("made") / "run"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*OPTIONS, *SMALL, "run.images=64", "callbacks.samples.frames=1"])
    config.run = {"images": 64, "name": "test", "folder": str(folder)}
    train(OmegaConf.create(config))
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run that a test may tamper with, somewhere else."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.yaml", "last.ckpt", "best.ckpt"):
        (folder / name).write_bytes((made / name).read_bytes())
    return folder


def tamper(run, change):
    """The run's config with the change made."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def openings(run):
    """All that opens a run, each with more images to resume to."""
    return [
        lambda: load(run),
        lambda: load_dataset(run),
        lambda: load_protocol(run),
        lambda: sample(run, "last", 1, 0, None),
        lambda: evaluate(run, "last", "ema", {}),
        lambda: resume.resume(run, ["run.images=128"]),
    ]


def refused(run, message):
    for opening in openings(run):
        with pytest.raises(UserError, match=message):
            opening()


# Code


HOSTILE = [
    "os.system",
    "posix.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.run",
    "functools.partial",
    "hydra.utils.get_method",
    "hydra.utils.instantiate",
    "torch.load",
    "torch.hub.load",
    "torch.optim.adam.torch.load",
    "torch.optim.optimizer.torch",
    "zerosum.files.os.system",
    "zerosum.data.image_decoding.os.system",
    "zerosum.data.image_decoding.os",
    "zerosum.data.image_cache.write_cache",
    "zerosum.data.image_folder.Path",
    "zerosum.training.callbacks.checkpoint.Callback",
    "zerosum.evaluation.measurement.git",
    "zerosum.evaluation.measurement.subprocess.run",
    "zerosum.build.make",
    "zerosum.build.Experiment",
    "zerosum.training.loggers.WandbRun",
    "zerosum.training.loggers.logged_in",
    "zerosum.models.mlp.Generator.forward",
    "zerosum.models.mlp",
    "zerosum.models",
    "zerosum.models.",
    "zerosum.models..mlp.Generator",
    "zerosum.modelsX.Generator",
    "zerosum",
    "lightning.Trainer.fit",
    "lightning.Callback",
    "lightning.pytorch.callbacks.ModelCheckpoint",
    "lightning.pytorch.cli.LightningCLI",
    "__main__.Generator",
    "",
    "...",
]
NO_NAMES = [None, 3, ["os.system"], {"_target_": "os.system"}]
PLACES = ["loss", "model.generator", "dataset", "trainer", "callbacks.curves", "callbacks.new", "optimizer.generator"]


@pytest.mark.parametrize("target", [*HOSTILE, *NO_NAMES], ids=str)
def test_a_config_names_no_code_but_zerosums_own(target):
    with pytest.raises(UserError, match=r"the config of a run may name zerosum's own|cannot be imported"):
        check_trusted({"loss": {"_target_": target}})


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_target_is_refused_wherever_it_stands_and_never_called(run, place, tmp_path):
    def plant(config):
        *names, last = place.split(".")
        for name in names:
            config = config[name]
        config[last] = {"_target_": "os.system", "command": f"touch {tmp_path}/pwned"}

    tamper(run, plant)
    refused(run, rf"{place}\._target_=os\.system: the config of a run may name")
    assert not (tmp_path / "pwned").exists()


def test_a_target_deep_in_options_is_refused(run):
    tamper(run, lambda config: config["loss"].update(smooth=[{"deep": [{"_target_": "os.getcwd"}]}]))
    refused(run, r"loss\.smooth\[0\]\.deep\[0\]\._target_=os\.getcwd")


def test_nothing_is_imported_to_find_that_a_name_is_refused(run, tmp_path, monkeypatch):
    (tmp_path / "trojan.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    tamper(run, lambda config: config["loss"].update(_target_="trojan.Loss"))
    refused(run, r"if trojan is yours or you trust it, add trusted=\[trojan\]")
    assert "trojan" not in sys.modules


@pytest.mark.parametrize("key", ["_args_", "_convert_", "_recursive_", 5])
def test_options_are_named_and_plain(run, key):
    tamper(run, lambda config: config["logger"]["csv"].update({key: ["/elsewhere"]}))
    refused(run, rf"logger\.csv\.{key}: the config of a run")


def test_partial_is_yes_or_no(run):
    tamper(run, lambda config: config["loss"].update(_partial_="os.system"))
    refused(run, "_partial_")


def every_target(node):
    """Each `_target_` in the node."""
    own = [node["_target_"]] if isinstance(node, dict) and "_target_" in node else []
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    return own + [name for part in inner for name in every_target(part)]


def shipped():
    """Every class and function that a shipped config names, but for Hydra's own section."""
    paths = [path for path in sorted((ROOT / "conf").rglob("*.yaml")) if "hydra" not in path.parts]
    loaded = [OmegaConf.load(path) for path in paths]
    plain = [OmegaConf.to_container(config, resolve=False) for config in loaded]
    return {name for config in plain for key in ("hydra",) if config.pop(key, True) for name in every_target(config)}


def test_every_shipped_config_names_what_a_run_may():
    names = shipped()
    assert len(names) > 30
    for name in names:
        assert check_trusted_target(name, (), "x") is False


def test_whatever_a_run_may_name_that_writes_says_so_by_folder():
    """`refuse_elsewhere` knows the options that say where to write by their one name."""
    import inspect

    from hydra.utils import get_object

    for name in shipped():
        if name.startswith(("zerosum.training.callbacks.schedule", "zerosum.training.loggers")):
            options = set(inspect.signature(get_object(name)).parameters)
            assert not {option for option in options if re.search(r"path|file|dir|output", option)}, name
    assert [path for path, _ in folders({"logger": {"csv": {"folder": "x"}}})] == ["logger.csv.folder"]
    assert all(place.startswith(("zerosum.", "torch.optim", "lightning.Trainer")) for place in OWN)


# One's own classes


MY_MODEL = """
from zerosum.models import mlp

class Generator(mlp.Generator):
    def __init__(self, sample_shape, latent_dim=16, width=8, depth=1):
        super().__init__(sample_shape, latent_dim, width, depth)
        self.rates = [rate.item() for rate in __import__("torch").linspace(0, 1, depth)]
"""


@pytest.fixture
def mine(run, tmp_path, monkeypatch):
    """The run as made of a class of one's own."""
    (tmp_path / "my_models.py").write_text(MY_MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    tamper(run, lambda config: config["model"]["generator"].update(_target_="my_models.Generator"))
    yield run
    sys.modules.pop("my_models", None)


def test_ones_own_classes_are_opened_by_naming_their_package(mine):
    refused(mine, r"add trusted=\[my_models\]")
    for trusted in ("my_models", ["my_models"], ["my_models.Generator"]):
        assert type(load(mine, trusted=trusted).generator).__name__ == "Generator"
    assert "1 samples" in sample(mine, "last", 1, 0, None, "my_models")
    assert evaluate(mine, "last", "ema", {}, trusted=["my_models"])
    resume.resume(mine, ["run.images=128", "trusted=[my_models]"], ["my_models"])
    assert torch.load(mine / "last.ckpt", weights_only=True)["images_seen"] == 128


def test_a_run_cannot_declare_itself_trusted(mine):
    tamper(mine, lambda config: config.update(trusted=["my_models", "os"]))
    refused(mine, r"add trusted=\[my_models\]")


# Text


@pytest.mark.parametrize(
    "line",
    [
        "gamma: ${oc.env:SECRET}",
        'gamma: "$\\x7boc.env:SECRET}"',
        "gamma: ${seed}",
        "gamma: [{a: 'x${oc.env:SECRET}'}]",
        "? ${seed}\n: 1",
        "gamma: &a [1]\nobjective: *a",
        'objective: "a\\0b"',
        "objective: !!python/object/apply:os.system [touch pwned]",
        "objective: !!python/name:os.system",
        "objective: !unknown x",
        "objective: 2020-01-01\n",
        "objective: " + 5000 * "[",
        "objective: " + 5000 * "{a: ",
        "objective: " + 5000 * "9",
        "objective: " + 400 * "9",
        "gamma: .nan",
        "? [1]\n: 2",
        "gamma: 1\ngamma: 2",
        "objective: " + 300_000 * "x",
    ],
    ids=lambda line: line[:40],
)
def test_a_config_is_text_and_nothing_more(run, line, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "2.0")
    monkeypatch.chdir(tmp_path)
    kept = re.sub(r"(?m)^(gamma|objective):.*\n", "", (run / "config.yaml").read_text())
    (run / "config.yaml").write_text(f"{kept}{line}\n")
    if "2020" in line:  # a word like any other
        load(run)
        return
    refused(run, r"^\S*(config\.yaml cannot be read|objective|gamma)")
    assert not (tmp_path / "pwned").exists()


def test_billions_of_laughs_take_no_time(run):
    laughs = ["a0: &a0 [ha, ha]"] + [f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]" for n in range(1, 30)]
    (run / "config.yaml").write_text("\n".join([(run / "config.yaml").read_text(), *laughs]))
    refused(run, "stands for something else")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\xfa", b"[]", b"3", b"run: {}", b"run: {folder: 3}", b"run: {folder: ''}"]
)
def test_a_config_that_is_none_is_named(run, content):
    (run / "config.yaml").write_bytes(content)
    refused(run, r"config\.yaml cannot be read .*: it is damaged")


def test_messages_stay_on_one_line_and_steer_no_terminal(run):
    tamper(run, lambda config: config["loss"].update(_target_="os.\x1b]0;title\x07\nerror: fine"))
    with pytest.raises(UserError) as caught:
        load(run)
    assert str(caught.value).isprintable() and "\\x1b]0;" in str(caught.value)


# Places


@pytest.mark.parametrize("folder", ["/elsewhere", "..", "outputs", "run/../..", ["x"], None, 3, "\udce9"], ids=repr)
@pytest.mark.parametrize("owner", ["callbacks.checkpoint", "callbacks.evaluate", "callbacks.samples", "logger.csv"])
def test_training_writes_into_the_run_folder_alone(run, owner, folder):
    group, name = owner.split(".")
    tamper(run, lambda config: config[group][name].update(folder=folder))
    with pytest.raises(UserError, match=rf"{owner}\.folder=.* is not in .*where alone the run may write"):
        resume.resume(run, ["run.images=128"])


def test_the_person_who_resumes_may_choose_another_folder(run, tmp_path):
    tamper(run, lambda config: config["callbacks"]["checkpoint"].update(folder=str(tmp_path / "far")))
    resume.resume(run, ["run.images=128", f"callbacks.checkpoint.folder={tmp_path / 'far'}"])
    assert (tmp_path / "far" / "last.ckpt").exists()


def with_root(run, root):
    dataset = {"_target_": "zerosum.data.synthetic.Synthetic", "count": 8, "root": str(root)}
    tamper(run, lambda config: config.update(dataset=dataset))


@pytest.mark.parametrize("where", ["unknown", "its own"])
def test_caches_are_kept_where_they_have_been_and_never_taken_from_the_run(run, tmp_path, where):
    root = run / "data" if where == "its own" else tmp_path / "data"
    with_root(run, root)
    (run / "data" / "cache").mkdir(parents=True)
    for opening in (openings(run)[2], openings(run)[5]):
        with pytest.raises(UserError, match=rf"dataset\.root={root} .*say where your data is"):
            opening()
    assert not (tmp_path / "data").exists()


def test_a_root_is_known_by_its_cache_or_named_on_the_command_line(run, tmp_path, monkeypatch):
    from zerosum.runs.trust import refuse_root

    config = {"dataset": {"root": str(tmp_path / "data")}}
    refuse_root(config, run, {"dataset.root"})
    monkeypatch.chdir(tmp_path)
    refuse_root(config, run)
    monkeypatch.chdir("/etc")
    with pytest.raises(UserError, match="say where your data is"):
        refuse_root(config, run)
    (tmp_path / "data" / "cache").mkdir(parents=True)
    refuse_root(config, run)


def test_the_person_who_evaluates_says_where_the_data_is(run, tmp_path):
    with_root(run, tmp_path / "data")
    with pytest.raises(UserError, match="say where your data is"):
        load_protocol(run)
    with pytest.raises(UserError, match=r"modes"):  # past the root: these are pictures, not points
        load_protocol(run, root=str(tmp_path / "mine"))


@pytest.mark.parametrize("name", ["samples", "generated", "wandb"])
def test_a_link_to_a_folder_elsewhere_is_not_written_through(run, tmp_path, name):
    (tmp_path / "target").mkdir()
    (run / name).symlink_to(tmp_path / "target")
    refused(run, rf"{name} is a link to .*target, and a run writes into its own folder alone")
    assert not list((tmp_path / "target").iterdir())


def test_linked_files_are_read_and_replaced_but_not_written_through(run, tmp_path):
    """Checkpoints may lie on another disk; a new one takes the link's place."""
    targets = {}
    for name in ("last.ckpt", "best.ckpt", "metrics.csv", "metrics.json", "config.yaml", "training.gif"):
        content = (run / name).read_bytes() if (run / name).exists() else b"images,key\n0,secret\n"
        (tmp_path / name).write_bytes(content)
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / name)
        targets[name] = content
    partial = run / f".last.ckpt.{os.getpid()}.partial"
    partial.symlink_to(tmp_path / "last.ckpt")
    resume.resume(run, ["run.images=128"])
    for name, content in targets.items():
        assert (tmp_path / name).read_bytes() == content, name
    assert torch.load(run / "last.ckpt", weights_only=True)["images_seen"] == 128
    assert not (run / "last.ckpt").is_symlink() and not (run / "metrics.csv").is_symlink()


def test_the_log_is_not_written_through_a_link(tmp_path):
    from zerosum.commands.messages import LogFile

    (tmp_path / "startup").write_text("mine\n")
    (tmp_path / "console.log").symlink_to(tmp_path / "startup")
    handler = LogFile(str(tmp_path / "console.log"))
    handler.stream.write("theirs\n")
    handler.close()
    assert (tmp_path / "startup").read_text() == "mine\n"
    assert (tmp_path / "console.log").read_text() == "theirs\n"
    logging = OmegaConf.load(ROOT / "conf/hydra/job_logging/zerosum.yaml")
    assert logging.handlers.file["class"] == "zerosum.commands.messages.LogFile"


def test_resumed_curves_drop_the_rows_after_the_checkpoint_from_the_file_too(tmp_path):
    (tmp_path / "metrics.csv").write_text("images,loss\n16,1\n32,2\n48,3\n64,4\n")
    CSVLogger(str(tmp_path)).log_metrics({"images": 48, "loss": 5})
    assert (tmp_path / "metrics.csv").read_text().split() == ["images,loss", "16,1", "32,2", "48,5"]


def test_pictures_of_a_run_are_read_as_png_alone(tmp_path):
    """Pillow would hand a PostScript file to Ghostscript, whatever its name."""
    from PIL import Image

    from zerosum.training.callbacks.samples import film

    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    Image.new("L", (8, 8)).save(tmp_path / "3.png", "EPS")
    (tmp_path / "4.png").write_bytes(b"")
    film(sorted(tmp_path.glob("*.png")), tmp_path / "training.gif")
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.n_frames == 3


# Checkpoints


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


def edited(run, change):
    stored = torch.load(run / "last.ckpt", weights_only=True)
    change(stored)
    torch.save(stored, run / "last.ckpt")


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
    with pytest.raises(UserError, match="it is packed"):
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
    edited(run, lambda stored: change(stored["state_dict"]))
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
    edited(run, PROGRESS[kind])
    with pytest.raises(UserError, match=r"last\.ckpt cannot be gone on with"):
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
    refuse_state(make([torch.nn.Parameter(weight.detach()) for weight in weights]), state, 3)
    other = [torch.nn.Parameter(torch.cat([weight.detach(), weight.detach()])) for weight in weights]
    if state["state"] and name != "SGD in another way":
        with pytest.raises(ValueError, match="no moments of these weights"):
            refuse_state(make(other), state, 3)


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true", "bf16-mixed"])
def test_weights_of_every_precision_are_known_as_such(run, precision):
    kinds = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}
    kind = kinds.get(precision, torch.float32)
    tamper(run, lambda config: config["trainer"].update(precision=precision))
    edited(run, lambda stored: stored["state_dict"].update({k: v.to(kind) for k, v in stored["state_dict"].items()}))
    load(run, "last")


def test_what_a_callback_remembers_is_tried_before_training(run):
    edited(run, lambda stored: stored["callbacks"].update(DivergenceGuard={"something": 3}))
    with pytest.raises(UserError, match=r"last\.ckpt has no state that DivergenceGuard can go on with"):
        resume.resume(run, ["run.images=128"])


# Sizes


SIZED = ["width", "depth", "latent_dim"]


@pytest.mark.parametrize("size", [2**16, 10**9, 10**18, 10**40, -1, -(10**9)])
@pytest.mark.parametrize("place", [*(f"model.generator.{name}" for name in SIZED), "dataset.modes", "game.pack"])
def test_a_size_that_cannot_be_is_refused_at_once(run, place, size):
    def plant(config):
        *names, last = place.split(".")
        for name in names:
            config = config[name]
        config[last] = size

    tamper(run, plant)
    with pytest.raises(UserError):
        load(run)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, None, "x", [1]])
def test_a_seed_that_cannot_be_is_refused(run, seed):
    tamper(run, lambda config: config.update(seed=seed))
    with pytest.raises(UserError, match="seed"):
        load(run)


def test_a_wide_model_is_compared_before_it_takes_memory(run):
    """65,535 wide, 3 deep: 50 GB, if it were built."""
    tamper(run, lambda config: config["model"]["generator"].update(width=2**16 - 1, depth=3))
    with pytest.raises(UserError, match="holds another model"):
        load(run)


def test_a_run_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "none", Path("/dev/null"), Path("a\0b")):
        with pytest.raises(UserError, match="holds no run"):
            load(path)

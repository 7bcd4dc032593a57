"""Opening a run that someone else made runs none of their code and writes nowhere but into its folder."""

import inspect
import logging
import re
import sys
from importlib import import_module
from pkgutil import walk_packages

import pytest
import torch
from conftest import ROOT
from omegaconf import OmegaConf
from strangers import openings, refused, tamper

import zerosum
from zerosum.commands.evaluate import evaluate
from zerosum.commands.messages import command
from zerosum.commands.sample import Asked, sample
from zerosum.errors import UserError
from zerosum.runs import resume
from zerosum.runs.load import load, load_dataset, load_protocol
from zerosum.runs.trust import ALLOWED, SEVERAL_MACHINES, check_trusted, check_trusted_target, refuse_root

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
    for group in ALLOWED:
        with pytest.raises(UserError, match=r"the config of a run may name only|cannot be imported"):
            check_trusted({group: {"x": {"_target_": target}}})


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
    refused(run, rf"logger\.csv\.{key}: the (config of a run|keys of a run's config)")


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
    assert len(shipped()) > 30
    for name in shipped():
        groups = [group for group in ALLOWED if is_allowed(name, group)]
        assert groups, name


def is_allowed(name, group):
    try:
        return check_trusted_target(name, (), f"{group}.x._target_") is False
    except UserError:
        return False


def everything():
    """Every class and function in zerosum, by the name of the module that defines it."""
    for module in walk_packages(zerosum.__path__, "zerosum."):
        for name, found in vars(import_module(module.name)).items():
            if inspect.isclass(found) or inspect.isfunction(found):
                yield f"{module.name}.{name}", found


FUNCTIONS = (
    *("zerosum.training.loggers.wandb_logger", "zerosum.report.run_report.write_run_report"),
    *("zerosum.gan.labels.conditions.conditions_of_data", "zerosum.models.conditioning.condition_batch_norms"),
    "zerosum.models.conditioning.build_for_images",
)
WRITES = re.compile(r"path|file|folder|dir|output|root|url|host|project|command|mode$")


def test_nothing_that_a_run_may_name_has_effects_outside_of_its_group():
    """The options by which a class could read or write elsewhere are known, and each is checked by its name."""
    effects = set()
    for name, found in everything():
        for group in (group for group in ALLOWED if is_allowed(name, group)):
            options = {option for option in inspect.signature(found).parameters if WRITES.search(option)}
            effects |= {(group, found.__name__, option) for option in options}
            assert inspect.isclass(found) or name in FUNCTIONS, name
    written = {(group, option) for group, _, option in effects if group in ("callbacks", "logger")}
    assert written == {("callbacks", "folder"), ("logger", "folder"), ("logger", "project"), ("logger", "mode")}
    read = {effect for effect in effects if effect[0] not in ("callbacks", "logger") and effect[2] != "root"}
    # ImageFile is a row of a list; the others read the images of the place that they are given.
    assert read == {
        ("dataset", "Npz", "path"),
        ("dataset", "HuggingFace", "path"),
        ("dataset", "StoredImages", "path"),
        ("dataset", "ImageFolder", "path"),
        ("dataset", "AttributeFile", "path"),
        ("dataset", "ImageFile", "folder"),
        ("dataset", "ImageFile", "mode"),
    }
    assert all(
        place.startswith(("zerosum.", "torch.optim", "lightning.Trainer"))
        for each in ALLOWED.values()
        for place in each
    )


@pytest.mark.parametrize("group", [group for group in ALLOWED if group != "logger"])
def test_wandb_is_started_by_a_logger_alone(run, group, tmp_path, monkeypatch):
    """An early version called W&B's server with the reader's key when a dataset of that name was opened."""
    monkeypatch.setattr("zerosum.training.wandb_logger.start", lambda *arguments: pytest.fail("started"))
    elsewhere = {"_target_": "zerosum.training.loggers.wandb_logger", "folder": str(tmp_path / "far"), "mode": "online"}
    tamper(run, lambda config: config.update({group: elsewhere}))
    refused(run, rf"{group}\._target_=zerosum\.training\.loggers\.wandb_logger: the config of a run may name")
    tamper(run, lambda config: config.update({group: {"x": elsewhere}}))
    refused(run, rf"{group}\.x\._target_=zerosum\.training\.loggers\.wandb_logger")
    assert not (tmp_path / "far").exists()


def test_the_logger_of_a_resumed_run_stays_offline_unless_it_is_named(run, monkeypatch, caplog):
    logger = {"_target_": "zerosum.training.loggers.wandb_logger", "folder": str(run), "mode": "online"}
    tamper(run, lambda config: config["logger"].update(wandb=logger))
    for overrides, mode in (
        (["run.images=128"], "offline"),
        (["logger.csv.folder=" + str(run)], "offline"),
        (["logger.wandb.project=mine"], "online"),
        (["logger.wandb.mode=online"], "online"),
    ):
        assert resume.configure(run, overrides)["logger"]["wandb"]["mode"] == mode
    assert "add logger.wandb.mode=online" in caplog.text
    nested = {"_target_": "zerosum.training.loggers.CSVLogger", "folder": logger}
    tamper(run, lambda config: config["logger"].update(csv=nested))
    with pytest.raises(UserError, match=r"logger\.csv\.folder"):
        resume.configure(run, [])


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
    assert "1 samples" in sample(mine, "last", Asked(1, 0), None, "my_models")
    assert evaluate(mine, "last", "ema", {}, trusted=["my_models"])
    resume.resume(mine, ["run.images=128", "trusted=[my_models]"], ["my_models"])
    assert torch.load(mine / "last.ckpt", weights_only=True)["images_seen"] == 128


def test_a_run_cannot_declare_itself_trusted(mine):
    tamper(mine, lambda config: config.update(trusted=["my_models", "os"]))
    refused(mine, r"add trusted=\[my_models\]")


# Places


@pytest.mark.parametrize("folder", ["/elsewhere", "..", "outputs", "run/../..", ["x"], None, 3, "\udce9"], ids=repr)
@pytest.mark.parametrize("owner", ["callbacks.checkpoint", "callbacks.evaluate", "callbacks.samples", "logger.csv"])
def test_training_writes_into_the_run_folder_alone(run, owner, folder):
    group, name = owner.split(".")
    tamper(run, lambda config: config[group][name].update(folder=folder))
    with pytest.raises(
        UserError, match=rf"{owner}\.folder=.* is not in .*and a run may write into its own folder alone"
    ):
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
    with pytest.raises(UserError, match="needs a known distribution"):  # past the root
        load_protocol(run, root=str(tmp_path / "mine"))


# Lines


def test_lines_of_the_log_steer_no_terminal(caplog, monkeypatch):
    """Names in a run's files reach the log: of runs, of metrics."""
    monkeypatch.setattr("zerosum.commands.messages.prepare_threads", lambda: None)
    name = "mine\x1b]0;owned\x07\nDone: forged"
    command(lambda: logging.getLogger("zerosum").warning("%s is finished", name))()
    (record,) = caplog.records
    assert record.getMessage() == "mine\\x1b]0;owned\\x07\\nDone: forged is finished"


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
        load_dataset(run) if place.startswith("dataset") else load(run)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, None, "x", [1]])
def test_a_seed_that_cannot_be_is_refused(run, seed):
    tamper(run, lambda config: config.update(seed=seed))
    with pytest.raises(UserError, match="seed"):
        load(run)


NUMBERS = {
    "callbacks.samples.count": 10**10,
    "callbacks.samples.frames": 10**9,
    "game.unroll": 10**9,
    "game.critic_steps": 10**6,
    "training.batch_size": 10**9,
    "protocol.n_fake": 10**11,
    "trainer.num_nodes": 2**40,
    "trainer.devices": 2**40,
    "dataset.modes": 10**9,
}


@pytest.mark.parametrize("place", NUMBERS)
def test_numbers_that_would_take_all_time_or_memory_are_refused_at_once(run, place):
    def plant(config):
        *names, last = place.split(".")
        for name in names:
            config = config[name]
        config[last] = NUMBERS[place]

    tamper(run, plant)
    refused(run, rf"{place} must be less than")


@pytest.mark.parametrize(("option", "advice"), [("num_nodes", "add trainer.num_nodes=1"), ("devices", "or fewer")])
def test_a_run_does_not_start_processes_for_which_there_is_no_machine(run, monkeypatch, option, advice):
    """`trainer.num_nodes=2` waited for the other node for ever."""
    for name in SEVERAL_MACHINES:
        monkeypatch.delenv(name, raising=False)
    tamper(run, lambda config: config["trainer"].update({option: 1000}))
    with pytest.raises(UserError, match=rf"trainer\.{option}=1000: .*{advice}"):
        resume.resume(run, ["run.images=128"])
    assert resume.configure(run, [f"trainer.{option}=1"])["trainer"][option] == 1

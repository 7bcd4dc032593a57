"""A run's folder is read as text and through no link, whoever made it."""

import os
import re
import subprocess
import sys
from logging import LogRecord
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from omegaconf import OmegaConf
from strangers import refused, tamper

from zerosum.commands.messages import LogFile
from zerosum.errors import UserError
from zerosum.runs import folder, resume
from zerosum.runs.load import load


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
    refused(run, "refers to something else")


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
    (tmp_path / "startup").write_text("mine\n")
    (tmp_path / "console.log").symlink_to(tmp_path / "startup")
    handler = LogFile(str(tmp_path / "console.log"))
    handler.emit(LogRecord("zerosum", 40, "", 0, "theirs", None, None))
    handler.close()
    assert (tmp_path / "startup").read_text() == "mine\n"
    assert (tmp_path / "console.log").read_text() == "theirs\n"
    logging = OmegaConf.load(ROOT / "conf/hydra/job_logging/zerosum.yaml")
    assert logging.handlers.file["class"] == "zerosum.commands.messages.LogFile"


def test_a_run_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "none", Path("/dev/null"), Path("a\0b")):
        with pytest.raises(UserError, match="holds no run"):
            load(path)


@pytest.fixture
def made_here(monkeypatch, tmp_path):
    """An empty working directory; nothing is remembered from other tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "MADE", {})


def test_a_folder_with_nothing_but_its_log_is_removed_and_so_are_the_parents_made_with_it(made_here):
    Path("before").mkdir()
    name = folder.make_folder("before/a/b/run")
    Path(name, "console.log").write_text("ERROR\n")
    Path(name, ".lock").touch()
    assert folder.remove_made() == [Path(name).absolute()]
    assert [path.name for path in Path().rglob("*")] == ["before"]
    assert folder.remove_made() == []


@pytest.mark.parametrize("other", ["config.yaml", "metrics.csv", "samples/0.png", "console.log/file"])
def test_a_folder_that_holds_anything_else_stays_whole(made_here, other):
    folder.make_folder("run")
    Path("run", ".lock").touch()
    Path("run", other).parent.mkdir(exist_ok=True)
    Path("run", other).touch()
    assert folder.remove_made() == []
    assert Path("run", other).exists() and Path("run/.lock").exists()


@pytest.mark.parametrize("kept", [[], ["output.log"]])
def test_a_folder_that_was_there_and_empty_is_empty_again(made_here, kept):
    Path("run").mkdir()
    for name in kept:
        Path("run", name).touch()
    with pytest.raises(FileExistsError):
        folder.make(Path("run").absolute())
    for name in ("console.log", ".lock"):
        Path("run", name).touch()
    assert folder.remove_made() == [Path("run").absolute()]
    assert [path.name for path in Path("run").iterdir()] == kept


def test_a_folder_in_which_another_process_trains_stays(made_here):
    folder.make_folder("run")
    Path("run/console.log").touch()
    script = "import time; from pathlib import Path; from zerosum.training.lock import hold\n"
    script += "with hold(Path('run')):\n    print('held', flush=True)\n    time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    assert folder.remove_made() == [] and Path("run/console.log").exists()
    other.kill()
    other.wait()


def test_a_folder_that_was_there_before_stays(made_here):
    Path("run").mkdir()
    Path("run/console.log").touch()
    with pytest.raises(FileExistsError):
        folder.make(Path("run").absolute())
    assert folder.remove_made() == [] and Path("run/console.log").exists()


def test_parents_that_others_use_by_now_stay(made_here):
    folder.make_folder("outputs/first")
    Path("outputs/second").mkdir()
    folder.remove_made()
    assert [path.name for path in Path("outputs").iterdir()] == ["second"]


def test_a_further_process_of_a_run_removes_nothing(made_here, monkeypatch):
    folder.make_folder("run")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert folder.remove_made() == [] and Path("run").exists()


def test_the_log_is_made_by_its_first_message(tmp_path):
    handler = LogFile(str(tmp_path / "console.log"))
    assert not (tmp_path / "console.log").exists()
    handler.emit(LogRecord("zerosum", 40, "", 0, "first", None, None))
    handler.close()
    assert (tmp_path / "console.log").read_text() == "first\n"

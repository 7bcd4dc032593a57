"""Continuing a run: from which checkpoint, with which config, and never twice at once."""

import shutil

import pytest
import torch

from zerosum.commands.messages import run_folder
from zerosum.errors import UserError
from zerosum.experiment.train import Outcome
from zerosum.runs import resume
from zerosum.runs.folder import make_folder


def test_resuming_a_finished_run_says_so(finished_run):
    with pytest.raises(UserError, match="is finished: it has seen 320 of 320 images"):
        resume.resume(finished_run, ["resume=x"])


def test_resuming_lists_what_differs_and_refuses(finished_run, tiny):
    overrides = ["loss=minimax", "optimizer.lr=0.5", "training.batch_size=16"]
    composed_again = tiny(*overrides, "run.images=640")
    with pytest.raises(UserError) as refusal:
        resume.configure(finished_run, ["resume=x", *overrides, "run.images=640"], (), composed_again)
    message = str(refusal.value)
    assert "loss._target_=zerosum.gan.losses.Minimax instead of zerosum.gan.losses.NonSaturating" in message
    assert "optimizer.lr=0.5 instead of 0.0002" in message
    assert "resume_force=true" in message and "batch_size" not in message


def test_resuming_with_force_takes_the_new_config(finished_run, tiny):
    overrides = ["loss=minimax", "run.images=640"]
    typed = resume.configure(finished_run, overrides, (), tiny(*overrides), force=True)
    assert typed["loss"]["_target_"].endswith("Minimax") and typed["run"]["images"] == 640


def test_a_preset_is_compared_as_a_whole(finished_run, tiny):
    with pytest.raises(UserError, match=r"regularizer\.r2\.weight=1\.0 instead of None"):
        resume.configure(finished_run, ["experiment=digits"], (), tiny("regularizer=r2"))
    longer = ["experiment=digits", "++run.images=640"]
    typed = resume.configure(finished_run, longer, (), tiny("run.images=640"), force=True)
    assert typed["run"]["images"] == 640, "typed beside it"


@pytest.fixture
def copied(finished_run, tmp_path):
    """The finished run's folder, to be damaged."""
    copy = tmp_path / "copy"
    shutil.copytree(finished_run, copy)
    return copy


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_from_a_damaged_last_checkpoint_the_one_before_it_is_used(copied, damage, caplog):
    last, previous = copied / "last.ckpt", copied / "previous.ckpt"
    shutil.copy(last, previous)
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    if damage == "gone":
        last.unlink()
    typed = resume.configure(copied, ["run.images=640", f"dataset.root={copied.parent / 'data'}"])
    assert resume.prepare(typed, copied, ()) == (320, 640)
    assert f"Continuing from {previous}, at 320 images" in caplog.text
    assert resume.put_in_place(copied) == previous
    assert (copied / "damaged.ckpt").exists() == (damage == "cut")
    assert not last.exists() and previous.read_bytes() == whole


def test_a_run_is_not_overwritten_but_a_failed_start_may_be(finished_run, tmp_path):
    with pytest.raises(UserError, match=r"already holds a run: continue it with resume="):
        resume.refuse_to_overwrite(finished_run)
    (tmp_path / "config.yaml").write_bytes((finished_run / "config.yaml").read_bytes())
    resume.refuse_to_overwrite(tmp_path)


def test_of_a_run_without_a_checkpoint_both_messages_lead_to_one_that_starts_it(copied, tiny, monkeypatch):
    """`resume=` says to start it again by resume=auto, and so does the command that made it."""
    for name in ("last.ckpt", "previous.ckpt", "best.ckpt"):
        (copied / name).unlink(missing_ok=True)
    with pytest.raises(UserError, match=rf"its own options, hydra\.run\.dir={copied} and resume=auto"):
        resume.resume(copied, ["run.images=640", f"dataset.root={copied.parent / 'data'}"])
    with pytest.raises(UserError, match="start it again by adding resume=auto"):
        resume.refuse_to_overwrite(copied)
    monkeypatch.setattr(resume, "train", lambda typed, checkpoint=None: Outcome(None, 7))
    assert resume.start_or_resume(tiny("resume=auto", f"run.folder={copied}")).stopped_by == 7


def test_a_missing_best_checkpoint_points_to_the_others(copied):
    from zerosum.runs.load import load

    (copied / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"there is no .*best\.ckpt: choose checkpoint=last or previous"):
        load(copied)


@pytest.fixture
def auto(copied, composed):
    """The config of the finished run's command with resume=auto, and its Python call."""
    from conftest import TINY

    options = ["run.images=320", "callbacks.evaluate.every=160", "callbacks.curves.every=80", "resume=auto"]
    return lambda *further: composed(*TINY, *options, f"run.folder={copied}", *further)


def test_a_finished_run_is_left_alone_and_its_objective_is_known(auto, monkeypatch):
    monkeypatch.setattr(resume, "train", lambda *arguments: pytest.fail("trained again"))
    evaluate = resume.start_or_resume(auto()).evaluate
    assert evaluate.objective("fid") == min(measurement.values["fid"] for measurement in evaluate.history)


def test_another_command_is_refused_and_a_larger_budget_is_not(auto, monkeypatch):
    monkeypatch.setattr(resume, "train", lambda config, checkpoint: (config["run"]["images"], checkpoint.name))
    with pytest.raises(UserError, match=r"holds a run with loss._target_=.*NonSaturating, not .*Minimax"):
        resume.start_or_resume(auto("run.images=640", "loss=minimax"))
    assert resume.start_or_resume(auto("run.images=640")) == (640, "last.ckpt")


@pytest.mark.parametrize("change", [{"has_varied": None}, {}, 3], ids=str)
def test_a_damaged_state_of_a_callback_is_a_sentence_with_resume_auto_too(auto, copied, change):
    stored = torch.load(copied / "last.ckpt", weights_only=True)
    stored["callbacks"]["Evaluate"] = {"history": change}
    torch.save(stored, copied / "last.ckpt")
    with pytest.raises(UserError, match="has no state that Evaluate can load"):
        resume.start_or_resume(auto("run.images=640"))


def test_the_folder_of_resume_auto_does_not_depend_on_the_time():
    assert run_folder("auto", "mine") == "outputs/mine"
    assert run_folder("outputs/there", "mine") == "outputs/there"


def test_two_runs_that_start_in_one_second_have_folders_of_their_own(tmp_path):
    name = str(tmp_path / "outputs" / "now_ring")
    assert [make_folder(name) for _ in range(3)] == [name, f"{name}-2", f"{name}-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is a file: choose another"):
        make_folder(str(tmp_path / "file" / "now"))

"""The checkpoints that training writes."""

import pytest
import torch
from lightning import Callback

from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.training.callbacks.checkpoint import BEST_OF_LAST, Checkpoint, save


def images_of(path):
    return torch.load(path, weights_only=True)["images_seen"]


def test_the_folder_holds_all_that_was_promised(finished_run):
    names = {path.name for path in finished_run.iterdir()}
    assert names >= {"config.yaml", "metrics.csv", "metrics.json", "last.ckpt", "best.ckpt", "samples", "training.gif"}
    assert not [name for name in names if "partial" in name or name == BEST_OF_LAST]


def test_checkpoints_open_without_running_code_and_hold_no_metric_network(finished_run):
    stored = torch.load(finished_run / "last.ckpt", weights_only=True)
    assert stored["images_seen"] == 320
    assert {name.split(".")[0] for name in stored["state_dict"]} == {"generator", "discriminator", "ema"}


def test_two_checkpoints_are_kept_and_none_of_broken_weights(tiny, tmp_path, caplog):
    trained = tmp_path / "run"
    train(tiny("run.images=64", "callbacks.checkpoint.every=32", "~callbacks.evaluate"))
    assert [images_of(trained / f"{name}.ckpt") for name in ("previous", "last")] == [32, 64]
    before = (trained / "last.ckpt").read_bytes()
    built = build(validate(tiny("run.images=64")))
    with torch.no_grad():
        next(built.module.generator.parameters()).fill_(float("nan"))
    Checkpoint(str(trained)).save_last(built.trainer, built.module)
    assert (trained / "last.ckpt").read_bytes() == before
    assert "no checkpoint of them is saved" in caplog.text


class Look(Callback):
    """Notes the images seen of last.ckpt before each step and at the end of training, before other callbacks."""

    seen: list[int | None] = []  # noqa: RUF012

    def note(self, trainer):
        path = f"{trainer.default_root_dir}/last.ckpt"
        try:
            Look.seen.append(images_of(path))
        except FileNotFoundError:
            Look.seen.append(None)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.note(trainer)

    def on_train_end(self, trainer, pl_module):
        self.note(trainer)


def test_the_first_checkpoint_comes_after_the_first_step_and_the_last_after_everything_else(tiny, tmp_path):
    """`every` divides the budget: a checkpoint in the last step would call a run finished that is not measured yet."""
    typed = validate(tiny("run.images=64", "callbacks.checkpoint.every=32", "callbacks.evaluate.every=1000"))
    checkpoint = typed["callbacks"].pop("checkpoint")
    typed["callbacks"] |= {"look": {"_target_": f"{__name__}.Look"}, "checkpoint": checkpoint}
    Look.seen = []
    train(typed)
    assert Look.seen == [None, 16, 32, 32, 32]
    assert images_of(tmp_path / "run" / "last.ckpt") == 64
    assert (tmp_path / "run" / "training.gif").exists()


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path):
    class Trainer:
        is_global_zero = True

        def save_checkpoint(self, path):
            path.write_text("half")
            raise OSError(28, "No space left on device")

    (tmp_path / "last.ckpt").write_text("good")
    with pytest.raises(UserError, match="could not be written"):
        save(Trainer(), tmp_path / "last.ckpt")
    assert (tmp_path / "last.ckpt").read_text() == "good"

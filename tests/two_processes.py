"""What test_combinations.py starts twice: every loss with every regularizer, three steps, equal weights in both."""

import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from test_combinations import LOSSES, QUICK, REGULARIZERS, SILENT

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.process import silence_libraries

ROOT = Path(__file__).parents[1]
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "run.name=two", "training.batch_size=16", "run.images=48")


def weights_of(loss: str, regularizer: str, folder: str) -> torch.Tensor:
    """All parameters of both players after three steps."""
    options = [option for option in QUICK if option.split("=")[0] not in ("trainer", "training.batch_size", "run.images")]
    overrides = [*options, *SILENT, *DDP, f"loss={loss}", f"regularizer={regularizer}", f"run.folder={folder}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides)
    built = build(validate(config))
    silence_libraries()
    built.trainer.fit(built.module, datamodule=built.data)
    assert built.trainer.world_size == 2 and built.module.images_seen == 48
    return torch.nn.utils.parameters_to_vector(built.module.parameters()).detach()


def main(folder: str) -> None:
    """One line for each pair."""
    torch.set_num_threads(1)
    for loss in LOSSES:
        for regularizer in REGULARIZERS:
            own = weights_of(loss, regularizer, folder)
            lowest, highest = own.clone(), own.clone()
            torch.distributed.all_reduce(lowest, torch.distributed.ReduceOp.MIN)
            torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX)
            assert own.isfinite().all() and torch.equal(lowest, highest), f"{loss} with {regularizer}"
            print("equal:", loss, regularizer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

"""Started twice by test_combinations.py: every loss with every regularizer, and the cases that equal one process."""

import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from test_combinations import AS_ONE, EPS, LOSSES, QUICK, REGULARIZERS, SILENT

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.process import silence_libraries

ROOT = Path(__file__).parents[1]
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "run.name=two", "training.batch_size=16")


def train_weights(folder: str, images: int, *options: str) -> torch.Tensor:
    """All parameters of both players after `images` images."""
    kept = [option for option in QUICK if option.split("=")[0] not in ("trainer", "training.batch_size", "run.images")]
    overrides = [*kept, *SILENT, *DDP, *options, f"run.images={images}", f"run.folder={folder}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*overrides, f"dataset.root={folder}/data"])
    built = build(validate(config))
    silence_libraries()
    built.trainer.fit(built.module, datamodule=built.data)
    assert built.trainer.world_size == 2 and built.module.images_seen == images
    return torch.nn.utils.parameters_to_vector(built.module.parameters()).detach()


def main(folder: str) -> None:
    """One line for each pair whose weights are equal in both processes, and a file for each case of AS_ONE."""
    torch.set_num_threads(1)
    for loss in LOSSES:
        for regularizer in REGULARIZERS:
            own = train_weights(folder, 48, f"loss={loss}", f"regularizer={regularizer}")
            lowest, highest = own.clone(), own.clone()
            torch.distributed.all_reduce(lowest, torch.distributed.ReduceOp.MIN)
            torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX)
            assert own.isfinite().all() and torch.equal(lowest, highest), f"{loss} with {regularizer}"
            print("equal:", loss, regularizer, flush=True)
    for name, options in AS_ONE.items():
        weights = train_weights(folder, 96, *options, *EPS)
        if torch.distributed.get_rank() == 0:
            torch.save(weights, Path(folder) / f"{name}.pt")


if __name__ == "__main__":
    main(sys.argv[1])

"""Started twice by test_families_trained.py: trains each family of AS_ONE and keeps its weights."""

import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from test_families_trained import AS_ONE, BUDGET, EPS, SILENT, floats

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.training.process import silence_libraries

ROOT = Path(__file__).parents[1]
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "run.name=two", "run.images=64")


def main(folder: str) -> None:
    """Keep the weights of each family, as rank 0 has them."""
    torch.set_num_threads(1)
    silence_libraries()
    for name, options in AS_ONE.items():
        overrides = [*options, *BUDGET[1:], *SILENT, *EPS[name], *DDP, f"run.folder={folder}"]
        overrides += [] if name == "wavenet" else [f"dataset.root={folder}/data"]
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            built = build(validate(compose("config", overrides)))
        built.trainer.fit(built.module, datamodule=built.data)
        assert built.trainer.world_size == 2 and built.module.images_seen == 64
        if torch.distributed.get_rank() == 0:
            torch.save(floats(built.module), Path(folder) / f"{name}.pt")


if __name__ == "__main__":
    main(sys.argv[1])

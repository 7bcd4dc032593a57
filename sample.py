"""Pictures from a trained generator: python sample.py run=outputs/<run> count=64 seed=0"""

import os
from pathlib import Path

import hydra
from omegaconf import DictConfig

from zerosum.commands.messages import explained

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path="conf", config_name="sample")
def main(config: DictConfig) -> None:
    """Write `count` pictures, of seeds `seed`, `seed` + 1, ..., one file each and a grid."""
    from zerosum.commands.sample import sample

    with explained(CONF):
        what = config.checkpoint, config.count, config.seed, config.output
        print(sample(Path(config.run), *what, config.trusted))


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive at `explained`
    with explained(CONF):
        main()

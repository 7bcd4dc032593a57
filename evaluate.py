"""Measure a trained generator again: python evaluate.py run=outputs/<run>"""

import os
from pathlib import Path

import hydra
from omegaconf import DictConfig

from zerosum.messages import explained

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    """Print the values and write them, with all that they were measured by, beside the checkpoint."""
    from zerosum import measuring

    with explained(CONF):
        print(measuring.write(Path(config.run), config.checkpoint))


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive at `explained`
    with explained(CONF):
        main()

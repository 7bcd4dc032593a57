"""Measure a trained generator again: python evaluate.py run=outputs/<run>"""

import os
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from zerosum.commands.messages import explained

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    """Print the values and write them, with all that they were measured by, beside the checkpoint."""
    from zerosum.commands.evaluate import evaluate

    with explained(CONF):
        parts = {name: config.get(name) for name in ("protocol", "features", "metrics")}
        choices = {name: node and OmegaConf.to_container(node, resolve=False) for name, node in parts.items()}
        where = Path(config.run), config.checkpoint, config.weights
        print(evaluate(*where, choices, config.dataset.root, config.trusted))


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive at `explained`
    with explained(CONF):
        main()

"""Train a GAN: python train.py model=dcgan loss=nonsat. Options: python train.py --help"""

import os
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from zerosum.messages import explained, run_folder

OmegaConf.register_new_resolver("run_folder", run_folder)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float | None:
    """Train, or go on with `resume`; returns the value that `objective` names, for sweepers."""
    from zerosum import resuming
    from zerosum.experiment import train

    if config.resume is not None:
        evaluate = resuming.resume(Path(config.resume), list(hydra.core.hydra_config.HydraConfig.get().overrides.task))
    else:
        resuming.refuse_to_overwrite(Path(config.run.folder))
        evaluate = train(config)
    return evaluate.objective(config.objective) if evaluate is not None and config.objective else None


if __name__ == "__main__":
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors arrive at `explained`
    with explained():
        main()

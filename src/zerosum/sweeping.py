"""What the jobs of a sweep cannot do within the process that sweeps."""

import os

from omegaconf import DictConfig

from zerosum.errors import UserError


def refuse_processes(trainer: DictConfig) -> None:
    """A UserError where a job would start more processes.

    Lightning starts them with the command line of the first, here that of the whole sweep: each would sweep anew, and
    under Optuna train by other numbers. SLURM starts all of a job's processes itself.
    """
    alone = trainer.get("devices", 1) == 1 and trainer.get("num_nodes", 1) == 1
    if not alone and int(os.environ.get("SLURM_NTASKS", 1)) == 1:
        raise UserError(
            f"trainer.devices={trainer.get('devices')} in a sweep: add hydra/launcher=process, by which each job is a"
            " program of its own that may start more"
        )

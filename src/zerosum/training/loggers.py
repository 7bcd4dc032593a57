"""The loggers that a config may name."""

from zerosum.training.csv_logger import CSVLogger
from zerosum.training.tensorboard_logger import TensorBoardLogger
from zerosum.training.wandb_logger import wandb_logger

__all__ = ["CSVLogger", "TensorBoardLogger", "wandb_logger"]

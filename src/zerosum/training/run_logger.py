"""The base class of the loggers that write into a run's folder."""

from typing import Any, ClassVar

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from zerosum.training.clock import Clock


class RunLogger(Logger):
    """Logs one run and knows how many images it has seen at each step."""

    kind: ClassVar[str]
    """The name that Lightning shows"""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()

    @property
    def name(self) -> str:
        """The name that Lightning shows."""
        return self.kind

    @property
    def version(self) -> str:
        """Always empty, because a run has one version."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *arguments: Any, **named: Any) -> None:
        """Keep how many images a step has; config.yaml has the rest."""
        self.clock.set(params)

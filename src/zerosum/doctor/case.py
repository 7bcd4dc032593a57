"""What the doctor knows of a run: its history, what the main metric could reach, and how it is trained."""

from dataclasses import dataclass, field

from zerosum.doctor.history import History, Point


@dataclass(frozen=True)
class Settings:
    """The settings that advice depends on; a model that is no GAN has no loss and one optimizer."""

    loss: str = ""
    """Name of the class"""
    regularizers: dict[str, float] = field(default_factory=dict)
    """Weights by name"""
    learning_rates: dict[str, float] = field(default_factory=dict)
    """At the start, by optimizer"""
    momentum: float = 0.0
    """The greatest beta1 of the optimizers of the kind of Adam"""
    critic_steps: int = 1
    pack: int = 1
    augment: str = ""
    """Name of the class; empty without"""
    has_batch_norm: bool = False
    """In D"""
    has_images: bool = True
    """Not points"""


@dataclass(frozen=True)
class Case:
    """A run under examination."""

    history: History
    metric: str | None = None
    """The value that chooses the best checkpoint; None if nothing is measured"""
    lower_is_better: bool = True
    floor: float | None = None
    """That value of real data in place of the samples"""
    settings: Settings = Settings()
    budget: int = 0
    """Images of the whole run"""

    @property
    def quality(self) -> list[Point]:
        """Images seen and the metric."""
        return self.history.curves.get(f"quality/{self.metric}", [])

    @property
    def progress(self) -> list[float]:
        """How far the metric has come from the untrained model's value, 0, to the floor, 1.

        Without a floor, a metric that falls is taken to reach 0, one that rises to reach its own best.
        """
        values = [value for _, value in self.quality]
        if not values:
            return []
        end = self.floor if self.floor is not None else 0.0 if self.lower_is_better else max(values)
        distance = end - values[0]
        return [(value - values[0]) / distance if distance else 1.0 for value in values]

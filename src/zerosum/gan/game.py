"""The rules of the two players: checked before torch is imported, so that a mistyped value is answered at once."""

from dataclasses import dataclass

from zerosum.errors import UserError
from zerosum.training.settings import TrainingSettings


@dataclass(frozen=True)
class Game:
    """The rules of the two players.

    `critic_steps` is Algorithm 1's k, the steps of D for each step of G. `pack` is how many samples D sees as one
    (PacGAN, Lin et al. 2018). `unroll` is how many steps of D the generator looks ahead (Metz et al. 2017).
    `generator_steps` is how many updates G takes against the same D: many exchange the max and the min of the game.
    """

    critic_steps: int = 1
    pack: int = 1
    unroll: int = 0
    generator_steps: int = 1

    def __post_init__(self) -> None:
        for name, smallest in (("critic_steps", 1), ("pack", 1), ("unroll", 0), ("generator_steps", 1)):
            if getattr(self, name) < smallest:
                raise UserError(f"game.{name}={getattr(self, name)}: the smallest value is {smallest}")


def check_packs(game: Game, training: TrainingSettings) -> None:
    """UserError unless each micro-batch consists of whole packs."""
    if training.batch_size % (training.accumulate * game.pack):
        raise UserError(
            f"game.pack={game.pack} times training.accumulate={training.accumulate} does not divide"
            f" training.batch_size={training.batch_size}: choose numbers that do"
        )

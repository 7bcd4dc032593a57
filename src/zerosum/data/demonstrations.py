"""What an expert did: pairs of observations and actions, as samples whose distribution an imitator is to learn."""

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import one_hot

from zerosum.data.dataset import Batch
from zerosum.data.environments import Environment, play
from zerosum.errors import UserError, check_positive
from zerosum.randomness import derive, generator


class Demonstrations:
    """Every `every`-th pair of `trajectories` trajectories of as many steps as the environment's limit.

    A sample is an observation joined with its action as 0 and 1, (D + actions,). The trajectory has a fixed length: an
    episode that ends early is followed by another. With `useless` the expert draws its actions at random.
    """

    num_classes: int | None = None
    samples_to_draw = 400
    plural = "decisions"

    def __init__(
        self, environment: Environment, trajectories: int = 1, every: int = 10, useless: bool = False, seed: int = 0
    ) -> None:
        check_positive("dataset", trajectories=trajectories, every=every)
        if every > environment.limit:
            raise UserError(f"dataset.every={every}: a trajectory has {environment.limit} steps: choose fewer")
        self.environment = environment
        self.trajectories = trajectories
        self.every = every
        self.useless = useless
        self.seed = seed
        self.sample_shape = (len(environment.scale) + environment.actions,)
        self.pairs: Tensor | None = None

    @property
    def name(self) -> str:
        """Such as `CartPole-v1 by its expert`."""
        return f"{self.environment.identity} by {'a useless expert' if self.useless else 'its expert'}"

    def prepare(self) -> None:
        """Let the expert play."""
        if self.pairs is None:
            game = self.environment
            seeds = [derive(self.seed, index, "demonstration") for index in range(self.trajectories)]
            played = play(game, game.useless if self.useless else game.expert, seeds, game.limit)
            joined = join(played.observations[:-1], played.actions, game.actions)
            self.pairs = joined[:: self.every].transpose(0, 1).flatten(0, 1)

    def stream(self, seed: int, device: torch.device) -> "DrawnPairs":
        """Batches that are functions of (seed, index)."""
        self.prepare()
        assert self.pairs is not None
        return DrawnPairs(self.pairs.to(device), seed)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """The samples and the expert's pairs, in two coordinates of the observations."""
        from zerosum.drawing.decisions import draw_decisions  # matplotlib takes a second to import

        self.prepare()
        assert self.pairs is not None
        return draw_decisions(self.pairs, samples, self.environment.actions, self.environment.coordinates)


class DrawnPairs:
    """Batches of pairs drawn with replacement; each is drawn whole from (seed, index), then sharded."""

    def __init__(self, pairs: Tensor, seed: int) -> None:
        self.pairs = pairs
        self.seed = seed

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """(B, D + actions)."""
        rows = torch.randint(len(self.pairs), (size,), generator=generator(self.seed, index, "pairs"))
        return Batch(self.pairs[rows[shard].to(self.pairs.device)], None)


def join(observations: Tensor, actions: Tensor, count: int) -> Tensor:
    """(..., D) and (...) int64 to (..., D + count)."""
    return torch.cat([observations, one_hot(actions, count).to(observations)], -1)


def separate(pairs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(B, D + count) back to observations (B, D) and actions (B,) int64."""
    return pairs[:, :-count], pairs[:, -count:].argmax(1)

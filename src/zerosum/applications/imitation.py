"""Learning to act from an expert's pairs of observations and actions: by a game, or by copying."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss
from torch.optim import Optimizer

from zerosum.applications.policy import Experience, Policy, advantages, ppo_loss
from zerosum.data.dataset import Batch
from zerosum.data.demonstrations import join, separate
from zerosum.data.environments import Environment, Play, play
from zerosum.distributed import rank_and_world_size
from zerosum.errors import UserError, check_at_least, check_positive
from zerosum.gan.losses import AdversarialLoss
from zerosum.gan.regularizers import ScoredBatch, squared_gradient_norm
from zerosum.models.networks import Scores
from zerosum.randomness import derive
from zerosum.training.module import GenerativeModule
from zerosum.training.optimization import MakeOptimizer
from zerosum.training.settings import TrainingSettings


class Imitator(GenerativeModule):
    """A policy in an environment, as a generator of pairs: its samples are what it sees and does."""

    def __init__(
        self, environment: Environment, width: int, training: TrainingSettings | None = None, seed: int = 0
    ) -> None:
        check_positive("model", width=width)
        if training is not None and training.accumulate > 1:
            raise UserError("training.accumulate: an imitator takes whole batches: leave the option out")
        policy = Policy(len(environment.scale), environment.actions, width)
        super().__init__(policy, training, seed)
        self.policy = policy
        self.environment = environment

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Actions of the policy's moving average, as `zerosum.data.environments.Act`."""
        return self.ema.network.act(observations.to(self.device), draws.to(self.device)).cpu()  # type: ignore[operator, no-any-return]

    @torch.no_grad()
    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), D + actions): seed i is step i mod L of game i // L, L the environment's limit."""
        limit = self.environment.limit
        games = sorted({seed // limit for seed in seeds})
        steps = max(seed % limit for seed in seeds) + 1
        pairs = self.pairs_of(play(self.environment, self.act, games, steps))
        return torch.stack([pairs[seed % limit, games.index(seed // limit)] for seed in seeds]).to(self.device)

    def pairs_of(self, played: Play) -> Tensor:
        """(T, N, D + actions)."""
        return join(played.observations[:-1], played.actions, self.environment.actions)


class BehaviourCloning(Imitator):
    """The policy under which the expert's actions are most likely: classification, without an environment."""

    def __init__(
        self,
        environment: Environment,
        sample_shape: Sequence[int],
        optimizer: MakeOptimizer,
        width: int = 64,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        check_shape(environment, sample_shape)
        super().__init__(environment, width, training, seed)
        self.make_optimizer = optimizer

    def configure_optimizers(self) -> Optimizer:
        return self.make_optimizer(self.policy.parameters())

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """One step on -E log pi(a | s)."""
        self.begin_step()
        (batch,), optimizer = batches, self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        observations, actions = separate(batch.images, self.environment.actions)
        log_probs = self.policy(observations)
        loss = nll_loss(log_probs, actions)
        optimizer.zero_grad()
        self.backward_into(optimizer, loss)
        self.take_step(optimizer)
        chosen = self.policy.act(observations, torch.rand(len(observations)).to(observations))
        samples = join(observations, chosen, self.environment.actions)
        self.finish_step(self.policy, {"model": loss.detach()}, {}, samples, len(batch.images))


class GAIL(Imitator):
    """Generative adversarial imitation learning (Ho and Ermon 2016, algorithm 1), with PPO in place of TRPO.

    In each step the policy plays `games` games of a fixed length, the environment's limit. D takes
    `discriminator_steps` steps, each on a batch of the expert's pairs and as many of the policy's, with R1 of weight
    `gamma`. The policy's reward for a pair is what the pair costs G in the loss, negated: with minimax
    -1/2 log(1 - D), which is positive, and with nonsat 1/2 log D, which is negative. With `ends_count` the end of an
    episode ends the sum of rewards too; then the sign of the reward alone teaches to live long, or to die soon
    (Kostrikov et al. 2019, Discriminator-Actor-Critic).
    """

    optimizer_names: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __init__(
        self,
        environment: Environment,
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        sample_shape: Sequence[int],
        optimizer: Mapping[str, MakeOptimizer],
        width: int = 64,
        games: int = 16,
        discriminator_steps: int = 4,
        gamma: float = 0.1,
        ends_count: bool = False,
        discount: float = 0.99,
        trace: float = 0.95,
        epochs: int = 4,
        minibatch: int = 400,
        clip: float = 0.2,
        entropy: float = 0.05,
        training: TrainingSettings | None = None,
        seed: int = 0,
    ) -> None:
        check_shape(environment, sample_shape)
        check_positive(
            "model", games=games, discriminator_steps=discriminator_steps, epochs=epochs, minibatch=minibatch
        )
        check_at_least("model", 0, entropy=entropy)
        check_options(loss, gamma, discount, trace, clip)
        super().__init__(environment, width, training, seed)
        self.discriminator = discriminator(sample_shape=tuple(sample_shape))
        self.loss = loss
        self.make_optimizers = optimizer
        self.games, self.batches_per_step = games, discriminator_steps
        self.gamma = gamma
        self.ends_count = ends_count
        self.discount, self.trace = discount, trace
        self.epochs, self.minibatch, self.clip, self.entropy = epochs, minibatch, clip, entropy

    def configure_optimizers(self) -> list[Optimizer]:
        """Discriminator before policy."""
        return [
            self.make_optimizers["discriminator"](self.discriminator.parameters()),
            self.make_optimizers["generator"](self.policy.parameters()),
        ]

    def training_step(self, batches: list[Batch], batch_idx: int) -> None:
        """Play, let D learn, and improve the policy by what D says."""
        self.begin_step()
        discriminator_optimizer, policy_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        played = self.play()
        pairs = self.pairs_of(played).to(self.device)
        judged = [self.step_discriminator(batch, pairs.flatten(0, 1), discriminator_optimizer) for batch in batches]
        rewards = self.rewards(pairs)
        improved = self.step_policy(self.experience(played, rewards), policy_optimizer)
        self.finish_step(
            self.policy,
            losses={"discriminator": torch.stack(judged).mean(), "generator": improved},
            metrics={"reward": rewards.mean(), "steps_an_end": 1 / played.ends.float().mean().clamp(min=1e-3)},
            samples=pairs[:: max(1, len(pairs) // 50)].flatten(0, 1),
            images=sum(len(batch.images) for batch in batches),
        )

    @torch.no_grad()
    def play(self) -> Play:
        """Games of this step and process."""
        where = (self.seed, self.global_step, rank_and_world_size()[0])
        seeds = [derive(*where, index, "games") for index in range(self.games)]
        act = lambda observations, draws: self.policy.act(  # noqa: E731
            observations.to(self.device), draws.to(self.device)
        ).cpu()
        return play(self.environment, act, seeds, self.environment.limit)

    def step_discriminator(self, batch: Batch, pairs: Tensor, optimizer: Optimizer) -> Tensor:
        """One step of D on the expert's pairs and as many of the policy's; returns the loss."""
        fake = pairs[torch.randint(len(pairs), (len(batch.images),)).to(pairs.device)]
        real = batch.images.detach().requires_grad_()
        scores = self.score(real)
        loss = self.loss.discriminator(scores.logits, self.score(fake).logits)
        penalty = self.gamma / 2 * squared_gradient_norm(ScoredBatch(real, scores)) if self.gamma else 0.0
        optimizer.zero_grad()
        self.backward_into(optimizer, loss + penalty)
        self.take_step(optimizer)
        return loss.detach()

    def score(self, pairs: Tensor) -> Scores:
        """Scores of pairs (B, D + actions)."""
        scores: Scores = self.discriminator(pairs, None)
        return scores

    @torch.no_grad()
    def rewards(self, pairs: Tensor) -> Tensor:
        """(T, N) of pairs (T, N, D + actions)."""
        logits = self.score(pairs.flatten(0, 1)).logits
        return reward(self.loss, logits).view(pairs.shape[:2])

    @torch.no_grad()
    def experience(self, played: Play, rewards: Tensor) -> Experience:
        """Advantages, of mean 0, and all else that the policy's steps need.

        They are not divided by their deviation: where D sees no difference, the entropy alone moves the policy.
        """
        observations, actions = played.observations.to(self.device), played.actions.to(self.device)
        values = self.policy.value(observations)
        ends = played.ends.to(self.device) if self.ends_count else torch.zeros_like(rewards, dtype=torch.bool)
        gained = advantages(rewards, values, ends, self.discount, self.trace)
        flat, taken = observations[:-1].flatten(0, 1), actions.flatten()
        log_probs = self.policy(flat).gather(1, taken[:, None]).squeeze(1)
        centred = (gained - gained.mean()) / (1 - self.discount)
        return Experience(flat, taken, log_probs, centred.flatten(), (gained + values[:-1]).flatten())

    def step_policy(self, seen: Experience, optimizer: Optimizer) -> Tensor:
        """`epochs` passes over the experience in minibatches; returns the mean loss."""
        losses = []
        for _ in range(self.epochs):
            for rows in torch.randperm(len(seen.actions)).to(seen.actions.device).split(self.minibatch):
                loss = ppo_loss(self.policy, Experience(*(part[rows] for part in seen)), self.clip, self.entropy)
                optimizer.zero_grad()
                self.backward_into(optimizer, loss)
                self.take_step(optimizer)
                losses.append(loss.detach())
        return torch.stack(losses).mean()


def reward(loss: AdversarialLoss, logits: Tensor) -> Tensor:
    """r(s, a) = -J_G of each pair alone, (B,)."""
    return -torch.func.vmap(lambda logit: loss.generator(logit[None]))(logits)


def check_shape(environment: Environment, sample_shape: Sequence[int]) -> None:
    """UserError if the data is not of this environment."""
    expected = (len(environment.scale) + environment.actions,)
    if tuple(sample_shape) != expected:
        raise UserError(
            f"model: an imitator in {environment.identity} learns from pairs of {expected[0]} numbers:"
            " take dataset=cart_pole or dataset=acrobot"
        )


def check_options(loss: AdversarialLoss, gamma: float, discount: float, trace: float, clip: float) -> None:
    """UserError if the game cannot be played so."""
    if loss.paired:
        raise UserError(f"model.loss: {type(loss).__name__} compares pairs, and a reward is of one pair: take another")
    if not gamma >= 0:
        raise UserError(f"model.gamma={gamma}: the weight of R1 is 0 or more")
    for name, value in (("discount", discount), ("trace", trace), ("clip", clip)):
        if not 0 < value < 1:
            raise UserError(f"model.{name}={value}: choose a number between 0 and 1")

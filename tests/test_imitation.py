"""Imitation: the games against gymnasium itself, PPO against its equations, rewards against the losses."""

import pytest
import torch

gymnasium = pytest.importorskip("gymnasium")

from zerosum.applications.imitation import GAIL, reward  # noqa: E402
from zerosum.applications.policy import Experience, Policy, advantages, ppo_loss  # noqa: E402
from zerosum.data.demonstrations import Demonstrations, join, separate  # noqa: E402
from zerosum.data.environments import Acrobot, CartPole, Play, first_returns, play  # noqa: E402
from zerosum.errors import UserError  # noqa: E402
from zerosum.evaluation.episodes import EpisodeProtocol, EpisodeReturn  # noqa: E402
from zerosum.experiment.build import build  # noqa: E402
from zerosum.experiment.settings import validate  # noqa: E402
from zerosum.gan.losses import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic  # noqa: E402
from zerosum.models.mlp import Discriminator  # noqa: E402
from zerosum.randomness import derive  # noqa: E402


@pytest.mark.parametrize(("environment", "least"), [(CartPole(), 200.0), (Acrobot(), -100.0)])
def test_the_rules_are_experts(environment, least):
    returns = first_returns(play(environment, environment.expert, range(6), environment.limit))
    assert float(returns.mean()) >= least
    whole = play(environment, environment.useless, range(6), environment.limit)
    bad = first_returns(whole)
    short = play(environment, environment.useless, range(6), environment.limit, once=True)
    assert torch.equal(first_returns(short), bad) and len(short.ends) <= len(whole.ends)
    assert float(bad.mean()) < least - 100


def test_a_game_is_gymnasiums_own_and_depends_on_its_seed_alone():
    environment = CartPole()
    together = play(environment, environment.useless, [3, 4, 5], 60)
    alone = play(environment, environment.useless, [4], 60)
    assert torch.equal(together.observations[:, 1], alone.observations[:, 0])
    game = gymnasium.make("CartPole-v1").unwrapped
    seen, _ = game.reset(seed=derive(4, "game"))
    for step in range(int(alone.ends[:, 0].nonzero()[0])):
        assert torch.equal(environment.scaled([seen]), alone.observations[step])
        seen, *_ = game.step(int(alone.actions[step]))


def test_the_return_is_that_of_the_first_episode():
    ends = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1]], dtype=torch.bool)
    played = Play(torch.zeros(5, 2, 4), torch.zeros(4, 2, dtype=torch.long), torch.ones(4, 2), ends)
    assert first_returns(played).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("trace", [0.9, 1.0])
def test_advantages_are_the_weighted_sum_of_errors(trace):
    random = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(6, 3, generator=random), torch.randn(7, 3, generator=random)
    ends = torch.rand(6, 3, generator=random) < 0.3
    found = advantages(rewards, values, ends, 0.8, trace)
    expected = torch.zeros(6, 3)
    for game in range(3):
        for start in range(6):
            weight = 1.0
            for step in range(start, 6):
                following = 0.0 if ends[step, game] else values[step + 1, game]
                error = 0.2 * rewards[step, game] + 0.8 * following - values[step, game]
                expected[start, game] += weight * error
                weight *= 0.8 * trace
                if ends[step, game]:
                    break
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def experience(policy: Policy, count: int = 40) -> Experience:
    observations = torch.randn(count, 4)
    actions = torch.randint(2, (count,))
    log_probs = policy(observations).detach().gather(1, actions[:, None]).squeeze(1)
    return Experience(observations, actions, log_probs, torch.randn(count), torch.randn(count))


def test_ppo_begins_with_the_policy_gradient_and_stops_beyond_its_clip():
    torch.manual_seed(0)
    policy = Policy(4, 2, width=8)
    seen = experience(policy)
    weights = list(policy.actor.parameters())
    found = torch.autograd.grad(ppo_loss(policy, seen, 0.2, 0.0), weights)
    taken = policy(seen.observations).gather(1, seen.actions[:, None]).squeeze(1)
    expected = torch.autograd.grad(-(seen.advantages * taken).mean(), weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    risen = seen._replace(log_probs=seen.log_probs - 1, advantages=seen.advantages.abs())
    for gradient in torch.autograd.grad(ppo_loss(policy, risen, 0.2, 0.0), weights):
        assert gradient.abs().max() == 0


def test_actions_are_as_frequent_as_the_policy_says():
    policy = Policy(4, 3, width=8)
    torch.nn.init.normal_(policy.actor[-1].weight)
    observations = torch.randn(1, 4).expand(3000, -1)
    draws = (torch.arange(3000) + 0.5) / 3000
    shares = torch.bincount(policy.act(observations, draws), minlength=3) / 3000
    torch.testing.assert_close(shares, policy(observations[:1]).exp()[0], rtol=0, atol=1e-3)


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating(), Hinge(), LeastSquares()])
def test_a_reward_is_what_a_pair_costs_the_generator(loss):
    logits = torch.randn(9)
    alone = torch.stack([-loss.generator(logit[None]) for logit in logits])
    torch.testing.assert_close(reward(loss, logits), alone)
    if isinstance(loss, Minimax):
        assert (reward(loss, logits) > 0).all()  # the reward that teaches to live long
    if isinstance(loss, NonSaturating):
        assert (reward(loss, logits) < 0).all()


def test_pairs_are_joined_and_separated():
    observations, actions = torch.randn(5, 6), torch.tensor([0, 2, 1, 1, 0])
    pairs = join(observations, actions, 3)
    assert pairs.shape == (5, 9) and pairs[:, 6:].sum(1).tolist() == [1.0] * 5
    again, taken = separate(pairs, 3)
    assert torch.equal(again, observations) and torch.equal(taken, actions)


def test_a_demonstration_is_every_tenth_pair_of_one_trajectory():
    dataset = Demonstrations(CartPole(), every=10, seed=2)
    dataset.prepare()
    whole = Demonstrations(CartPole(), every=1, seed=2)
    whole.prepare()
    assert dataset.pairs.shape == (20, 6) and torch.equal(dataset.pairs, whole.pairs[::10])
    batch = dataset.stream(1, torch.device("cpu")).batch(5, 8, slice(2, 6)).images
    assert torch.equal(batch, dataset.stream(1, torch.device("cpu")).batch(5, 8, slice(0, 8)).images[2:6])


def make_gail(**options) -> GAIL:
    discriminator = lambda sample_shape: Discriminator(sample_shape, width=8, depth=1)  # noqa: E731
    return GAIL(CartPole(), discriminator, options.pop("loss", Minimax()), (6,), {}, width=8, games=3, **options)


def test_a_fixed_length_hides_ends_from_the_policy():
    played = play(CartPole(), CartPole().useless, range(3), 40)
    assert played.ends.any()
    ones = torch.ones(40, 3)
    hidden, counted = make_gail(), make_gail(ends_count=True)
    counted.load_state_dict(hidden.state_dict())
    for module in (hidden, counted):  # V = 1, the mean of future rewards, where no episode ends
        torch.nn.init.zeros_(module.policy.critic[-1].weight)
        torch.nn.init.ones_(module.policy.critic[-1].bias)
    torch.testing.assert_close(hidden.experience(played, ones).advantages, torch.zeros(120), rtol=0, atol=1e-4)
    found = counted.experience(played, ones).advantages.view(40, 3)
    assert (found[played.ends] < 0).all()


def test_a_sample_is_a_step_of_a_game_and_depends_on_its_seed_alone():
    module = make_gail()
    together = module.sample([3, 205, 7])
    assert together.shape == (3, 6) and torch.equal(module.sample([205])[0], together[1])


def test_the_protocol_measures_the_expert():
    protocol = EpisodeProtocol("episodes", {"episode_return": EpisodeReturn()}, episodes=4)
    protocol.prepare(Demonstrations(CartPole()))
    assert protocol.floor() == {"episode_return": 200.0, "episode_return_deviation": 0.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"loss": Relativistic()}, "compares pairs"), ({"gamma": -1.0}, "gamma"), ({"discount": 1.0}, "discount")],
)
def test_games_that_cannot_be_played_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        make_gail(**options)


def test_data_of_another_kind_or_environment_are_refused(composed):
    with pytest.raises(UserError, match=r"dataset\.environment is missing"):
        build(validate(composed("dataset=ring", "model=gail")))
    acrobot = "model.environment={_target_: zerosum.data.environments.Acrobot}"
    with pytest.raises(UserError, match="dataset=cart_pole"):
        build(validate(composed("dataset=cart_pole", acrobot)))


@pytest.mark.parametrize("model", ["gail", "behaviour_cloning"])
def test_micro_batches_are_refused_not_ignored(composed, model):
    with pytest.raises(UserError, match=r"training\.accumulate"):
        build(validate(composed("dataset=cart_pole", f"model={model}", "training.accumulate=2")))


def fit(composed, folder, *options):
    config = composed(*options, f"run.folder={folder}", "trainer=cpu", "~callbacks.samples", "~callbacks.report")
    experiment = build(validate(config))
    experiment.trainer.fit(experiment.module, datamodule=experiment.data)
    return experiment.trainer.callback_metrics["episode_return"]


@pytest.mark.slow
def test_gail_balances_the_pole_and_a_useless_expert_teaches_nothing_but_where_ends_count(composed, tmp_path):
    assert fit(composed, tmp_path / "expert", "experiment=application/gail") > 190
    short = ("experiment=application/gail", "dataset.useless=true", "run.images=10_240")
    assert fit(composed, tmp_path / "ends", *short, "model.ends_count=true") > 150
    assert fit(composed, tmp_path / "fixed", *short) < 60

"""Terms of the losses of both players that depend on labels."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, mse_loss

from zerosum.errors import UserError
from zerosum.gan.regularizers import Critic, Regularizer, ScoredBatch


class Classes(Regularizer):
    """-E log p(y | x) of D's guesses, on real images, fakes or both (Odena et al. 2017, L_C of equation 3).

    Attributes have half their squared error in its place. Minimized by both players, each with a weight of its own.
    """

    def __init__(self, weight: float, sides: Sequence[Literal["real", "fake"]] = ("real", "fake")) -> None:
        super().__init__(weight)
        if not sides:
            raise UserError("sides=[]: name real, fake or both")
        self.sides = tuple(sides)
        self.needs_real = "real" in self.sides

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The sum over the sides."""
        scored = {"real": real, "fake": fake}
        return sum((cost_of_guess(scored[side]) for side in self.sides), start=real.logits.new_zeros(()))


class ConditionalEntropy(Regularizer):
    """E H(p(y | x, y <= K)) of real images, in nats: D shall be sure of the class even where no label is known.

    Springenberg 2016 (CatGAN), equation 4; Dai et al. 2017, equation 6.
    """

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """Between 0 and log K."""
        if real.scores.class_logits is None:
            raise UserError("the term conditional entropy needs a D that guesses classes: set labels=semi_supervised")
        log_probabilities = log_softmax(real.scores.class_logits, dim=1)
        return -(log_probabilities.exp() * log_probabilities).sum(1).mean()


def cost_of_guess(scored: ScoredBatch) -> Tensor:
    """Cross-entropy of labels (B,), or half the squared error of attributes (B, A), averaged over the batch."""
    guess, condition = scored.scores.class_logits, scored.condition
    if guess is None or condition is None:
        raise UserError("the term classes needs a D that guesses labels: set labels=acgan")
    if condition.is_floating_point():
        return 0.5 * mse_loss(guess.reshape(condition.shape), condition) * condition.shape[1]
    return cross_entropy(guess.reshape(len(condition), -1), condition)

"""A sentence and an override for each finding."""

from collections.abc import Callable

from zerosum.doctor.case import Case, Settings
from zerosum.doctor.rules import Evidence

SENTENCES = {
    "discriminator_too_strong": "D ranks a real image above a fake one in {separation:.1%} of pairs, and the samples"
    " hardly get better",
    "discriminator_too_weak": "D ranks a real image above a fake one in only {separation:.0%} of pairs (50% is chance)"
    " although the samples are still bad, so G learns nothing true from it",
    "vanishing_gradient": "G's gradient is {share:.1%} of the greatest so far and D is right about {separation:.1%} of"
    " pairs: G gets almost no signal",
    "collapse": "the samples vary {diversity:.1%} as much as the data: G makes nearly the same sample from every z",
    "collapse_of_modes": "{classes_missing:.0f} classes of the data are missing from the samples",
    "memorization": "D knows its training images by heart: it places held-out images {r_v:.0%} of the way from them to"
    " fakes (r_v)",
    "copies": "{nearer_to_train:.0%} of the samples are nearer to a training image than to a held-out one (50% would be"
    " chance): G copies its training images",
    "oscillation": "{metric} goes up and down by large steps and turned {turns:.0f} times in the last 5 changes",
    "explosion": "D's logits reach {logits:,.0f}; a few units are usual",
    "learning_rate_too_high": "one step moves the weights of the {player} by {ratio:.0%} of their norm; 0.1% to 2% is"
    " usual",
    "rising": "{metric} is {last:.4g} and was {best:.4g} at {best_images:,.0f} images: it has got worse since",
    "batch_leak": "D loses {batch_leak:.0%} of separation in batches that hold real and fake images together: batch"
    " norm shows it which kind of batch it is in",
}

USUAL_RATE = 2e-4
"""Of Adam (Radford et al. 2016, section 4)"""
USUAL_MOMENTUM = 0.5
"""Adam's beta1, whose default of 0.9 made training oscillate (the same)"""

Advice = Callable[[Case, Evidence], str]


def format_sentence(name: str, case: Case, evidence: Evidence) -> str:
    """The finding and its numbers in one sentence."""
    variants = {"classes_missing": "collapse_of_modes", "nearer_to_train": "copies"}
    key = next((variant for number, variant in variants.items() if number in evidence), name)
    words: dict[str, float | str] = {**evidence, "metric": case.metric or "the metric"}
    if name == "vanishing_gradient":
        words["share"] = evidence["gradient_norm"] / (evidence["greatest"] or 1.0)
    if name == "learning_rate_too_high":
        ratio, words["ratio"] = max(evidence.items(), key=lambda item: item[1])
        words["player"] = ratio.removeprefix("update_ratio_")
    return SENTENCES[key].format(**words)


def suggest(name: str, case: Case, evidence: Evidence) -> str:
    """Options of the command line that treat the finding in a run like this."""
    return ADVICE[name](case, evidence)


def hold_discriminator(settings: Settings) -> str:
    """A zero-centred penalty, a Lipschitz penalty for Wasserstein, or ten times the weight of what there is."""
    weights = settings.regularizers
    if "r1" in weights:
        return f"gamma={10 * weights['r1'] or 1:g}"
    if settings.loss != "Wasserstein" or settings.has_batch_norm:  # which the Lipschitz penalty does not go with
        return "regularizer=r1"
    if "gradient_penalty" in weights:
        return f"regularizer.gradient_penalty.weight={10 * weights['gradient_penalty'] or 10:g}"
    return "regularizer=gradient_penalty"


def lower_rates(settings: Settings, factor: float) -> str:
    """Each learning rate divided by the factor."""
    return set_rates({name: rate / factor for name, rate in settings.learning_rates.items()})


def set_rates(rates: dict[str, float]) -> str:
    """Options for these rates, by player: a rate that was typed for one player beats optimizer.lr."""
    if len(rates) == 1:
        return f"optimizer.lr={next(iter(rates.values())):.2g}"
    return " ".join(f"optimizer.{name}.lr={rate:.2g}" for name, rate in rates.items())


def balance_rates(settings: Settings) -> str:
    """The usual rate of Adam for both players, where theirs are far apart; empty where they are not."""
    rates = settings.learning_rates
    if len(rates) != 2 or max(rates.values()) < 5 * min(rates.values()):
        return ""
    return set_rates(dict.fromkeys(rates, USUAL_RATE))


def strengthen_discriminator(case: Case, evidence: Evidence) -> str:
    """Let D learn as fast as G, or more often."""
    return balance_rates(case.settings) or f"game.critic_steps={2 * case.settings.critic_steps}"


def weaken_discriminator(case: Case, evidence: Evidence) -> str:
    """Penalize D, at balanced rates."""
    return f"{hold_discriminator(case.settings)} {balance_rates(case.settings)}".strip()


def cure_vanishing(case: Case, evidence: Evidence) -> str:
    """Goodfellow's other cost for G, and a D that is held."""
    loss = "loss=nonsat " if case.settings.loss == "Minimax" else ""
    return loss + weaken_discriminator(case, evidence)


def cure_collapse(case: Case, evidence: Evidence) -> str:
    """Penalize D; then the relativistic loss with both penalties (R3GAN); then show D more samples at once (PacGAN).

    All of it at the usual rates and momentum.
    """
    settings = case.settings
    if "r1" not in settings.regularizers:
        cure = hold_discriminator(settings)
    elif settings.loss == "Relativistic" and "r2" in settings.regularizers:
        cure = f"game.pack={2 * settings.pack}"
    else:
        cure = "loss=relativistic regularizer=r1_r2"
    momentum = "optimizer.betas=[0.5,0.999]" if settings.momentum > USUAL_MOMENTUM else ""
    return " ".join(filter(None, [cure, balance_rates(settings), momentum]))


def cure_memorization(case: Case, evidence: Evidence) -> str:
    """Show D changed images (DiffAugment, then ADA); points have no such changes."""
    if not case.settings.has_images or case.settings.augment == "ADA":
        return hold_discriminator(case.settings)
    return "augment=ada" if case.settings.augment else "augment=diffaugment"


def cure_oscillation(case: Case, evidence: Evidence) -> str:
    """A penalized D damps the cycle; then smaller steps without momentum."""
    if "r1" not in case.settings.regularizers:
        return hold_discriminator(case.settings)
    return f"{lower_rates(case.settings, 4)} optimizer.betas=[0,0.99]"


def stop_at_best(case: Case, evidence: Evidence) -> str:
    """End where the metric was best; best.ckpt holds that model."""
    return f"run.images={evidence['best_images']:.0f}"


ADVICE: dict[str, Advice] = {
    "discriminator_too_strong": weaken_discriminator,
    "discriminator_too_weak": strengthen_discriminator,
    "vanishing_gradient": cure_vanishing,
    "collapse": cure_collapse,
    "memorization": cure_memorization,
    "oscillation": cure_oscillation,
    "explosion": lambda case, evidence: hold_discriminator(case.settings),
    "learning_rate_too_high": lambda case, evidence: lower_rates(case.settings, 100),
    "rising": stop_at_best,
    "batch_leak": lambda case, evidence: "model.spectral_norm=true",
}

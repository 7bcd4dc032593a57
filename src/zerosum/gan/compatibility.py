"""Refuses, before training, combinations of parts that work alone but not together, each with the reason."""

import math

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from zerosum.data.dataset import Dataset
from zerosum.data.pairs import Unpaired
from zerosum.errors import UserError
from zerosum.gan.augment import ADA, ImageAugmentation
from zerosum.gan.gan import GAN
from zerosum.gan.labels.codes import MutualInformation
from zerosum.gan.labels.image_conditions import ImageConditions
from zerosum.gan.losses import FeatureMatching
from zerosum.gan.reconstruction import L1, L2
from zerosum.gan.regularizers import Clip, Consistency, GradientPenalty
from zerosum.gan.unrolled import check_optimizer
from zerosum.models.blocks import MinibatchDiscrimination, MinibatchStandardDeviation


def check_compatible(gan: GAN, sample_shape: tuple[int, ...]) -> None:
    """UserError for the first rule that the game breaks."""
    check_gradient_penalties(gan)
    check_weight_clipping(gan)
    check_adaptive_augmentation(gan)
    check_image_augmentations(gan, sample_shape)
    check_answers(gan)
    check_accumulation(gan)
    check_groups(gan)
    check_codes(gan)
    check_generator_cost(gan)
    if gan.game.unroll:
        check_unrolling(gan)


def check_gradient_penalties(gan: GAN) -> None:
    """Gulrajani et al. 2017, section 4: with batch norm D is not a function of one image."""
    normalized = any(isinstance(layer, _BatchNorm) for layer in gan.discriminator.modules())
    for name, term in gan.regularizers.items():
        if isinstance(term, GradientPenalty) and normalized:
            raise UserError(
                f"regularizer {name} bounds D's slope at single images, but with batch norm its value at one depends on"
                " the rest of the batch: set model.spectral_norm=true, which takes batch norm's place, or use r1"
            )


def check_weight_clipping(gan: GAN) -> None:
    """Spectral norm undoes any change of scale."""
    normalized = any(is_parametrized(layer, "weight") for layer in gan.discriminator.modules())
    if normalized and clips_weights(gan):
        raise UserError(
            "regularizer clip bounds weights that spectral norm then divides by their norm, so it does nothing: leave"
            " out one of the two"
        )


def clips_weights(gan: GAN) -> bool:
    """Whether D's weights are clipped after each step."""
    return any(isinstance(term, Clip) for term in gan.regularizers.values())


def check_adaptive_augmentation(gan: GAN) -> None:
    """Karras et al. 2020, equation 1: r_t = E sign(D(x)), where 0 separates real from fake."""
    if isinstance(gan.augment, ADA) and gan.augment.target is not None and not gan.loss.zero_separates:
        raise UserError(
            f"augment=ada follows the sign of D's logits, and with this {type(gan.loss).__name__} the logit 0 does not"
            " separate real from fake: use augment=diffaugment, augment.target=null, or a loss like nonsat or hinge"
        )


def check_image_augmentations(gan: GAN, sample_shape: tuple[int, ...]) -> None:
    """Points have no colors and no pixels to move."""
    augmentations = [term.augment for term in gan.regularizers.values() if isinstance(term, Consistency)]
    if not any(isinstance(each, ImageAugmentation) for each in [gan.augment, *augmentations]):
        return
    if len(sample_shape) != 3:
        raise UserError(
            f"these augmentations change images (C, H, W), this dataset has shape {tuple(sample_shape)}: use"
            " augment=instance_noise or none, and no consistency"
        )
    if isinstance(gan.conditions, ImageConditions):
        raise UserError(
            "these augmentations would move the images that D sees, but not the condition images beside them: use"
            " augment=instance_noise or none, and no consistency"
        )


def check_answers(gan: GAN) -> None:
    """L1 and L2 pull a fake to the real image beside it, which only some conditions tell anything of."""
    for name, term in gan.generator_regularizers.items():
        if isinstance(term, L1 | L2) and gan.label_use not in ("conditioned on images", "conditioned on the past"):
            raise UserError(
                f"generator_regularizer={name} compares each fake with the real image beside it, of which G is told"
                " nothing here: leave it out, or take a condition that has an answer, as with dataset=edges"
                " model=image_to_image"
            )


def check_paired(model: object, dataset: Dataset) -> None:
    """UserError if a game on pairs is given images beside conditions of others."""
    if isinstance(dataset, Unpaired) and isinstance(model, GAN) and isinstance(model.conditions, ImageConditions):
        raise UserError(
            f"{dataset.name}: no training image stands beside its own condition, and this model learns from pairs: take"
            " model=cycle_gan"
        )


def check_accumulation(gan: GAN) -> None:
    """Minibatch discrimination sums over the batch, so a part of a batch has another scale than the whole."""
    layers = gan.discriminator.modules()
    if gan.training_settings.accumulate > 1 and any(isinstance(layer, MinibatchDiscrimination) for layer in layers):
        raise UserError(
            "model.minibatch_discrimination compares all images of a batch, and training.accumulate splits it: use"
            " model.minibatch_stddev, which compares groups of four, or training.accumulate=1"
        )


def check_groups(gan: GAN) -> None:
    """A deviation over groups of one sample is always 0, and says nothing of how alike samples are."""
    part = gan.training_settings.batch_size // gan.training_settings.accumulate // gan.game.pack
    for layer in gan.discriminator.modules():
        if isinstance(layer, MinibatchStandardDeviation) and part > 1 and math.gcd(part, layer.group) == 1:
            raise UserError(
                f"D sees the deviation over groups of {layer.group} samples, and {part} at a time do not divide into"
                f" such groups: choose a training.batch_size that does, such as {layer.group * -(-part // layer.group)}"
            )


def check_codes(gan: GAN) -> None:
    """The bound on the information is that of the codes that D recognizes."""
    terms = [*gan.regularizers.values(), *gan.generator_regularizers.values()]
    for codes in [term.codes for term in terms if isinstance(term, MutualInformation)]:
        if getattr(gan.discriminator, "codes", None) != codes:
            raise UserError(
                "the terms information need a D that recognizes the same codes: set labels=infogan, and name the codes"
                " in labels.conditions alone"
            )


def check_generator_cost(gan: GAN) -> None:
    """The loss feature_matching leaves G's cost to a term."""
    if isinstance(gan.loss, FeatureMatching) and not len(gan.generator_regularizers):
        raise UserError(
            "loss=feature_matching gives G no cost of its own: keep its generator_regularizer=feature_matching"
        )


def check_unrolling(gan: GAN) -> None:
    """Whether the steps of D that G looks ahead are those that D would make."""
    options = {
        f"training.accumulate={gan.training_settings.accumulate}": gan.training_settings.accumulate > 1,
        f"training.clip={gan.training_settings.clip}": gan.training_settings.clip is not None,
        "regularizer clip": clips_weights(gan),
    }
    for option, is_set in options.items():
        if is_set:
            raise UserError(
                f"game.unroll={gan.game.unroll} looks ahead by plain steps of D, and {option} changes D's steps: leave"
                " out one of the two"
            )
    if gan.make_optimizers is not None:
        check_optimizer(gan.make_optimizers.discriminator(gan.discriminator.parameters()))

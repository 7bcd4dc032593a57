"""Combinations of parts that work alone but mean nothing together are refused before training, with the reason."""

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from zerosum.errors import UserError
from zerosum.gan.augment import ADA, ImageAugmentation
from zerosum.gan.gan import GAN
from zerosum.gan.regularizers import Clip, Consistency, GradientPenalty


def check_compatible(gan: GAN, sample_shape: tuple[int, ...]) -> None:
    """Raise a UserError for the first rule that the game breaks."""
    penalties_need_single_images(gan)
    clipping_needs_the_weights_themselves(gan)
    ada_needs_the_sign_of_the_logits(gan)
    augmentations_need_images(gan, sample_shape)


def penalties_need_single_images(gan: GAN) -> None:
    """Gulrajani et al. 2017, section 4: with batch norm D is not a function of one image."""
    normalized = any(isinstance(layer, _BatchNorm) for layer in gan.discriminator.modules())
    for name, term in gan.regularizers.items():
        if isinstance(term, GradientPenalty) and normalized:
            raise UserError(
                f"regularizer {name} bounds D's slope at single images, but with batch norm its value at one depends on"
                " the rest of the batch: set model.spectral_norm=true, which takes batch norm's place, or use r1"
            )


def clipping_needs_the_weights_themselves(gan: GAN) -> None:
    """Spectral norm undoes any change of scale."""
    normalized = any(is_parametrized(layer, "weight") for layer in gan.discriminator.modules())
    if normalized and any(isinstance(term, Clip) for term in gan.regularizers.values()):
        raise UserError(
            "regularizer clip bounds weights that spectral norm then divides by their norm, so it does nothing: leave"
            " out one of the two"
        )


def ada_needs_the_sign_of_the_logits(gan: GAN) -> None:
    """Karras et al. 2020, equation 1: r_t = E sign(D(x)), where 0 separates real from fake."""
    if isinstance(gan.augment, ADA) and gan.augment.target is not None and not gan.loss.zero_separates:
        raise UserError(
            f"augment=ada is steered by the sign of D's logits, and with {type(gan.loss).__name__} 0 does not separate"
            " real from fake: use augment=diffaugment, augment.target=null, or a loss like nonsat or hinge"
        )


def augmentations_need_images(gan: GAN, sample_shape: tuple[int, ...]) -> None:
    """Points have no colors and no pixels to move."""
    augmentations = [
        gan.augment,
        *(term.augment for term in gan.regularizers.values() if isinstance(term, Consistency)),
    ]
    if len(sample_shape) != 3 and any(isinstance(each, ImageAugmentation) for each in augmentations):
        raise UserError(
            f"these augmentations change images (C, H, W), this dataset has shape {tuple(sample_shape)}: use"
            " augment=instance_noise or none, and no consistency"
        )

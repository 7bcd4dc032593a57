"""Uses of a trained generator or of an adversarial loss."""

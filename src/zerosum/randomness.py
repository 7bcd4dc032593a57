"""Every random number is a function of what it is for, never of how often a generator was called."""

import hashlib

import torch


def derive(*what: int | str) -> int:
    """A 63-bit seed for `what`, e.g. derive(seed, step, "latents"); the same on every machine."""
    digest = hashlib.blake2b(repr(what).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*what: int | str) -> torch.Generator:
    """A CPU generator seeded by `derive(*what)`: CPU draws are the same whatever the training device."""
    return torch.Generator().manual_seed(derive(*what))


def reseed(device: torch.device, *what: int | str) -> None:
    """Seed the generators that a step on `device` draws from by default.

    torch.manual_seed would also seed, at a millisecond, every kind of device that is not there.
    """
    torch.default_generator.manual_seed(derive(*what))
    if device.type == "cuda":
        torch.cuda.manual_seed(derive(*what))
    if device.type == "mps":
        torch.mps.manual_seed(derive(*what))

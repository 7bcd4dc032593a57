"""Every random number is a function of its purpose, never of how often a generator was called before."""

import hashlib

import torch


def derive(*purpose: int | str) -> int:
    """A 63-bit seed for `purpose`, e.g. derive(seed, step, "latents"); the same on every machine."""
    digest = hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*purpose: int | str) -> torch.Generator:
    """A CPU generator seeded by `derive(*purpose)`: CPU draws are the same whatever the training device."""
    return torch.Generator().manual_seed(derive(*purpose))


def reseed(device: torch.device, *purpose: int | str) -> None:
    """Seed the default generators of the CPU and of `device`.

    torch.manual_seed would also seed every other kind of device, which costs a millisecond.
    """
    torch.default_generator.manual_seed(derive(*purpose))
    if device.type == "cuda":
        torch.cuda.manual_seed(derive(*purpose))
    if device.type == "mps":
        torch.mps.manual_seed(derive(*purpose))

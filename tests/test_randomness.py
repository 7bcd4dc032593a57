"""Random numbers are functions of their purpose."""

import hashlib

import torch

from zerosum.randomness import derive, generator, reseed


def test_a_seed_is_the_hash_of_its_purpose_on_every_machine():
    digest = hashlib.blake2b(b"(3, 7, 'latents')", digest_size=8).hexdigest()
    assert derive(3, 7, "latents") == int(digest, 16) // 2
    assert 0 <= derive(3, 7, "latents") < 2**63


def test_different_purposes_get_different_seeds():
    purposes = [(seed, step, what) for seed in range(20) for step in range(50) for what in ("latents", "order")]
    assert len({derive(*purpose) for purpose in purposes}) == len(purposes)
    assert derive(1, 23) != derive(12, 3) and derive(1, "2") != derive(1, 2)


def test_draws_do_not_depend_on_earlier_draws():
    first = torch.rand(5, generator=generator(0, "a"))
    torch.rand(100)
    generator(0, "b")
    assert torch.equal(first, torch.rand(5, generator=generator(0, "a")))


def test_reseed_sets_the_default_generator():
    reseed(torch.device("cpu"), 0, "step")
    first = torch.rand(5)
    reseed(torch.device("cpu"), 0, "step")
    assert torch.equal(first, torch.rand(5))
    assert torch.equal(first, torch.rand(5, generator=generator(0, "step")))

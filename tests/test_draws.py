"""Random numbers that belong to an image of the global batch, not to the part that the image came in."""

import pytest
import torch

from zerosum.gan import draws
from zerosum.gan.augment import ADA, DiffAugment, InstanceNoise
from zerosum.gan.draws import BatchDraws
from zerosum.gan.regularizers import DRAGAN, GradientPenalty


def deviating(images):
    """DRAGAN's noise at a fixed deviation."""
    dragan = DRAGAN(1.0)
    dragan.deviation = torch.tensor(1.0)
    return dragan.points(images, images)


RANDOM = {
    "ada": ADA(p=0.5),
    "diffaugment": DiffAugment(),
    "instance_noise": InstanceNoise(0.3),
    "gradient_penalty": lambda images: GradientPenalty(1.0).points(images, -images),
    "dragan": deviating,
    "rows": lambda images: draws.rows(images, 5),
}


def one_step(images, change, parts, monkeypatch, processes=1):
    """Two batches in one step, each changed twice, put together from its parts on all processes."""
    rows = []
    for rank in range(processes):
        monkeypatch.setattr(draws, "rank_and_world_size", lambda rank=rank: (rank, processes))
        source, found = BatchDraws(), []
        source.begin_step(images.device, 0, 5)
        for _ in range(2):
            source.begin_batch()
            for index, part in enumerate(images.chunk(processes)[rank].chunk(parts)):
                with source.part(index, parts):
                    found.append(torch.stack([change(part), change(part)]))
        rows.append(found)
    whole = len(rows[0]) // 2
    return [torch.cat([part for found in rows for part in found[half : half + whole]], 1) for half in (0, whole)]


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize(("parts", "processes"), [(4, 1), (1, 2), (2, 2)])
def test_parts_and_processes_draw_what_the_whole_batch_draws(name, parts, processes, monkeypatch):
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = one_step(images, RANDOM[name], 1, monkeypatch)
    split = one_step(images, RANDOM[name], parts, monkeypatch, processes)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert not torch.equal(whole[0], whole[1]) and not torch.equal(whole[0][0], whole[0][1])


def test_outside_of_a_step_numbers_are_torchs_own():
    images = torch.zeros(3, 1)
    torch.manual_seed(1)
    expected = torch.rand(3, 2)
    torch.manual_seed(1)
    assert torch.equal(draws.rand(images, 2), expected)
    with pytest.raises(ValueError, match="inside"):
        source = BatchDraws()
        source.begin_step(images.device, 0)
        source.begin_batch()
        with source.part(0, 2):
            raise ValueError("inside")
    assert draws.current is None

"""Twenty steps of five games, with the losses and weights they had before the code was last rearranged.

`python tests/test_golden.py` writes the files again: do so only where the mathematics is meant to change, and say so.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning import Callback
from torch import Tensor, nn

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
STEPS = 20
# With Adam's eps of 1e-8 the rounding of a gradient that is 0 decides the direction of a whole step.
COMMON = ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3", "trainer=cpu"]
SMALL = ["model.base_channels=8", "model.latent_dim=8", "training.batch_size=16"]
GAMES = {
    "digits_nonsat_r1": [*SMALL, "dataset=digits", "regularizer=r1"],
    "ring": ["experiment=ring"],
    "wasserstein_gradient_penalty": [
        *["dataset=synthetic", "model=mlp", "loss=wasserstein", "regularizer=gradient_penalty"],
        *["game.critic_steps=5", "training.batch_size=16"],
    ],
    "relativistic_ada_lecam": [
        *SMALL,
        *["dataset=digits", "loss=relativistic", "regularizer=[r1_r2,lecam]", "augment=ada", "augment.ramp=1000"],
    ],
    "packed_accumulated": [
        *[
            "dataset=ring",
            "loss=hinge",
            "regularizer=r1",
            "game.pack=2",
            "training.accumulate=2",
            "training.batch_size=64",
        ],
    ],
}


class Losses(Callback):
    """Both players' losses at every step."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.rows.append([float(pl_module.last_step.losses[player]) for player in ("discriminator", "generator")])


def checksum(network: nn.Module) -> dict[str, float]:
    """Norm of all weights and averages, and their projection on a fixed direction."""
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    flat = torch.cat([tensor.flatten().double() for tensor in tensors])
    direction = torch.arange(1, len(flat) + 1).double().mul(math.sqrt(2)).cos()
    return {"norm": float(flat.norm()), "projection": float(flat @ direction) / math.sqrt(len(flat))}


def played(name: str, folder: str) -> dict[str, Any]:
    """The losses of 20 steps, and the checksums after them."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*GAMES[name], *COMMON, "run.name=golden"])
    config.run.folder = folder
    config.callbacks, config.logger = {}, {}
    config.run.images = STEPS * config.training.batch_size * config.game.critic_steps
    built = build(validate(config))
    losses = Losses()
    built.trainer.callbacks.append(losses)
    before = [tensor.clone() for tensor in built.module.generator.parameters()]
    built.trainer.fit(built.module, datamodule=built.data)
    networks: dict[str, Any] = {
        "discriminator": built.module.discriminator,
        "generator": built.module.generator,
        "average": built.module.ema.network,
    }
    return {
        "losses": losses.rows,
        **{part: checksum(network) for part, network in networks.items()},
        **moved(before, built.module),
    }


def moved(before: list[Tensor], gan: Any) -> dict[str, float]:
    """How far the generator has come."""
    pairs = zip(before, gan.generator.parameters(), strict=True)
    return {"generator_moved": math.sqrt(sum(float((old - new).square().sum()) for old, new in pairs))}


@pytest.mark.parametrize("name", GAMES)
def test_twenty_steps_are_what_they_were(name, tmp_path):
    expected, found = json.loads((GOLDEN / f"{name}.json").read_text()), played(name, str(tmp_path))
    assert len(found["losses"]) == STEPS
    assert torch.tensor(found["losses"]).allclose(torch.tensor(expected["losses"]), rtol=1e-4, atol=1e-6)
    assert found["generator_moved"] == pytest.approx(expected["generator_moved"], rel=1e-4)
    for part in ("discriminator", "generator", "average"):
        assert found[part]["norm"] == pytest.approx(expected[part]["norm"], rel=1e-4), part
        # The projection has the size of one weight: measured against the norm it would see nothing.
        size = abs(expected[part]["projection"])
        assert found[part]["projection"] == pytest.approx(expected[part]["projection"], abs=1e-4 * max(size, 1e-2)), (
            part
        )


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for name in GAMES:
        (GOLDEN / f"{name}.json").write_text(f"{json.dumps(played(name, 'outputs/golden'), indent=1)}\n")

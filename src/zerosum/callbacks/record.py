"""The curves of the two players."""

from typing import Any

from lightning import Callback, Trainer

from zerosum.augment import Ada
from zerosum.callbacks import log_metrics, passed
from zerosum.gan import GAN


class Record(Callback):
    """Losses, mean D(x) and D(G(z)), penalties and ADA's probability to the loggers, every `every` images."""

    def __init__(self, every: int = 2_000) -> None:
        self.every = every

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """When due: reading a value waits for the device, so it is done on no other step."""
        if passed(pl_module, self.every):
            log_metrics(trainer, pl_module, curves(pl_module))


def curves(gan: GAN) -> dict[str, float]:
    """The last step's numbers; d_real is the mean of sigmoid(D(x)), d_fake that of sigmoid(D(G(z)))."""
    turn = gan.turn
    return {
        "loss_discriminator": float(turn.discriminator_loss),
        "loss_generator": float(turn.generator_loss),
        "d_real": float(turn.real_logits.sigmoid().mean()),
        "d_fake": float(turn.fake_logits.sigmoid().mean()),
        **{f"regularizer/{name}": float(penalty) for name, penalty in turn.penalties.items()},
        **({"augment/probability": gan.augment.probability} if isinstance(gan.augment, Ada) else {}),
    }

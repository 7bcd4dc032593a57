"""Libraries say nothing that the user can do nothing about."""

import logging
import os
import warnings

SILENCED = (
    r".*does not have many workers.*",
    r".*IterableDataset.*__len__.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r".*The given NumPy array is not writable.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*pkg_resources is deprecated.*",
    r".*was called before the ``update`` method.*",  # the sums of real pictures come from the cache
    r".*module\(s\) in eval mode at the start of training.*",  # the moving average
    r".*You have overridden `transfer_batch_to_device`.*",
    r".*Metric `.*` will save all .* in buffer.*",
)


def silence_worker() -> None:
    """One process of several speaks and writes the log."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logging.FileHandler)]
    logging.getLogger("zerosum").setLevel(logging.WARNING)


def hush() -> None:
    """Filter Lightning's adverts and remarks, and W&B's chatter."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in SILENCED:
        warnings.filterwarnings("ignore", pattern)
    os.environ.setdefault("WANDB_SILENT", "true")

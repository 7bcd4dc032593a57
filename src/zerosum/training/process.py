"""Settings of the process that trains, each measured by benchmarks/training_speed.py."""

import ctypes
import logging
import os
import platform
import warnings

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def prepare_process() -> None:
    """Apply all settings; call once, before training."""
    keep_large_blocks()
    ask_cuda_cheaply()


def keep_large_blocks() -> None:
    """Let glibc keep freed memory: by default each large block is mapped anew, and every page of it faults.

    On CPU a training step allocates and frees hundreds of megabytes. Other C libraries are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def ask_cuda_cheaply() -> None:
    """Undo PYTORCH_NVML_BASED_CUDA_CHECK, which importing Lightning sets for forked processes; zerosum forks none.

    With it, every optimizer step asks for CUDA by trying to load NVIDIA's library from disk.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


SILENCED = (
    r".*does not have many workers.*",
    r".*IterableDataset.*__len__.*",
    r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
    r".*The given NumPy array is not writable.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*pkg_resources is deprecated.*",
    r".*was called before the ``update`` method.*",  # statistics of real images come from the cache
    r".*module\(s\) in eval mode at the start of training.*",  # the moving average
    r".*You have overridden `transfer_batch_to_device`.*",
    r".*Metric `.*` will save all .* in buffer.*",
)


def silence_worker() -> None:
    """Silence a further process of a run: the first one logs."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logging.FileHandler)]
    logging.getLogger("zerosum").setLevel(logging.WARNING)


def silence_libraries() -> None:
    """Silence advertisements and irrelevant warnings of Lightning, and W&B's messages."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in SILENCED:
        warnings.filterwarnings("ignore", pattern)
    os.environ.setdefault("WANDB_SILENT", "true")

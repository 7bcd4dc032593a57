"""Settings of the process that trains; each was found by measuring (see benchmarks/training_speed.py)."""

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def prepare_process() -> None:
    """Call once, before training."""
    keep_large_blocks()
    ask_cuda_cheaply()


def keep_large_blocks() -> None:
    """Tell glibc to keep large freed blocks: by default each is a new mapping, whose pages all fault anew.

    On CPU a training step allocates and frees hundreds of megabytes. Nothing where the C library is another.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def ask_cuda_cheaply() -> None:
    """Undo a setting that importing Lightning makes for the sake of forked processes, which zerosum has none of.

    With it, every optimizer step asks whether there is CUDA by trying to load NVIDIA's library from disk.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"

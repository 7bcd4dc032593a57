"""Settings of the C allocator."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_large_blocks() -> None:
    """Tell glibc to keep large freed blocks: by default each is a new mapping, whose pages all fault anew.

    On CPU a training step allocates and frees hundreds of megabytes (see benchmarks/). Nothing elsewhere.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)

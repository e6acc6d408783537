"""Memory of the process: large blocks are kept for the next batch."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`, from its malloc.h."""


def keep_memory() -> None:
    """Let the C library keep large blocks that were freed, where it is glibc.

    By default, glibc takes every large tensor from the system and returns it when it is freed,
    and the system clears each page anew. That takes up to half of the time of a forward pass on
    a CPU. Afterwards freed blocks serve the next tensors, so that the process keeps its largest
    size. Results are the same. Elsewhere nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)

"""Memory of a block's arrays, kept from one block to the next."""

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of the C library's ``mallopt`` (its malloc.h)."""
LARGE = 2**25
"""Bytes above which an array is given back when it is freed; a block's arrays are smaller."""
KEPT = 2**28
"""Bytes of freed memory that stay with the process."""


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, and say whether it does; elsewhere than on Linux do nothing.

    By default glibc gives arrays of this size back to the system and asks for them again, page by page, in
    the next block: a tenth of a block's time, and more where many processes ask.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGE) and mallopt(M_TRIM_THRESHOLD, KEPT))

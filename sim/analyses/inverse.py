"""Inverses of many small positive definite matrices at once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SINGULAR = 1e-11
"""A pivot below this share of its own diagonal element is a linear dependence."""


def invert(matrices: Floats) -> tuple[Floats, Floats]:
    """Inverse and log determinant of symmetric positive definite matrices.

    Parameters
    ----------
    matrices
        (..., n, n).

    Returns
    -------
    inverse, log_determinant
        (..., n, n) and (...,); nan where a matrix is not positive definite or nearly singular.

    Notes
    -----
    Gauss-Jordan elimination without pivoting, which is stable for these matrices; the pivots are the
    conditional variances (the sweep operator: Goodnight 1979, The American Statistician 33: 149-158).
    """
    n = matrices.shape[-1]
    # the batch goes last, so that each step is one pass over contiguous numbers for all matrices together
    work = np.ascontiguousarray(matrices.reshape(-1, n, n).transpose(1, 2, 0))
    limit = SINGULAR * np.abs(work[np.arange(n), np.arange(n)])
    log_determinant = np.zeros(work.shape[2])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for k in range(n):
            pivot = np.where(work[k, k] > limit[k], work[k, k], np.nan)
            log_determinant += np.log(pivot)
            column, row = work[:, k].copy(), work[k] / pivot
            work -= column[:, None] * row
            work[k] = row
            work[:, k] = -column / pivot
            work[k, k] = 1 / pivot
    return np.ascontiguousarray(work.transpose(2, 0, 1)).reshape(matrices.shape), log_determinant.reshape(
        matrices.shape[:-2]
    )

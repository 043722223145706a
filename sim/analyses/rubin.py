"""Rubin's rules: one estimate from the analyses of several completed data sets."""

import numpy as np

from sim.analyses.base import Estimate, Floats


def pool(estimates: Floats, variances: Floats, df: Floats, n: Floats) -> Estimate:
    """Pool over imputations, the first axis.

    The variance is W + (1 + 1/m) B, within and between imputations (Rubin 1987, doi:10.1002/9780470316696);
    degrees of freedom for small samples by Barnard & Rubin (1999, doi:10.1093/biomet/86.4.948), those of the
    complete data where no imputation differs from another.

    Parameters
    ----------
    estimates, variances
        (imputation, ...).
    df
        Of the complete data, (...).
    n
        Patients, (...).
    """
    m = len(estimates)
    between = (1 + 1 / m) * estimates.var(axis=0, ddof=1)
    total = variances.mean(axis=0) + between
    with np.errstate(divide="ignore", invalid="ignore"):
        share = between / total
        seen = np.where(np.isinf(df), 1 - share, (df + 1) / (df + 3) * df * (1 - share))
        # 1 / (1 / old + 1 / seen), with old = (m − 1) / share²
        pooled = seen * (m - 1) / (m - 1 + seen * share**2)
        pooled = np.where(np.isinf(df), (m - 1) / share**2, pooled)
    pooled = np.where(np.ptp(estimates, axis=0) == 0, df, pooled)
    return Estimate.by_t(estimates.mean(axis=0), np.sqrt(total), pooled, n)

"""Quantiles of the normal distribution for a whole block, four times as fast as one after the other."""

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from sim.core.loops import compiled

Floats = NDArray[np.float64]


def quantile(p: Floats) -> Floats:
    """Standard normal quantile of probabilities, (patient, replicate): ``scipy.special.ndtri`` to 1e-15.

    Wichura 1988, doi:10.2307/2347330, algorithm AS 241 (PPND16).
    """
    found = np.empty_like(p)
    fill_middle(p, found)
    fill_tails(p, found)
    return found


# fmt: off
@compiled
def fill_middle(p: Floats, out: Floats) -> None:
    """Write the quantiles of ``p`` into ``out``, (patient, replicate), right for 0.075 to 0.925.

    A ratio of polynomials for all of them, so that there is no branch.
    """
    patients, replicates = p.shape
    for i in range(patients):
        for j in range(replicates):
            q = p[i, j] - 0.5
            r = 0.180625 - q * q
            out[i, j] = q * (((((((r * 2509.0809287301226727 + 33430.575583588128105) * r
                + 67265.770927008700853) * r + 45921.953931549871457) * r + 13731.693765509461125) * r
                + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608) / (
                ((((((r * 5226.495278852545925 + 28729.085735721942674) * r + 39307.89580009271061) * r
                + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
                + 42.313330701600911252) * r + 1.0)


@compiled
def fill_tails(p: Floats, out: Floats) -> None:
    """Write the other quantiles into ``out``: they are found first, since they are few."""
    patients, replicates = p.shape
    where = np.empty(replicates, dtype=np.int64)
    for i in range(patients):
        tails = 0
        for j in range(replicates):
            where[tails] = j
            tails += abs(p[i, j] - 0.5) > 0.425
        for k in range(tails):
            j = where[k]
            tail = min(p[i, j], 1 - p[i, j])
            r = sqrt(-log(tail)) if tail > 0 else np.inf
            if r == np.inf:
                value = r
            elif r <= 5:
                r -= 1.6
                value = (((((((r * 7.7454501427834140764e-4 + .0227238449892691845833) * r
                    + .24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504) * r
                    + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734) / (
                    ((((((r * 1.05075007164441684324e-9 + 5.475938084995344946e-4) * r
                    + .0151986665636164571966) * r + .14810397642748007459) * r + .68976733498510000455) * r
                    + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0)
            else:
                r -= 5.0
                value = (((((((r * 2.01033439929228813265e-7 + 2.71155556874348757815e-5) * r
                    + .0012426609473880784386) * r + .026532189526576123093) * r + .29656057182850489123) * r
                    + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772) / (
                    ((((((r * 2.04426310338993978564e-15 + 1.4215117583164458887e-7) * r
                    + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r
                    + .0148753612908506148525) * r
                    + .13692988092273580531) * r + .59983220655588793769) * r + 1.0)
            out[i, j] = value if p[i, j] > 0.5 else -value

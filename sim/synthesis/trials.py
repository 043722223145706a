"""Each study beside the pooled effect: as reported, as the fit sees it, and the mean over trials."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.synthesis.course import Course
from sim.synthesis.direct import Reported
from sim.synthesis.network import Floats, Network

Z = 1.959963984540054


def pair_order(course: Course) -> tuple[str, ...]:
    """Treatments with the reference first, then from the least to the most effective: a pair is told as
    the later against the earlier."""
    mean = course.draws["effect"].mean(axis=0)
    others = sorted(course.treatments[1:], key=lambda name: -mean[course.treatments.index(name)])
    return (course.treatments[0], *others)


def trial_table(
    reported: Sequence[Reported], network: Network, course: Course, fitted: Floats
) -> pd.DataFrame:
    """Differences in mean rating within each study, points of 0 to 10, near its end of treatment.

    ``reported`` as printed, with its 95 % interval; ``shrunken``: the study's own difference in the fit,
    pulled towards the others; ``pooled``: the fit's mean over trials at that week.

    Parameters
    ----------
    fitted
        Posterior draws of what each row would read without sampling error, shape (draw, row).
    """
    order, rows = pair_order(course), []
    for one in reported:
        end = float(network.end[network.studies.index(one.study)])
        comparator, *others = sorted(one.treatments, key=order.index)
        for treatment in others:
            value = float(one.difference(treatment, comparator, network.observed))
            se = one.se(treatment, comparator)
            own = one.difference(treatment, comparator, fitted)
            pooled = course.difference((treatment, comparator), one.week, end)
            rows.append(
                {
                    "study": one.study,
                    "treatment": treatment,
                    "comparator": comparator,
                    "week": one.week,
                    "reported": value,
                    "se": se,
                    "reported_low": value - Z * se,
                    "reported_high": value + Z * se,
                    **_summary("shrunken", own),
                    **_summary("pooled", pooled),
                }
            )
    return pd.DataFrame(rows)


def _summary(name: str, draws: Floats) -> dict[str, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return {name: float(draws.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}

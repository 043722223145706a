"""Pooled results that stayed out of the fit, beside what the fit says at their week."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.synthesis.course import Course


def check_table(
    course: Course, checks: pd.DataFrame, ends: Mapping[str, float], usual: float
) -> pd.DataFrame:
    """Each result with the fit's difference in mean ratings; ``z`` near 0 is agreement.

    Both are means over trials, so the fit's SD has no between-trial part; ``z`` is their difference over the
    root of the sum of both squared errors. Empty where the network has not both treatments.

    Parameters
    ----------
    checks
        As ``harmonise.Harmonised.checks``.
    ends
        Week at which treatment ended, by study.
    usual
        Length of a course, weeks, for a result that gives no week: it is taken as seen at its end.
    """
    rows = []
    for row in checks.to_dict("records"):
        told = {key: row[key] for key in ("study_id", "treatment", "comparator", "weeks")}
        pair = (str(row["treatment"]), str(row["comparator"]))
        end = ends.get(str(row["study_id"]), np.nan)
        end = usual if np.isnan(end) else end
        week = end if np.isnan(row["weeks"]) else float(row["weeks"])
        made = course.difference(pair, week, end) if course.knows(*pair) else np.array([np.nan, np.nan])
        fit, sd = float(made.mean()), float(made.std(ddof=1))
        low, high = np.quantile(made, (0.025, 0.975))
        rows.append(
            {
                **told,
                "week_compared": week,
                "reported": row["value"],
                "se": row["se"],
                "fit": fit,
                "fit_sd": sd,
                "fit_low": low,
                "fit_high": high,
                "z": (row["value"] - fit) / np.hypot(row["se"], sd),
                "note": row["note"],
            }
        )
    return pd.DataFrame(rows)

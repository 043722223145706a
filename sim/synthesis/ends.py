"""When treatment ended in each study."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sim.synthesis.question import NetworkQuestion


def treatment_ends(config: NetworkQuestion, rows: pd.DataFrame) -> dict[str, float]:
    """Week at which treatment ended, by study of ``rows`` (columns ``study_id``, ``weeks``).

    Where the configuration says; else the primary week; else, for reviews, the last week that ``rows``
    report: they are taken as seen during treatment.
    """
    studies = config.tables.studies
    primary = studies.loc[studies["weeks_primary"].notna(), ["study_id", "weeks_primary"]]
    last = rows.groupby("study_id")["weeks"].max()
    ends = {str(study): float(week) for study, week in last.items()}
    ends |= {str(s): float(w) for s, w in primary.itertuples(index=False)}
    return ends | {end.study: end.weeks for end in config.treatment_ends}


def typical_end(ends: Mapping[str, float]) -> float:
    """Median length of a course, weeks."""
    return float(np.median([end for end in ends.values() if np.isfinite(end)]))

"""Verdicts of a review that gives no sizes, beside the probability that the fit gives a difference."""

from typing import Any

import numpy as np
import pandas as pd

from sim.evidence import Evidence
from sim.synthesis.draws import Arrays

MARK = "verdict only: "
"""How the evidence tables mark a contrast that says whether, not how much."""
WORTH = -0.5
"""Points of 0 to 10: a small but noticeable difference."""


def verdict_rows(tables: Evidence, stage: str, reference: str) -> pd.DataFrame:
    """Verdicts on pain against the reference at this stage: study, treatment and what was said."""
    rows = tables.contrasts
    mine = rows[
        rows["note"].str.startswith(MARK)
        & (rows["outcome"] == "pain")
        & (rows["comparator"] == reference)
        & (rows["population"].str.split(" ").str[0] == stage)
    ]
    said = mine["note"].str.removeprefix(MARK).str.split("[;,]", regex=True).str[0]
    return mine.assign(verdict=said)[["study_id", "treatment", "verdict", "note"]].reset_index(drop=True)


def verdict_table(draws: Arrays, rows: pd.DataFrame) -> pd.DataFrame:
    """Set each verdict beside the posterior of the treatment's mean effect on latent pain.

    ``p_below_0`` and ``p_below_half_point`` are probabilities of any benefit, and of half a point or more;
    empty where the network has not the treatment.
    """
    names = [str(name) for name in draws["treatments"]]
    made: list[dict[str, Any]] = []
    for row in rows.to_dict("records"):
        told: dict[str, Any] = {key: row[key] for key in ("study_id", "treatment", "verdict")}
        if row["treatment"] in names:
            k = names.index(row["treatment"])
            effect = draws["effect"][:, k]
            low, high = np.quantile(effect, (0.025, 0.975))
            told |= {"basis": str(draws["basis"][k]), "mean": effect.mean(), "low": low, "high": high}
            told |= {
                "p_below_0": (effect < 0).mean(),
                "p_below_half_point": (effect < WORTH).mean(),
            }
        else:
            told["basis"] = "not in the network"
        made.append({**told, "note": row["note"]})
    columns = ["study_id", "treatment", "verdict", "basis", "mean", "low", "high", "p_below_0",
               "p_below_half_point", "note"]  # fmt: skip
    return pd.DataFrame(made, columns=columns)

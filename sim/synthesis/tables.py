"""Tables of a fit: effects, the check against pooled results that stayed out, and the sources used."""

import numpy as np
import pandas as pd

from sim.synthesis.draws import Arrays
from sim.synthesis.harmonise import Harmonised
from sim.synthesis.network import Network

DIRECT, INDIRECT, BORROWED = "direct", "indirect", "borrowed"
INTERVAL = (0.025, 0.975)


def basis_of(network: Network, entries: pd.DataFrame, indirect: frozenset[str]) -> tuple[str, ...]:
    """Say on what each treatment's effect rests.

    ``direct``: a trial or review of the condition itself enters; ``indirect``: only studies of another
    condition; ``borrowed``: no study at all, the class alone.
    """
    found = []
    for treatment in network.treatments:
        studies = _studies(entries, treatment)
        found.append(BORROWED if not studies else INDIRECT if studies <= indirect else DIRECT)
    return tuple(found)


def _studies(entries: pd.DataFrame, treatment: str) -> set[str]:
    used = entries[(entries["weeks"] > 0) & _names(entries, treatment)]
    return set(used["study_id"])


def _names(entries: pd.DataFrame, treatment: str) -> pd.Series:
    named: pd.Series = (entries["treatment"] == treatment) | (entries["comparator"] == treatment)
    return named


def effects_table(draws: Arrays, entries: pd.DataFrame) -> pd.DataFrame:
    """Effect of each treatment on the latent scale against the reference, at the end of its course.

    ``trials`` and ``patients`` count those that inform the treatment (a review counts its trials where it
    prints them; patients of contrasts are those of both sides).
    """
    rows = []
    for k, treatment in enumerate(draws["treatments"]):
        value = draws["effect"][:, k]
        low, high = np.quantile(value, INTERVAL)
        rows.append(
            {
                "treatment": str(treatment),
                "class": str(draws["classes"][draws["class_of"][k]]),
                "mean": float(value.mean()),
                "sd": float(value.std(ddof=1)),
                "low": float(low),
                "high": float(high),
                "trials": _trials(entries, str(treatment)),
                "patients": _patients(entries, str(treatment)),
                "basis": str(draws["basis"][k]),
            }
        )
    return pd.DataFrame(rows)


def _trials(entries: pd.DataFrame, treatment: str) -> int:
    mine = entries[_names(entries, treatment) & (entries["weeks"] > 0)]
    return int(mine.groupby("study_id")["k"].max().sum())


def _patients(entries: pd.DataFrame, treatment: str) -> int:
    """Largest number seen in each arm or contrast, summed; 0 where none was printed."""
    mine = entries[_names(entries, treatment) & (entries["weeks"] > 0)]
    arms = mine[mine["form"] != "contrast"].groupby(["study_id", "unit"])["n"].max().sum()
    pairs = mine[mine["form"] == "contrast"].groupby("study_id")["n"].max().sum()
    return round(arms + pairs)


def check_table(draws: Arrays, harmonised: Harmonised) -> pd.DataFrame:
    """Pooled results that stayed out beside what the fit says; ``z`` near 0 is agreement.

    The fit's difference is that at the end of a course, and on the latent scale, with the
    between-trial SD of a new trial left out: both are means over trials.
    """
    rows = []
    for row in harmonised.checks.to_dict("records"):
        made = _fitted_difference(draws, (row["treatment"], row["comparator"]))
        z = (row["value"] - made[0]) / np.hypot(row["se"], made[1])
        told = {key: row[key] for key in ("study_id", "treatment", "comparator")}
        reported = {"weeks": row["weeks"], "reported": row["value"], "se": row["se"]}
        rows.append({**told, **reported, "fit": made[0], "fit_sd": made[1], "z": z, "note": row["note"]})
    return pd.DataFrame(rows)


def _fitted_difference(draws: Arrays, pair: tuple[str, str]) -> tuple[float, float]:
    """Mean and SD of the difference of two treatments; nan where the network has not both."""
    names = [str(t) for t in draws["treatments"]]
    if not set(pair) <= set(names):
        return np.nan, np.nan
    first, second = (draws["effect"][:, names.index(name)] for name in pair)
    value = first - second
    return float(value.mean()), float(value.std(ddof=1))


def sources_table(studies: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Citation, DOI and page of each study that entered."""
    used = studies[studies["study_id"].isin(entries["study_id"])]
    return used[["study_id", "citation", "doi", "source_url"]].rename(columns={"source_url": "url"})

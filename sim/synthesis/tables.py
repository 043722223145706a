"""Tables of a fit: effects, ranks and the sources used."""

import numpy as np
import pandas as pd

from sim.synthesis.draws import Arrays
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
        studies = studies_of(entries, treatment)
        found.append(BORROWED if not studies else INDIRECT if studies <= indirect else DIRECT)
    return tuple(found)


def studies_of(entries: pd.DataFrame, treatment: str) -> set[str]:
    """Studies whose follow-up names the treatment, on either side."""
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


def rank_table(draws: Arrays) -> pd.DataFrame:
    """Rank of each treatment that some study informs, by its mean effect; 1 is the best (lowest pain).

    ``sucra`` is the surface under the cumulative ranking curve, (treatments − mean rank)/(treatments − 1)
    (Salanti et al. 2011, doi:10.1016/j.jclinepi.2010.03.016); ``rank_1`` … are the ranks' probabilities.
    """
    known = np.flatnonzero(draws["basis"] != BORROWED)
    rank = draws["effect"][:, known].argsort(axis=1).argsort(axis=1) + 1
    size = len(known)
    mean = rank.mean(axis=0)
    table = pd.DataFrame(
        {
            "treatment": draws["treatments"][known],
            "basis": draws["basis"][known],
            "mean_rank": mean,
            "sucra": (size - mean) / (size - 1),
            "p_best": (rank == 1).mean(axis=0),
            **{f"rank_{r}": (rank == r).mean(axis=0) for r in range(1, size + 1)},
        }
    )
    return table.sort_values("sucra", ascending=False, ignore_index=True)


def sources_table(studies: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Citation, DOI and page of each study that entered."""
    used = studies[studies["study_id"].isin(entries["study_id"])]
    return used[["study_id", "citation", "doi", "source_url"]].rename(columns={"source_url": "url"})

"""How much of a treatment's effect is one study: where one or two studies are all there is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sim.mixtures import NormalMixture
from sim.mixtures.effective_sample_size import moment
from sim.synthesis.tables import studies_of

MOST_STUDIES = 2
COLUMNS = ["treatment", "study", "mean_without", "sd_without", "mean_with", "sd_with", "share",
           "patients_per_arm_without", "patients_per_arm", "converged"]  # fmt: skip


def effect_moments(effect: Any, tau: Any, treatments: Sequence[str]) -> dict[str, dict[str, float]]:
    """Mean and SD of each treatment's mean effect, and the SD of its effect in a new trial.

    Parameters
    ----------
    effect
        Shape (draw, treatment), latent points against the reference.
    tau
        SD of effects between trials, shape (draw,).
    """
    between = float(np.mean(np.square(tau)))
    return {
        name: {
            "mean": float(effect[:, k].mean()),
            "sd": float(effect[:, k].std(ddof=1)),
            "sd_new": float(np.sqrt(effect[:, k].var(ddof=1) + between)),
        }
        for k, name in enumerate(treatments)
    }


def share_table(
    entries: pd.DataFrame,
    whole: Mapping[str, Mapping[str, float]],
    folds: Sequence[Mapping[str, Any]],
    patient_sd: float,
) -> pd.DataFrame:
    """Each study of a treatment that has at most two, with the fit that leaves its follow-up out.

    ``share`` is the part of the mean effect's precision that goes with the study,
    1 − sd_with²/sd_without²; below 0 where the study speaks against the others. ``patients_per_arm`` is the
    worth of the design prior (the effect in a new trial): the size of the arms of a two-arm trial whose
    difference is as precise (moment effective sample size).

    Parameters
    ----------
    whole, folds
        ``effect_moments`` of the fit of all studies; each fold with ``study``, ``effects``, ``diagnostics``.
    patient_sd
        SD of ratings between patients, points.
    """
    without = {str(fold["study"]): fold for fold in folds}
    rows = []
    for treatment, told in list(whole.items())[1:]:
        studies = sorted(studies_of(entries, treatment))
        for study in studies if len(studies) <= MOST_STUDIES else ():
            left = without[study]["effects"][treatment]
            rows.append(
                {
                    "treatment": treatment,
                    "study": study,
                    "mean_without": left["mean"],
                    "sd_without": left["sd"],
                    "mean_with": told["mean"],
                    "sd_with": told["sd"],
                    "share": 1 - (told["sd"] / left["sd"]) ** 2,
                    "patients_per_arm_without": _worth(left, patient_sd),
                    "patients_per_arm": _worth(told, patient_sd),
                    "converged": without[study]["diagnostics"]["converged"],
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def _worth(effect: Mapping[str, float], patient_sd: float) -> float:
    """Patients per arm: a difference of two arms varies as one observation of variance 2 sd² does, over n."""
    return moment(NormalMixture.of((1.0, effect["mean"], effect["sd_new"]), sigma=np.sqrt(2) * patient_sd))

"""What a fit says of results that stayed out, of verdicts, ranks and single trials."""

import numpy as np
import pandas as pd
import pytest

from sim.evidence import load_evidence
from sim.synthesis.checks import check_table
from sim.synthesis.course import Course
from sim.synthesis.draws import Arrays
from sim.synthesis.prior_share import effect_moments, share_table
from sim.synthesis.tables import rank_table
from sim.synthesis.verdicts import verdict_rows, verdict_table
from tests.synthesis.small_network import SPREAD, Truth, latent, rows, seen

SIZE = 400
TRUTH = Truth(
    effect={"placebo": 0.0, "nsaid": -0.8, "exercise": -1.2},
    response=1.5,
    response_half=2.5,
    effect_half=3.0,
    persistence=10.0,
    study_baseline=(6.0,),
    study_response=(1.5,),
    end=12.0,
)


def draws(sd: float = 0.0) -> Arrays:
    """Draws at the truth; effects scatter by ``sd``."""
    noise = sd * np.random.default_rng(1).standard_normal((SIZE, 3))
    noise[:, 0] = 0
    return {
        "treatments": np.array(list(TRUTH.effect)),
        "classes": np.array(["inert", "drug", "physical"]),
        "class_of": np.array([0, 1, 2]),
        "basis": np.array(["direct", "direct", "borrowed"]),
        "effect": np.array(list(TRUTH.effect.values())) + noise,
        "response": np.full(SIZE, TRUTH.response),
        "response_half_weeks": np.full(SIZE, TRUTH.response_half),
        "effect_half_weeks": np.full((SIZE, 3), TRUTH.effect_half),
        "persistence_half_weeks": np.full((SIZE, 3), TRUTH.persistence),
        "study_baseline": np.full((SIZE, 1), 6.0),
    }


@pytest.mark.parametrize("week", [0.0, 3.0, 12.0, 30.0])
@pytest.mark.parametrize("treatment", ["placebo", "nsaid", "exercise"])
def test_the_course_is_the_documented_formula_on_the_clipped_scale(treatment: str, week: float) -> None:
    """Twin: the formula written out by hand, the clipped mean by numerical integration."""
    course = Course(draws(), SPREAD)
    assert course.observed(treatment, week, 12.0)[0] == pytest.approx(
        seen(latent(TRUTH, 0, treatment, week), sd=float(SPREAD.sd(week))), abs=1e-4
    )


def checks() -> pd.DataFrame:
    """Two reviews: one at its week, one without."""
    made = rows(0, ["nsaid", "exercise"], [6.0]).assign(
        comparator="placebo", value=[-0.5, -2.0], se=[0.1, 0.2]
    )
    made.loc[1, "weeks"] = np.nan
    return made.assign(study_id=["early", "late"])


def test_a_check_is_compared_at_its_own_week_on_the_scale_of_ratings() -> None:
    table = check_table(Course(draws(0.1), SPREAD), checks(), {"early": 12.0}, usual=12.0).set_index(
        "study_id"
    )
    early = table.loc["early"]
    at_six = seen(latent(TRUTH, 0, "nsaid", 6.0)) - seen(latent(TRUTH, 0, "placebo", 6.0))
    at_end = seen(latent(TRUTH, 0, "nsaid", 12.0)) - seen(latent(TRUTH, 0, "placebo", 12.0))
    assert early["fit"] == pytest.approx(at_six, abs=0.02)
    assert abs(at_six - at_end) > 0.1, "the week must matter for this test to show anything"
    assert early["z"] == pytest.approx((-0.5 - early["fit"]) / np.hypot(0.1, early["fit_sd"]), rel=1e-9)
    assert table.loc["late", "week_compared"] == 12.0
    assert table.loc["late", "fit"] > -1.2, (
        "clipping at the floor makes the rated effect smaller than the latent"
    )


def test_a_check_of_an_unknown_treatment_has_no_fit() -> None:
    table = check_table(Course(draws(), SPREAD), checks().assign(treatment="heat"), {}, usual=12.0)
    assert table["fit"].isna().all()
    assert table["z"].isna().all()


def test_the_verdicts_are_those_of_the_stage() -> None:
    """Of the eleven in the tables five are efficacious in chronic pain and one in acute (evidence README)."""
    tables = load_evidence()
    chronic, acute = (verdict_rows(tables, stage, "placebo") for stage in ("chronic", "acute"))
    assert set(chronic["study_id"]) | set(acute["study_id"]) == {"cashin2025"}
    said = dict(zip(chronic["treatment"], chronic["verdict"], strict=True))
    assert {t for t, v in said.items() if v == "efficacious"} == {
        "exercise", "spinal_manipulation", "taping", "antidepressant_other", "trpv1_agonist",
    }  # fmt: skip
    assert dict(zip(acute["treatment"], acute["verdict"], strict=True)) == {
        "nsaid": "efficacious",
        "exercise": "not efficacious",
        "glucocorticoid": "not efficacious",
        "paracetamol": "not efficacious",
    }


def test_a_verdict_stands_beside_the_share_of_draws() -> None:
    made = draws(0.4)
    told = verdict_rows(load_evidence(), "acute", "placebo")
    table = verdict_table(made, told).set_index("treatment")
    nsaid = made["effect"][:, 1]
    assert table.loc["nsaid", "p_below_0"] == pytest.approx(np.mean(nsaid < 0))
    assert table.loc["nsaid", "p_below_half_point"] == pytest.approx(np.mean(nsaid < -0.5))
    assert 0 < table.loc["nsaid", "p_below_half_point"] < table.loc["nsaid", "p_below_0"]
    assert table.loc["glucocorticoid", "basis"] == "not in the network"
    assert np.isnan(table.loc["glucocorticoid", "p_below_0"])


def test_ranks_are_of_treatments_that_studies_inform() -> None:
    made = draws(0.4)
    table = rank_table(made).set_index("treatment")
    assert list(table.index) == ["nsaid", "placebo"], "exercise is borrowed here"
    better = np.mean(made["effect"][:, 1] < 0)
    assert table.loc["nsaid", "p_best"] == table.loc["nsaid", "sucra"] == pytest.approx(better)
    assert table["sucra"].sum() == pytest.approx(1.0)
    assert table[["rank_1", "rank_2"]].to_numpy().sum(axis=1) == pytest.approx(1.0)


def test_the_share_of_a_single_trial_is_that_of_a_conjugate_update() -> None:
    """A prior of SD 1 and a trial of standard error 0.5: 80 % of the precision, SD 0.447."""
    entries = pd.concat([rows(0, ["placebo", "nsaid"], [12.0]), rows(1, ["placebo", "exercise"], [12.0])])
    with_it = {name: {"mean": -0.8, "sd": np.sqrt(0.2), "sd_new": 0.5} for name in ("placebo", "nsaid")}
    without = {name: {"mean": 0.0, "sd": 1.0, "sd_new": 1.0} for name in ("placebo", "nsaid")}
    fold = {"study": "s0", "effects": without, "diagnostics": {"converged": True}}
    (row,) = share_table(entries, with_it, [fold], patient_sd=2.0).to_dict("records")
    assert (row["treatment"], row["study"]) == ("nsaid", "s0")
    assert row["share"] == pytest.approx(0.8)
    # n per arm at which a difference has the prior's variance: 2 * 2**2 / 0.25 and 2 * 2**2 / 1
    assert row["patients_per_arm"] == pytest.approx(32)
    assert row["patients_per_arm_without"] == pytest.approx(8)


def test_moments_of_a_new_trial_hold_the_spread_between_trials() -> None:
    stream = np.random.default_rng(2)
    effect, tau = stream.normal(-1, 0.3, (4000, 1)), stream.uniform(0.2, 0.6, 4000)
    told = effect_moments(effect, tau, ["nsaid"])["nsaid"]
    new = effect[:, 0] + tau * stream.standard_normal(4000)
    assert told["sd_new"] == pytest.approx(new.std(), rel=0.06)  # 5 standard errors of an SD of 4,000 draws
    assert told["sd"] == pytest.approx(effect.std(), rel=1e-3)

"""Counted events: which rows enter, what hazards make of them, and the density of the model."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

from sim.core.errors import InputError
from sim.core.loading import dump, load, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.events import Hazards, Ratings, occur
from sim.synthesis import Synthesis
from sim.synthesis.hazards import Shape
from sim.synthesis.models.class_rates import ClassRates
from sim.synthesis.priors import LogNormalPrior, NormalPrior
from sim.synthesis.rate_results import fitted_table, new_levels, rates_table
from sim.synthesis.rates_model import CountedNetwork, RatePriors, build_rates, lay_out, quantities
from sim.treatments import Treatment
from tests.montecarlo import assert_mc, assert_share

COMPETING = Shape(turn=4.0, early=np.array([4.5, 0.0, 1.0]), together=np.ones((3, 3)))
ALONE = Shape(turn=np.inf, early=np.ones(2), together=np.eye(2))
FITS = ("discontinuation_chronic", "adverse_events", "responders_chronic")


@pytest.fixture(scope="module", params=FITS)
def config(request, configs) -> ClassRates:
    found = load(configs / "syntheses" / f"{request.param}.yaml", Synthesis)
    assert isinstance(found, ClassRates)
    return found


@pytest.fixture(scope="module")
def stopping(configs) -> ClassRates:
    return load(configs / "syntheses" / "discontinuation_chronic.yaml", Synthesis)


@pytest.mark.parametrize("weeks", [1.0, 4.0, 13.0])
def test_shares_under_competing_hazards_solve_their_equation(weeks):
    """The incidence is integrated step by step: d incidence = free patients × hazard."""
    hazard = np.array([0.005, 0.02, 0.01])

    def flow(t: float, incidence: np.ndarray) -> np.ndarray:
        return (1 - incidence.sum()) * hazard * (COMPETING.early if t < COMPETING.turn else 1.0)

    soon = solve_ivp(flow, (0, min(weeks, 4.0)), np.zeros(3), rtol=1e-10, atol=1e-13).y[:, -1]
    plain = soon
    if weeks > 4:
        plain = solve_ivp(flow, (4.0, weeks), soon, rtol=1e-10, atol=1e-13).y[:, -1]
    np.testing.assert_allclose(COMPETING.shares(np.log(hazard), weeks), plain, atol=1e-9)


def test_one_hazard_alone_is_the_complementary_log_log():
    level = np.array([-3.0, -5.0])
    np.testing.assert_allclose(ALONE.shares(level, 12.0), -np.expm1(-np.exp(level + np.log(12))), rtol=1e-9)
    share = Shape(np.inf, np.ones(2), np.eye(2), timeless=True).shares(level, 12.0)
    np.testing.assert_allclose(share, 1 / (1 + np.exp(-level)))


def test_the_pooled_duloxetine_trials_enter_by_cause(stopping):
    """70, 8 and 44 of 642 stopped for adverse events, inefficacy and all else (122 in all; Tsuji 2017)."""
    rows = stopping.counted.entries
    mine = rows[(rows["study_id"] == "alev2017") & (rows["treatment"] == "snri")].set_index("rates")["count"]
    assert mine.to_dict() == {
        "adverse_event": 70, "inefficacy": 8, "other": 44, "adverse_event+inefficacy+other": 520
    }  # fmt: skip


def test_every_row_of_the_outcomes_enters_or_says_why_not(config):
    counted = config.counted
    entered = [int(row) for rows in counted.entries["rows"] for row in rows.split()]
    outcomes = {r.outcome or r.part_of for r in config.rates.values()}
    outcomes |= {r.part_of for r in config.rates.values() if r.part_of}
    tables = config.tables.outcomes
    every = tables.loc[tables["outcome"].isin(outcomes), "row"]
    assert set(every) <= {*entered, *counted.exclusions["row"]}
    assert not set(entered) & set(counted.exclusions["row"])
    assert (counted.exclusions["reason"].str.len() > 3).all()


def test_groups_of_an_arm_add_up_to_its_patients(config):
    entries = config.counted.entries
    whole = entries.groupby(["study_id", "arm_id", "weeks", "rows"]).agg({"count": "sum", "n": "first"})
    np.testing.assert_allclose(whole["count"], whole["n"])
    assert (entries["count"] >= 0).all()


def test_a_kaplan_meier_share_and_a_mixed_up_total_are_no_counts(stopping):
    reasons = stopping.counted.exclusions.set_index("study_id")["reason"]
    assert set(reasons["peloso2004"]) == {"a Kaplan-Meier share, not a count"}
    assert reasons["konno2019"] == "one arm: no randomised comparison"


def network(pooled: int = 1) -> CountedNetwork:
    """Two trials: one by cause, one that prints only a total."""
    entries = pd.DataFrame(
        [
            ("a", "placebo", 13.0, "x", False, 5.0), ("a", "placebo", 13.0, "x", True, 95.0),
            ("a", "nsaid", 13.0, "x", False, 11.0), ("a", "nsaid", 13.0, "y", False, 3.0),
            ("a", "nsaid", 13.0, "x+y", True, 86.0),
            ("b", "placebo", 6.0, "x+y", False, 9.0), ("b", "placebo", 6.0, "x+y", True, 41.0),
        ],
        columns=["study_id", "treatment", "weeks", "rates", "rest", "count"],
    )  # fmt: skip
    classes = {"placebo": "inert", "nsaid": "drug", "snri": "drug"}
    return lay_out(entries, classes, "placebo", ("x", "y"), {"a": pooled})


SHAPE = Shape(turn=4.0, early=np.array([4.5, 1.0]), together=np.ones((2, 2)))
WIDE = LogNormalPrior(median=0.4, log_sd=0.5, because="for the test")
PRIORS = RatePriors(
    (
        NormalPrior(mean=-5, sd=0.7, because="for the test"),
        NormalPrior(mean=-4, sd=0.5, because="for the test"),
    ),
    NormalPrior(mean=0.1, sd=0.8, because="for the test"),
    WIDE,
    LogNormalPrior(median=0.2, log_sd=0.6, because="for the test"),
    LogNormalPrior(median=0.3, log_sd=0.6, because="for the test"),
)


def coordinates(made: CountedNetwork, size: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    rng, r = np.random.default_rng(3), 2
    shapes = dict.fromkeys(("reference", "between_trials", "tau", "omega"), (r,))
    shapes |= {"baseline": (len(made.studies), r), "class": (len(made.classes), r)}
    shapes |= {"treatment": (len(made.treatments), r), "arm": (len(made.arm_study), r)}
    return {name: rng.standard_normal((*size, *shape)) for name, shape in shapes.items()}


def plain_level(z: dict[str, np.ndarray], made: CountedNetwork, arm: int, pooled: int) -> np.ndarray:
    """The log hazards of one arm, written out."""
    share = 1 / np.sqrt(pooled) if made.studies[made.arm_study[arm]] == "a" else 1.0
    level = np.array([-5, -4]) + np.array([0.7, 0.5]) * z["reference"]
    level = level + share * 0.4 * np.exp(0.5 * z["between_trials"]) * z["baseline"][made.arm_study[arm]]
    k = made.arm_treatment[arm]
    if k == 0:
        return level
    level = (
        level + 0.1 + 0.8 * z["class"][made.class_of[k]] + 0.3 * np.exp(0.6 * z["omega"]) * z["treatment"][k]
    )
    return level + share * 0.2 * np.exp(0.6 * z["tau"]) * z["arm"][arm]


@pytest.mark.parametrize("pooled", [1, 4])
def test_density_is_that_of_normals_and_multinomials(pooled):
    """Log density at one point, but for the multinomial coefficients: each group by scipy and by hand."""
    made = network(pooled)
    z = coordinates(made)
    found = build_rates(made, SHAPE, PRIORS).compile_logp(mode="FAST_COMPILE")(
        {f"{name}_z": value for name, value in z.items()}
    )
    wanted = sum(stats.norm.logpdf(value).sum() for value in z.values())
    for g, arm in enumerate(made.arm):
        chance = float((SHAPE.shares(plain_level(z, made, arm, pooled), made.weeks[g]) * made.mask[g]).sum())
        wanted += made.count[g] * np.log(1 - chance if made.rest[g] else chance)
    assert float(found) == pytest.approx(wanted, rel=1e-9)


def test_quantities_of_many_draws_are_those_of_each():
    made = network()
    z = coordinates(made, (7,))
    many = quantities(z, made, PRIORS)
    for i in range(7):
        one = quantities({name: value[i] for name, value in z.items()}, made, PRIORS)
        for name, value in one.items():
            np.testing.assert_allclose(many[name][i], value)
    assert (many["effect"][:, 0] == 0).all()


def test_a_new_trial_adds_both_spreads_and_arms_share_its_baseline():
    """Values fixed, only the new trial varies: variances of level and of contrast are known."""
    made, size = network(), 40_000
    between, tau, omega = np.array([0.5, 0.2]), np.array([0.1, 0.3]), np.array([0.2, 0.4])
    values = {
        "reference": np.tile([-5.0, -4.0], (size, 1)), "between_trials": np.tile(between, (size, 1)),
        "tau": np.tile(tau, (size, 1)), "omega": np.tile(omega, (size, 1)),
        "class_effect": np.zeros((size, 2, 2)), "effect": np.zeros((size, 3, 2)),
        "study_level": np.zeros((size, 3, 2)),
    }  # fmt: skip
    new = new_levels(values, made, seed=1)
    sd_error = 1 / np.sqrt(2 * size)
    for found, truth in [
        (new["new"][:, 0], between),
        (new["new"][:, 1] - new["new"][:, 0], tau),
        (new["new"][:, 1], np.hypot(between, tau)),
        (new["class"][:, 0], np.sqrt(between**2 + tau**2 + omega**2)),
    ]:
        for r in range(2):
            assert_mc(float(found[:, r].std()), truth[r], truth[r] * sd_error, detects=0.05 * truth[r])


def test_tables_say_on_what_a_rate_rests(stopping):
    """Naproxen and celecoxib count; gabapentin prints a total alone; mirtazapine has no row."""
    config = stopping
    made = lay_out(config.counted.entries, config.class_of, config.reference, config.names, config.pooled)
    flat = np.zeros((50, len(made.treatments), 3)) - 5
    levels = {"new": flat, "effect": flat * 0}
    table = rates_table(config, made, levels).set_index(["treatment", "rate"])
    assert table.loc[("nsaid", "adverse_event"), ["trials", "events", "basis"]].tolist() == [2, 24, "direct"]
    assert table.loc[("anticonvulsant", "inefficacy"), "basis"] == "total"
    assert table.loc[("mirtazapine", "other"), "basis"] == "borrowed"
    assert table.loc[("snri", "other"), ["trials", "patients"]].tolist() == [4, 642]
    study = np.full((50, len(made.arm_study), 3), -5.0)
    fitted = fitted_table(config, made, study)
    assert len(fitted) == (~config.counted.entries["rest"]).sum()
    alone = fitted[(fitted["study_id"] == "katz2011")]["fitted"]
    np.testing.assert_allclose(alone, config.shape.shares(np.full(3, -5.0), 12.0)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": {"x": {"reference": {"mean": 0, "sd": 1, "because": "test"}}}}, "names an 'outcome'"),
        ({"turn": None}, "turn: required"),
        ({"scale": "share"}, "a share is neither"),
        ({"reference": "sham"}, "in no class"),
        ({"exclude": [{"study": "nobody1999", "because": "test"}]}, "'nobody1999' is not in the evidence"),
    ],
)
def test_a_question_that_does_not_hold_together_is_refused(stopping, change, message):
    tree = {k: v for k, v in (dump(stopping) | change).items() if v is not None}
    with pytest.raises(InputError, match=message):
        _ = validate(tree, Synthesis, "test").counted  # type: ignore[attr-defined]


def test_the_digest_names_what_decides_the_fit(stopping):
    again = validate(dump(stopping), Synthesis, "again")
    other = validate(dump(stopping) | {"exclude": []}, Synthesis, "other")
    assert stopping.digest() == again.digest() != other.digest()


def test_the_simulator_gives_back_the_shares_that_the_hazards_make(stopping):
    """The same two pieces and competing causes on both sides; inefficacy with a flat gradient in pain."""
    hazard, patients = np.array([0.004, 0.006, 0.009]), 4000
    said = {"because": "for the test"}
    tree = {
        "label": "drug",
        "effect": {"kind": "none"},
        "discontinuation": {
            "adverse_event": {
                "early": {"assume": 4.5 * hazard[0], **said},
                "later": {"assume": hazard[0], **said},
            },
            "inefficacy": {
                "at_five": {"assume": hazard[1], **said},
                "ratio_per_point": {"assume": 1, **said},
                "from_week": {"assume": 4, **said},
            },
        },
        "withdrawal": {"assume": hazard[2], **said},
    }
    drug = validate(tree, Treatment, "test")
    levels = drug.levels("drug", lambda name, claim: np.full(BLOCK_SIZE, claim.mean({})), 13.0)
    weeks = np.array([1.0, 2, 4, 8, 13])
    ratings = Ratings(weeks, np.full((patients, BLOCK_SIZE), 5.0), np.full((patients, BLOCK_SIZE, 5), 5.0))
    arm = np.zeros((patients, BLOCK_SIZE), dtype=int)
    events = occur(ratings, arm, Hazards((levels,)), Streams(11, 0))
    assert_share(events.leave <= 13, float(stopping.shape.shares(np.log(hazard), 13.0).sum()), detects=0.01)

"""Who is enrolled: inversion and one-after-another screening against a plain twin, whatever the rules."""

import numpy as np
import pytest
from scipy import stats

from sim.core.errors import InputError
from sim.core.loading import dump, validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility, EntryRule
from sim.population import Population
from sim.screening import Cohort, FlareLevels, PainLevels, regression_to_mean
from tests.montecarlo import assert_mc, assert_mean

MATRIX = np.array([[1.0, 0.45, 0.25], [0.45, 1.0, 0.4], [0.25, 0.4, 1.0]])
PEOPLE = 2_000_000


def full(value: float) -> np.ndarray:
    return np.full(BLOCK_SIZE, value)


def levels(flare: bool = False) -> PainLevels:
    rise = FlareLevels(full(0.6), full(0.8), full(2.0)) if flare else None
    return PainLevels(full(4.8), full(1.7), full(0.9), single=full(0.9), weekly=full(0.5), flare=rise)


def margin(mean: float, sd: float) -> dict[str, object]:
    return {"units": "points", "mean": {"assume": mean, "because": "t"}, "sd": {"assume": sd, "because": "t"}}


@pytest.fixture(scope="module")
def clinic(two_arm) -> Population:
    covariates = {
        "disability": margin(30, 10), "mood": margin(0, 1), "age": margin(50, 12), "duration": margin(8, 3),
    }  # fmt: skip
    copula = {"names": ["pain", "disability", "mood"], "matrix": MATRIX.tolist(), "because": "t"}
    base = dump(two_arm.scenarios["expected"].population)
    return validate({**base, "covariates": covariates, "copula": copula}, Population, "test")


def rules(pain: dict[str, object], **others: object) -> Eligibility:
    return validate({"pain": pain, **others}, Eligibility, "test")


def twin(who: Eligibility, flare: bool) -> dict[str, np.ndarray]:
    """The slow plain twin: draw people with all their measures and ratings, keep whom every rule admits."""
    rng = np.random.default_rng(5)
    z = rng.multivariate_normal(np.zeros(3), MATRIX, PEOPLE)
    true = 4.8 + 1.7 * z[:, 0]
    excess = rng.normal(0.6, 0.8, PEOPLE) if flare else np.zeros(PEOPLE)
    days = who.pain.days
    rating = true + excess + rng.normal(0, 0.9, PEOPLE)
    if days == 7:
        earlier = np.rint(7 * (true + excess + rng.normal(0, 0.5, PEOPLE))) / 7
    else:
        earlier = np.rint(true + excess + rng.normal(0, 0.9, PEOPLE))
    ratings = {"baseline": [np.rint(rating)], "screening": [earlier], "both": [np.rint(rating), earlier]}
    kept = np.ones(PEOPLE, dtype=bool)
    for seen in ratings[who.pain.occasion]:
        kept &= (seen >= (who.pain.at_least or -99) - 1e-9) & (seen <= (who.pain.at_most or 99) + 1e-9)
    measures = {"disability": 30 + 10 * z[:, 1], "mood": z[:, 2]}
    measures["duration"] = rng.normal(8, 3, PEOPLE)
    for name, limits in who.covariates.items():
        low = -np.inf if limits.at_least is None else limits.at_least
        high = np.inf if limits.at_most is None else limits.at_most
        kept &= (measures[name] >= low) & (measures[name] <= high)
    everything = {"true": true, "rating": rating, "flare": excess, **measures}
    return {name: values[kept] for name, values in everything.items()}


def of(clinic: Population, who: Eligibility, flare: bool, n: int = 2000) -> dict[str, np.ndarray]:
    cohort = clinic.enrol(n, who, levels(flare), Streams(1, 0))
    described = clinic.describe(cohort, who, Streams(1, 0))
    excess = np.zeros((n, BLOCK_SIZE)) if cohort.flare is None else cohort.flare
    return {"true": cohort.true, "rating": cohort.rating, "flare": excess, **described}


CASES = {
    "two ratings": ({"at_least": 4, "occasion": "both"}, {}, False),
    "two ratings on a flare": ({"at_least": 4, "at_most": 8, "occasion": "both"}, {}, True),
    "one rating on a flare": ({"at_least": 5}, {}, True),
    "a week's mean before baseline": ({"at_least": 4, "occasion": "screening", "days": 7}, {}, False),
    "an earlier rating on a flare": ({"at_least": 4, "occasion": "screening"}, {}, True),
    "rules on covariates": ({"at_least": 4}, {"mood": {"at_most": 0.3}, "duration": {"at_least": 7}}, False),
}


@pytest.mark.parametrize("case", CASES)
def test_enrolment_is_screening_one_by_one(clinic, case):
    """Means, squares and products of all measures; a fault of 2 % of their SD is seen."""
    pain, covariates, flare = CASES[case]
    who = rules(pain, covariates=covariates)
    mine, plain = of(clinic, who, flare), twin(who, flare)
    names = [name for name in plain if flare or name != "flare"]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[: i + 1]]
    for a, b in [*pairs, *((name, None) for name in names)]:
        x = (mine[a] * (mine[b] if b else 1)).ravel()
        y = plain[a] * (plain[b] if b else 1)
        se = float(np.hypot(x.std() / np.sqrt(x.size), y.std() / np.sqrt(y.size)))
        assert_mc(float(x.mean()), float(y.mean()), se, detects=0.04 * float(y.std()))


@pytest.mark.parametrize("case", CASES)
def test_regression_to_the_mean_is_what_later_ratings_show(clinic, case):
    pain, _, flare = CASES[case]
    rule = validate(pain, EntryRule, "test")
    cohort = clinic.enrol(3000, Eligibility(pain=rule), levels(flare), Streams(1, 0))
    expected = regression_to_mean(rule, levels(flare))[0]
    assert_mean((cohort.rating - cohort.true).ravel(), expected, detects=0.02)


@pytest.mark.parametrize("case", [case for case in CASES if not CASES[case][1]])
def test_a_covariate_is_standardised_among_the_admitted_of_the_reporting_trials(clinic, case):
    """Mean and SD of disability in the slow plain twin: those who are let in are more disabled."""
    pain, _, flare = CASES[case]
    who = rules(pain)
    mean, sd = clinic.standard("disability", who.pain, levels(flare))
    plain = twin(who, flare)["disability"]
    assert_mean(plain, float(mean[0]), detects=0.2)
    assert plain.std() == pytest.approx(sd[0], abs=0.05)
    open_rule = clinic.standard("disability", EntryRule(), levels(flare))
    assert (mean > open_rule[0] + 0.5).all()
    assert clinic.standard("duration", who.pain, levels(flare))[0] == pytest.approx(8, abs=1e-6)


def test_a_flare_makes_regression_to_the_mean_larger():
    rule = EntryRule(at_least=4)
    assert regression_to_mean(rule, levels(flare=True))[0] > regression_to_mean(rule, levels())[0] + 0.6


def test_a_flare_fades_by_half_in_its_half_life():
    flare = np.array([[1.0, 0.4]])
    cohort = Cohort(np.full((1, 2), 5.0), flare, flare, flare, np.array([2.0, 4.0]))
    departure = np.zeros((1, 2, 2))
    cohort.add_flare(departure, np.array([2.0, 4.0]))
    assert departure == pytest.approx(np.array([[[0.5, 0.25], [0.4 / np.sqrt(2), 0.2]]]))


def test_more_patients_leave_the_earlier_ones_unchanged(clinic):
    who = rules({"at_least": 4, "occasion": "both"}, covariates={"mood": {"at_most": 0.5}})
    few, many = (clinic.enrol(n, who, levels(True), Streams(1, 3)) for n in (60, 700))
    for name in ("true", "rating", "screening_score", "flare"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[:60])
    few_values, many_values = (clinic.describe(c, who, Streams(1, 3)) for c in (few, many))
    for name, values in few_values.items():
        assert np.array_equal(values, many_values[name][:60])


def test_asking_for_one_covariate_does_not_change_it(clinic):
    who = rules({"at_least": 4}, covariates={"mood": {"at_most": 0.5}})
    cohort = clinic.enrol(50, who, levels(), Streams(1, 3))
    everything = clinic.describe(cohort, who, Streams(1, 3))
    for name, values in everything.items():
        alone = clinic.describe(cohort, who, Streams(1, 3), only=(name,))
        assert list(alone) == [name]
        assert np.array_equal(alone[name], values)


def test_every_enrolled_patient_keeps_the_rules(clinic):
    who = rules(
        {"at_least": 4, "occasion": "both"},
        age={"between": [40, 60]},
        covariates={"mood": {"at_least": -1, "at_most": 0.5}},
    )
    cohort = clinic.enrol(300, who, levels(), Streams(1, 0))
    values = clinic.describe(cohort, who, Streams(1, 0))
    assert cohort.rating.min() >= 3.5
    assert values["age"].min() >= 40
    assert values["age"].max() <= 60
    assert values["mood"].min() >= -1
    assert values["mood"].max() <= 0.5


def test_an_earlier_rating_lets_baselines_below_the_rule(clinic):
    one = clinic.enrol(500, rules({"at_least": 4}), levels(), Streams(1, 0))
    earlier = clinic.enrol(500, rules({"at_least": 4, "occasion": "screening"}), levels(), Streams(1, 0))
    assert np.rint(one.rating).min() == 4
    assert np.rint(earlier.rating).min() <= 2


def test_the_error_of_a_mean_of_days_passes_through_one_day_and_a_week():
    def error(days: int | None, earlier: bool = True) -> float:
        rule = EntryRule(at_least=4, occasion="both", days=days)
        return float(levels().error_of(rule, earlier)[0])

    assert error(1) == pytest.approx(0.9)
    assert error(7) == pytest.approx(0.5)
    assert error(3) ** 2 == pytest.approx(0.5**2 + (0.9**2 - 0.5**2) * (1 / 3 - 1 / 7) / (6 / 7))
    assert error(None) == error(7, earlier=False) == 0.9


def test_screen_failure_by_rule_is_the_share_outside_it(clinic):
    who = rules({"at_least": 4}, age={"between": [40, 60]}, covariates={"mood": {"at_most": 0.3}})
    shares = {name: [] for name in ("pain", "age", "mood", "any")}
    for block in range(8):
        counted = clinic.screened(who, levels(), Streams(1, block))
        for name, values in counted.items():
            shares[name].append(values)
    expected = {
        "pain": stats.norm.cdf(3.5, 4.8, np.hypot(1.7, 0.9)),
        "age": 2 * stats.norm.cdf(-10 / 12),
        "mood": stats.norm.sf(0.3),
    }
    for name, share in expected.items():
        assert_mean(np.concatenate(shares[name]), share, detects=0.01)
    both = stats.multivariate_normal([0, 0], [[1, r := 0.25 * 1.7 / np.hypot(1.7, 0.9)], [r, 1]])
    low, mood = stats.norm.ppf(expected["pain"]), 0.3
    passing = stats.norm.cdf(mood) - both.cdf([low, mood])
    assert_mean(np.concatenate(shares["any"]), 1 - passing * (1 - expected["age"]), detects=0.01)


def test_those_already_admitted_are_not_screened_again(clinic):
    admitted = clinic.model_copy(update={"described_at": "enrolment"})
    who = rules({"at_least": 6, "occasion": "both"}, covariates={"mood": {"at_most": 0}})
    cohort = admitted.enrol(800, who, levels(), Streams(1, 0))
    assert_mean(cohort.true.ravel(), 4.8, detects=0.1)
    assert admitted.screened(who, levels(), Streams(1, 0)) == {}
    assert "not applied again" in admitted.words()
    assert "choose among them" in clinic.words()


def test_a_population_without_ages_knows_no_rule_on_age(two_arm):
    population = two_arm.scenarios["expected"].population
    who = rules({"at_least": 4}, age={"between": [40, 60]})
    assert set(population.screened(who, levels(), Streams(1, 0))) == {"pain", "any"}
    cohort = population.enrol(10, who, levels(), Streams(1, 0))
    assert population.describe(cohort, who, Streams(1, 0)) == {}


def test_rules_that_nobody_passes_end_with_an_error(clinic):
    who = rules({"at_least": 4}, covariates={"mood": {"at_least": 6}})
    with pytest.raises(InputError, match="fewer than 1 in 200"):
        clinic.enrol(20, who, levels(), Streams(1, 0))


def test_a_rule_on_an_unknown_covariate_is_refused(two_arm):
    tree = dump(two_arm)
    tree["protocols"]["small"]["eligibility"]["covariates"] = {"moood": {"at_most": 3}}
    with pytest.raises(InputError, match=r"protocols\.small\.eligibility\.covariates\.moood: unknown"):
        validate(tree, type(two_arm), "test")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"at_least": 4, "days": 7}, "occasion: screening or both"),
        ({"at_least": 6, "at_most": 5}, "above at_most"),
    ],
)
def test_an_entry_rule_that_means_nothing_is_refused(tree, message):
    with pytest.raises(InputError, match=message):
        validate(tree, EntryRule, "test")


def test_eligibility_is_said_in_words():
    who = rules(
        {"at_least": 4, "occasion": "both", "days": 7},
        age={"between": [18, 75]},
        covariates={"depression": {"at_most": 13}},
    )
    assert who.words() == (
        "Eligible: pain of at least 4 at screening, the mean of 7 daily ratings and again at baseline, "
        "aged 18 to 75, depression at most 13."
    )
    assert rules({"at_most": 6}).words() == "Eligible: pain at most 6 at baseline."
    assert Eligibility().words() == "Eligible: any pain."

"""A protocol: what we choose."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sim.adaptations.base import Adaptation
from sim.allocation import Allocation, Clusters, PermutedBlocks
from sim.arms import Arm, RunIn
from sim.core.parts import Part, suggest, wrong
from sim.eligibility import Eligibility
from sim.endpoints import PAIN, Endpoint, MeasureScore, Responder, Scale, Score, State
from sim.estimand import OUTCOMES, Estimand
from sim.look import Look
from sim.operations.base import Operations
from sim.operations.open_door import OpenDoor
from sim.rules.base import Looks, Rule
from sim.rules.combination_test import CombinationTest
from sim.rules.group_sequential import GroupSequential
from sim.rules.procedures import Multiplicity
from sim.rules.significance import Significance
from sim.timing import ALL_AT_ONCE, Timing

Floats = NDArray[np.float64]

MOST_PATIENTS = 50_000
STANDARD_ENDPOINTS: dict[str, Endpoint] = {
    "pain": Score(),
    "responder_30": Responder(reduction=0.3),
    "responder_50": Responder(reduction=0.5),
    "pain_free": State(at_most=1),
}
"""Always there; a protocol may give another definition under the same name, or more."""


COUNT_NAMES = (
    "replicate",
    "arm",
    "week",
    "randomised",
    "observed",
    "left",
    "score_sum",
    "score_squares",
    "start_sum",
    "rescued",
)
"""Columns of the records by arm, which no endpoint may be called."""


class Protocol(Part):
    """A parallel-group trial."""

    arms: tuple[Arm, ...] = Field(min_length=2)
    n: Annotated[int, Field(ge=2, le=MOST_PATIENTS, description="patients randomised, all arms together")]
    sizes: tuple[int, ...] = Field((), description="smaller sizes, analysed as cuts of the same patients")
    visits: tuple[float, ...] = Field(min_length=2, description="weeks since randomisation, from 0")
    eligibility: Eligibility = Eligibility()
    blinding: Literal["open", "double_blind"] | None = None
    rescue_allowed: bool = True
    endpoints: dict[str, Endpoint] = {}
    groups: dict[str, tuple[str, ...]] = Field({}, description="arms taken together, to be compared by name")
    estimands: dict[str, Estimand] = Field(min_length=1)
    allocation: Allocation = PermutedBlocks()
    operations: Operations = OpenDoor()
    looks: tuple[Look, ...] = Field(min_length=1)
    run_in: RunIn | None = None
    adaptations: tuple[Adaptation, ...] = Field((), description="what changes at interim looks, in turn")
    multiplicity: Multiplicity | None = Field(None, description="how the looks' hypotheses share their level")

    @model_validator(mode="before")
    @classmethod
    def _add_standard_endpoints(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("endpoints", {}), Mapping):
            return {**value, "endpoints": {**STANDARD_ENDPOINTS, **value.get("endpoints", {})}}
        return value

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise wrong(f"arms: two arms have the same name ({', '.join(names)})")
        visits = self.visits
        if visits[0] != 0 or any(b <= a for a, b in pairwise(visits)):
            raise wrong(f"visits: must begin at 0 and increase, in weeks; got {list(visits)}")
        if self.n < sum(arm.ratio for arm in self.arms):
            raise wrong(f"n: {self.n} patients cannot fill {len(self.arms)} arms once")
        if list(self.sizes) != sorted(set(self.sizes)) or any(not 2 <= size < self.n for size in self.sizes):
            raise wrong(f"sizes: must increase, from 2 to below n = {self.n}; got {list(self.sizes)}")
        taken = {
            name for name in self.endpoints if name in COUNT_NAMES or name.startswith(("stopped_", "event_"))
        }
        if taken:
            raise wrong(f"endpoints: {', '.join(sorted(taken))} is the name of a count; choose another")
        if not isinstance(self.endpoints["pain"], Score):
            raise wrong("endpoints.pain: must be of kind 'score'; the others are derived from it")
        self._check_arms(names)
        for name, estimand in self.estimands.items():
            self._check_estimand(name, estimand, [*names, *self.groups])
        for place, look in enumerate(self.looks):
            self._check_look(place, look)
        if self.multiplicity is not None:
            self._check_multiplicity(self.multiplicity)
        self._check_stages()
        self.operations.check(names, self.last_week)
        return self

    def _check_estimand(self, name: str, estimand: Estimand, arms: list[str]) -> None:
        where = f"estimands.{name}"
        if estimand.visit not in self.visits[1:]:
            allowed = ", ".join(f"{week:g}" for week in self.visits[1:])
            raise wrong(f"{where}.visit: there is no visit at week {estimand.visit:g}; allowed: {allowed}")
        if estimand.endpoint not in self.endpoints:
            hint = suggest(estimand.endpoint, self.endpoints)
            raise wrong(f"{where}.endpoint: unknown endpoint '{estimand.endpoint}':{hint}")
        for arm in (*estimand.contrast.of, estimand.contrast.to):
            if arm not in arms:
                raise wrong(f"{where}.contrast: unknown arm '{arm}':{suggest(arm, arms)}")
        if {*estimand.contrast.of, estimand.contrast.to} & set(self.groups):
            self._check_groups(where, estimand)
        if estimand.contrast.to in estimand.contrast.of:
            raise wrong(f"{where}.contrast: arm '{estimand.contrast.to}' is compared with itself")
        outcome = self.endpoints[estimand.endpoint].outcome
        if OUTCOMES[estimand.summary] != outcome:
            allowed = " or ".join(summary for summary, needs in OUTCOMES.items() if needs == outcome)
            raise wrong(f"{where}.summary: endpoint '{estimand.endpoint}' needs {allowed}")

    def _check_groups(self, where: str, estimand: Estimand) -> None:
        """Refuse an arm on both sides, and what has no mean to be taken over arms."""
        compared = [
            arm for name in (*estimand.contrast.of, estimand.contrast.to) for arm in self.members(name)
        ]
        if len(set(compared)) < len(compared):
            raise wrong(f"{where}.contrast: an arm is in two of the groups compared")
        plain = estimand.summary in ("mean_difference", "risk_difference", "risk_ratio", "odds_ratio")
        if not plain or estimand.intercurrent_events.discontinuation == "principal_stratum":
            raise wrong(f"{where}.contrast: groups have means and shares only, and no principal stratum")

    def _check_look(self, place: int, look: Look) -> None:
        if place and look.when not in (ALL_AT_ONCE, self.looks[0].when):
            raise wrong(f"looks[{place}].when: the first look's timing is the trial's; leave it out here")
        try:
            look.rule.check_looks(self.looks[0].when.interim if look.rule.looks_early else 0)
        except PydanticCustomError as error:
            raise wrong(f"looks[{place}].rule.{error.message()}") from None
        if place == 0 and look.rule.looks_early and len(self.fractions) == 1:
            raise wrong("looks[0].when: this rule looks early; give {fractions: [..., 1]}")
        name = look.analysis.estimand
        if name not in self.estimands:
            raise wrong(
                f"looks[{place}].analysis.estimand: unknown estimand '{name}':{suggest(name, self.estimands)}"
            )
        if len(self.fractions) > 1 and self.visits[-1] > self.primary_week:
            week = f"{self.primary_week:g}"
            raise wrong(f"visits: with interim looks none may be later than the primary one, week {week}")
        look.check(f"looks[{place}]", self.estimands[name], self.visits[1:])

    def _check_arms(self, names: list[str]) -> None:
        """Refuse groups, courses and run-ins that cannot be."""
        for name, group in self.groups.items():
            if name in names or not group or set(group) - set(names):
                raise wrong(f"groups.{name}: needs a name of its own and arms of: {', '.join(names)}")
        for place, arm in enumerate(self.arms):
            arm.check(f"arms[{place}]", self.visits, self.endpoints)
            if arm.then and self.operations.treats:
                raise wrong(f"arms[{place}].then: clinics know one treatment an arm; leave the clinics out")
        run_in = self.run_in
        if run_in is None:
            return
        run_in.check(self.arms, self.visits, self.endpoints)
        if run_in.enter < self.n:
            raise wrong(f"run_in.enter: must be n = {self.n} or more")
        for name, estimand in self.estimands.items():
            if estimand.visit <= run_in.weeks:
                raise wrong(f"estimands.{name}.visit: must be after the run-in, week {run_in.weeks:g}")

    def _check_stages(self) -> None:
        """Refuse what cannot be changed, or known, on the way."""
        when, rule = self.looks[0].when, self.looks[0].rule
        if self.groups and any(look.controls == "concurrent" for look in self.looks):
            raise wrong("looks: controls of the same time are those of an arm, not of 'groups'")
        if self.groups and self.adaptations:
            raise wrong("adaptations: arms taken together in 'groups' cannot be adapted; leave one out")
        if self.adaptations and not when.interim:
            raise wrong("adaptations: there is no interim look; give looks[0].when one")
        if self.adaptations and self.run_in is not None:
            raise wrong("adaptations: not after a run-in; leave one out")
        windows = any(arm.opens or arm.closes for arm in self.arms)
        self._check_clusters(windows)
        if windows and rule.by_stage:
            raise wrong(
                "looks[0].rule: 'combination' needs every arm in every stage; leave out 'opens' and 'closes'"
            )
        if windows and any(adaptation.sets_shares for adaptation in self.adaptations):
            raise wrong(
                "adaptations: response_adaptive shares know no 'opens' and 'closes' of arms; leave one out"
            )
        for place, adaptation in enumerate(self.adaptations):
            try:
                adaptation.check(rule, len(self.compared))
            except PydanticCustomError as error:
                raise wrong(f"adaptations[{place}].{error.message()}") from None
        if self.subgroup is not None:
            self._check_subgroup(self.subgroup)
        self._check_looks(when, rule)

    def _check_clusters(self, windows: bool) -> None:
        """Refuse clusters where patients get arms by turn, or are in one stage alone."""
        moves = bool(self.adaptations) or self.run_in is not None or windows
        if isinstance(self.allocation, Clusters) and (moves or self.looks[0].rule.by_stage):
            raise wrong(
                "allocation: clusters keep their arm and are in every stage; leave out adaptations, run-in, "
                "'opens' and 'closes', and 'combination'"
            )

    def _check_subgroup(self, name: str) -> None:
        """Refuse a subgroup that is not tested beside all patients, for the same thing in the same way."""
        where, first = "adaptations: enrichment", self.looks[0]
        if len(self.adaptations) > 1:
            raise wrong(f"{where}: goes with no other adaptation; leave the others out")
        if self.operations.treats:
            raise wrong(f"{where}: clinics would treat those who are turned away; leave the clinics out")
        if self.operations.appointed:
            raise wrong(
                f"{where}: those who are turned away would keep appointments before randomisation; "
                "leave the appointments out"
            )
        if name not in self.estimands:
            raise wrong(f"{where}: unknown estimand '{name}':{suggest(name, self.estimands)}")
        whole, part = self.estimands[first.analysis.estimand], self.estimands[name]
        if whole.population or not part.population:
            raise wrong(f"{where}: '{name}' needs a 'population', and the first look's estimand has none")
        if part.model_copy(update={"population": None}) != whole:
            raise wrong(f"{where}: '{name}' must differ from the first look's estimand in 'population' alone")
        correlated = isinstance(first.rule, CombinationTest) and first.rule.intersection == "correlated"
        if correlated and whole.summary not in ("mean_difference", "risk_difference"):
            raise wrong(
                f"{where}: how the subgroup's {whole.summary} correlates with that of all is known for "
                "differences of means or shares alone; give the rules 'intersection: simes'"
            )
        alike = first.model_copy(update={"analysis": first.analysis.model_copy(update={"estimand": name})})
        if [look.analysis.estimand for look in self.looks].count(name) != 1 or not any(
            look.model_copy(update={"when": first.when}) == alike for look in self.looks
        ):
            raise wrong(
                f"{where}: one look must analyse '{name}' with the analysis and rule of the first look"
            )

    def _check_looks(self, when: Timing, rule: Rule) -> None:
        """Refuse looks at which the rule or the analysis would not know what it needs."""
        smallest = min(self.sizes, default=self.n)
        if any(number >= smallest for number in when.patients):
            which = "the smallest of 'sizes'" if self.sizes else "n"
            raise wrong(
                f"looks[0].when.patients: must be below {which} = {smallest}; the last look is at all"
            )
        if rule.by_stage and not when.by_count:
            raise wrong("looks[0].when: a rule with planned weights needs 'fractions' alone")
        if self.information_varies and isinstance(rule, GroupSequential):
            rule.check_respending()
        several = rule.by_stage and len(self.compared) > 1
        if several and self.looks[0].kind not in ("ancova", "t", "responder_difference"):
            allowed = "ancova, t or responder_difference"
            raise wrong(f"looks[0].analysis: an arm may have no patients in a stage; use {allowed}")
        for place, look in enumerate(self.looks if self.is_staged else ()):
            look.check_leaves_out(f"looks[{place}]")

    def _check_multiplicity(self, multiplicity: Multiplicity) -> None:
        if len(self.fractions) > 1:
            raise wrong("multiplicity: a trial with interim looks cannot share its level; allowed: one look")
        named = [look.analysis.estimand for look in self.looks]
        if len(set(named)) < len(named):
            raise wrong("multiplicity: an estimand is analysed at two looks; allowed: one look an estimand")
        for place, look in enumerate(self.looks):
            if not isinstance(look.rule, Significance):
                raise wrong(f"looks[{place}].rule: a shared level needs a rule with a p-value and 'alpha'")
        levels = sorted({look.rule.alpha for look in self.looks if isinstance(look.rule, Significance)})
        if len(levels) > 1:
            shown = ", ".join(f"{level:g}" for level in levels)
            raise wrong(f"multiplicity: the looks' rules must have one alpha, which is shared; got {shown}")
        if multiplicity.one_estimand and len(self.looks) > 1:
            raise wrong("multiplicity: this procedure is for the arms of one estimand; allowed: one look")
        multiplicity.check(self.hypotheses)

    @property
    def hypotheses(self) -> tuple[str, ...]:
        """Names of what is tested, ``estimand.arm``, in the order of the looks, then of the arms."""
        looked = [look.analysis.estimand for look in self.looks]
        return tuple(f"{name}.{arm}" for name in looked for arm in self.estimands[name].contrast.of)

    @property
    def against_control(self) -> Floats:
        """Patients of each hypothesis' arm for one of its control, (hypothesis,)."""
        contrasts = [self.estimands[look.analysis.estimand].contrast for look in self.looks]
        share = {arm.name: arm.ratio for arm in self.arms}
        share |= {name: sum(share[arm] for arm in group) for name, group in self.groups.items()}
        return np.array([share[arm] / share[contrast.to] for contrast in contrasts for arm in contrast.of])

    def share_level(self, p: Floats) -> NDArray[np.bool_]:
        """Say which hypotheses the trial's ``multiplicity`` rejects, both (hypothesis, size, replicate)."""
        rule = self.looks[0].rule
        assert self.multiplicity is not None
        assert isinstance(rule, Significance)
        return self.multiplicity.rejects(p, rule.alpha, self.hypotheses, self.against_control)

    def better(self, name: str) -> Literal["lower", "higher"]:
        """Direction in which an estimand's summary is better."""
        estimand = self.estimands[name]
        return estimand.better(self.endpoints[estimand.endpoint])

    @property
    def fractions(self) -> tuple[float, ...]:
        """Share of the patients with the primary visit planned at each look, the last being 1."""
        return self.looks[0].when.planned(self.n)

    def planned(self, n: int) -> tuple[float, ...]:
        """Share of the patients with the primary visit planned at each look of a trial of ``n``."""
        return self.looks[0].when.planned(n)

    @property
    def subgroup(self) -> str | None:
        """Estimand of the subgroup in which the trial may go on alone; None: it stays as it is."""
        return next((one.narrows_to for one in self.adaptations if one.narrows_to is not None), None)

    @property
    def deciding(self) -> tuple[int, ...]:
        """Positions of the looks that decide when the trial ends: the first, and the subgroup's."""
        named = [look.analysis.estimand for look in self.looks]
        return (0,) if self.subgroup is None else (0, named.index(self.subgroup))

    @property
    def compared(self) -> tuple[int, ...]:
        """Positions of the arms that the first look compares with the control."""
        contrast = self.estimands[self.looks[0].analysis.estimand].contrast
        return tuple(self.members(arm)[0] for arm in contrast.of)

    @property
    def control(self) -> int:
        """Position of the first look's control."""
        return self.members(self.estimands[self.looks[0].analysis.estimand].contrast.to)[0]

    @property
    def is_staged(self) -> bool:
        """Whether trials run from look to look: looks are not the same cut in all, or change something."""
        first, windows = self.looks[0], any(arm.opens or arm.closes for arm in self.arms)
        changes = bool(self.adaptations) or self.run_in is not None or windows
        return changes or not first.when.by_count or first.rule.by_stage

    @property
    def has_family(self) -> bool:
        """Whether the success of all hypotheses together is asked for."""
        several = len(self.compared) > 1 or self.subgroup is not None
        return self.multiplicity is not None or (len(self.fractions) > 1 and several)

    @property
    def resizes(self) -> bool:
        """Whether an adaptation may make the trial larger."""
        return any(adaptation.most(self.n) > self.n for adaptation in self.adaptations)

    @property
    def information_varies(self) -> bool:
        """Whether a look's share of the planned patients is known only when it comes."""
        when = self.looks[0].when
        by_chance = bool(when.weeks) or bool(when.fractions and when.patients)
        return by_chance or (self.resizes and not self.looks[0].rule.by_stage)

    def most(self, n: int) -> int:
        """Return the most patients that a trial planned with ``n`` may recruit."""
        enter = self.run_in.enter if self.run_in else n
        return max((adaptation.most(n) for adaptation in self.adaptations), default=enter)

    def looks_of(self, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], Looks]:
        """Cuts of the patients to analyse for these sizes, increasing, and where each look's cut is.

        Patients pass the primary visit in the order of their randomisation, so an interim look at a
        share of the patients is a cut of the first ones.
        """
        return _looks_of(sizes, self.fractions)

    @property
    def chosen_by(self) -> set[str]:
        """Baseline measures beside pain that choose the population of an estimand."""
        chosen = [estimand.population for estimand in self.estimands.values()]
        return {subgroup.measure for subgroup in chosen if subgroup is not None} - {PAIN}

    @property
    def pain(self) -> Score:
        """The pain score, from which the other endpoints derive."""
        score = self.endpoints["pain"]
        assert isinstance(score, Score)
        return score

    @property
    def instruments(self) -> dict[str, Scale]:
        """Scales of the instruments beside pain that the endpoints are computed from, by measure."""
        names = dict.fromkeys(endpoint.instrument for endpoint in self.endpoints.values())
        return {name: MeasureScore(measure=name).scale for name in names if name != PAIN}

    @property
    def primary_visit(self) -> int:
        """Position of the primary week among the follow-up visits."""
        return self.visits.index(self.primary_week) - 1

    @property
    def ratio(self) -> tuple[int, ...]:
        """Allocation ratio of the arms."""
        return tuple(arm.ratio for arm in self.arms)

    @property
    def weeks(self) -> Floats:
        """Follow-up visits in weeks, (visit,)."""
        return np.array(self.visits[1:], dtype=np.float64)

    def members(self, name: str) -> tuple[int, ...]:
        """Positions of the arms of a group, or of one arm."""
        return tuple(self.position(arm) for arm in self.groups.get(name, (name,)))

    def ratio_of(self, name: str) -> int:
        """Allocation ratio of a group, or of one arm."""
        return sum(self.ratio[arm] for arm in self.members(name))

    def position(self, arm: str) -> int:
        """Position of an arm by its name."""
        return [a.name for a in self.arms].index(arm)

    @property
    def last_week(self) -> float:
        """Latest week that any look's estimand, or its analysis' second period, asks for."""
        asked = [self.estimands[look.analysis.estimand].visit for look in self.looks]
        return float(max(*asked, *(vars(look.analysis).get("second", 0.0) for look in self.looks)))

    @property
    def primary_week(self) -> float:
        """Week of the first look's estimand."""
        return self.estimands[self.looks[0].analysis.estimand].visit

    def words(self) -> list[str]:
        """Say the trial in words, a sentence an item."""
        total, windows = sum(self.ratio), any(arm.opens or arm.closes for arm in self.arms)
        arms = ", ".join(
            f"{a.name} ({a.course()}{'' if windows else f', {round(self.n * a.ratio / total)} patients'})"
            for a in self.arms
        )
        sentences = [
            f"{self.n} patients are randomised to {len(self.arms)} parallel arms: {arms}.",
            self.eligibility.words(),
            f"Visits at weeks {', '.join(f'{week:g}' for week in self.visits)}.",
        ]
        sentences += [said] if (said := self.operations.words()) else []
        sentences += [f"{self.run_in.words()}."] if self.run_in else []
        sentences += [said] if (said := self.allocation.words()) else []
        for arm in self.arms:
            if arm.opens or arm.closes:
                end = f" to {arm.closes:g}" if arm.closes else ""
                sentences.append(f"Arm '{arm.name}' recruits from week {arm.opens:g}{end}.")
        for name, group in self.groups.items():
            sentences.append(f"'{name}' are the arms {' and '.join(group)} together.")
        named = [self.arms[arm].name for arm in self.compared]
        sentences += [f"{adaptation.words(named)}." for adaptation in self.adaptations]
        if len(self.fractions) > 1 and len(self.arms) > 2:
            on = "goes on recruiting until every compared arm has ended"
            ends = "recruits no more" if self.adaptations else on
            level = "" if self.looks[0].rule.by_stage else "; each arm is tested at the whole level"
            sentences.append(f"An arm whose test has ended {ends}{level}.")
        for name, estimand in self.estimands.items():
            sentences.append(f"Estimand '{name}': {estimand.words(self.endpoints[estimand.endpoint])}.")
        early = len(self.fractions) > 1
        sentences += [look.words(later=early and look is not self.looks[0]) for look in self.looks]
        if self.looks[0].when.interim:
            unbiased = isinstance(self.looks[0].rule, GroupSequential) and not self.is_staged
            beside = "; median unbiased and conditional ones are reported beside them" if unbiased else ""
            sentences.append(f"Estimates are naive: they do not allow for the chance to stop early{beside}.")
        if self.multiplicity is not None and isinstance(self.looks[0].rule, Significance):
            shared = f"share the one-sided level {self.looks[0].rule.alpha:g} {self.multiplicity.words()}"
            sentences.append(f"The {len(self.hypotheses)} hypotheses {shared}.")
        return sentences


@lru_cache(maxsize=64)
def _looks_of(sizes: tuple[int, ...], fractions: tuple[float, ...]) -> tuple[tuple[int, ...], Looks]:
    wanted = np.ceil(np.outer(sizes, fractions) - 1e-9).astype(np.int64)
    cuts = sorted({*wanted.ravel().tolist()})
    return tuple(cuts), Looks(fractions, np.searchsorted(cuts, wanted))

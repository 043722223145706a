"""Fitting a population to a reported baseline table: which clinic gives enrolled patients like these?"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError

from sim.claims import Claim, Exactly, Read
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.core.streams import BLOCK_SIZE, Streams
from sim.eligibility import Eligibility
from sim.endpoints import Score
from sim.population import Population

Floats = NDArray[np.float64]
Moments = dict[str, tuple[float, float]]

COLUMNS = ("name", "mean", "sd", "share", "source")
SEED = 20_261_121
WAVES = 8
"""Waves of people among whom the enrolled are looked for: 262,144 people, the same at every step."""
STEPS = 300
EAGER = 1.5
"""How far a parameter is moved for what is missed: an entry rule hides about half of each move."""
CLOSE = 2e-4
"""A mean or SD is reached when it is nearer than this share of the SD."""


@dataclass(frozen=True)
class Target:
    """One row of a baseline table: what the enrolled patients are to be."""

    place: str
    name: str
    mean: float
    sd: float | None
    source: str

    def fail(self, column: str, why: str) -> InputError:
        """Make the error that names the row and the column."""
        return InputError(f"{self.place}, column {column}: {why}")

    def because(self, part: str) -> str:
        """Say why a fitted value is what it is."""
        wanted = f"{self.mean:g}" if self.sd is None else f"{self.mean:g} ({self.sd:g})"
        source = f", {self.source}" if self.source else ""
        return f"calibrated: the {part} in the clinic that gives the enrolled the reported {wanted}{source}"


def read_targets(file: Path, population: Population) -> list[Target]:
    """Read a baseline table with the columns name and mean, sd or share; source is optional.

    Raises
    ------
    InputError
        One line for the first problem: file, row, column, what is allowed.
    """
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{file}: cannot be read; calibrate_to expects a CSV beside the study") from None
    if not rows:
        raise InputError(f"{file}: has no rows; needed: {', '.join(COLUMNS[:3])} or share")
    unknown = [column for column in rows[0] if column not in COLUMNS]
    if unknown:
        raise InputError(f"{file}: unknown column '{unknown[0]}':{suggest(str(unknown[0]), COLUMNS)}")
    targets = [_target(f"{file}, row {place}", row, population) for place, row in enumerate(rows, start=2)]
    names = [target.name for target in targets]
    for target in targets:
        if names.count(target.name) > 1:
            raise target.fail("name", f"'{target.name}' stands in two rows")
    return targets


def _target(place: str, row: Mapping[str, str | None], population: Population) -> Target:
    name = (row.get("name") or "").strip()
    bare = Target(place, name, 0.0, None, (row.get("source") or "").strip())
    known = {"pain", *population.covariates}
    if name not in known:
        raise bare.fail("name", f"unknown measure '{name}':{suggest(name, known)}")
    binary = name != "pain" and population.covariates[name].shape == "binary"
    needed, others = ("share", ("mean", "sd")) if binary else ("mean", ("share",))
    for other in others:
        if row.get(other):
            raise bare.fail(other, f"'{name}' takes a {needed}")
    mean = _number(bare, needed, row)
    return Target(place, name, mean, _number(bare, "sd", row) if row.get("sd") else None, bare.source)


def _number(target: Target, column: str, row: Mapping[str, str | None]) -> float:
    try:
        value = float(row.get(column) or "")
    except ValueError:
        raise target.fail(column, f"'{row.get(column) or ''}' is not a number") from None
    if not np.isfinite(value) or (column == "sd" and value <= 0) or (column == "share" and not 0 < value < 1):
        allowed = {"sd": "above 0", "share": "between 0 and 1"}.get(column, "finite")
        raise target.fail(column, f"{value:g} is not {allowed}")
    return value


@dataclass(frozen=True)
class Calibration:
    """A population, the entry rules of the trial whose table is given, and how its pain is rated."""

    population: Population
    eligibility: Eligibility
    score: Score

    @property
    def _rules(self) -> Eligibility:
        """The rules, that on age among those on covariates."""
        rules = self.population.applied(self.eligibility)
        return rules.model_copy(update={"age": None, "covariates": rules.limits})

    def fit(self, targets: Sequence[Target]) -> Population:
        """Return the population whose enrolled patients have the wanted means, SDs and shares.

        The parameters are moved by what the enrolled miss, among the same simulated people at every step,
        until nothing is missed: first of pain and of what the entry rules look at, then of the others
        given who is enrolled.

        Raises
        ------
        InputError
            No parameters do; names the row and the column.
        """
        for target in targets:
            self._check(target)
        seen = ["pain", *self._rules.covariates]
        chosen = [target for target in targets if target.name in seen]
        fitted = _approach(chosen, self._start(chosen), lambda at: self._selected(at, chosen))
        population = self._with(fitted, chosen)
        settled = Calibration(population, self.eligibility, self.score)
        people = settled._enrolled(whole=True)
        for target in targets:
            if target not in chosen:
                z = people[target.name]
                found = _approach([target], self._start([target]), lambda at, z=z: settled._moments(at, z))  # type: ignore[misc]
                population = Calibration(population, self.eligibility, self.score)._with(found, [target])
        return population.model_copy(update={"calibrate_to": None})

    def _check(self, target: Target) -> None:
        """Refuse what no enrolled patients can have: a mean outside the rules, an SD too large for them."""
        low, high = self._limits(target.name)
        if not low < target.mean < high:
            raise target.fail(
                "mean", f"the enrolled lie between {low:g} and {high:g}, {target.mean:g} does not"
            )
        if target.sd and target.sd**2 >= (target.mean - low) * (high - target.mean):
            raise target.fail("sd", f"no distribution between {low:g} and {high:g} has this mean and SD")

    def _limits(self, name: str) -> tuple[float, float]:
        """Ends of what the enrolled can show."""
        if name == "pain":
            scale, rule = self.score.scale, self._rules.pain
            if rule.occasion == "screening":
                return scale.low, scale.high
            return max(scale.low, rule.at_least or scale.low), min(scale.high, rule.at_most or scale.high)
        bounds = self.population.covariates[name].bounds or (-np.inf, np.inf)
        limits = self._rules.covariates.get(name)
        low = -np.inf if limits is None or limits.at_least is None else limits.at_least
        high = np.inf if limits is None or limits.at_most is None else limits.at_most
        return max(bounds[0], low), min(bounds[1], high)

    def _start(self, targets: Sequence[Target]) -> Moments:
        """Begin at the table: an SD that it does not give stays the population's."""
        start = {}
        for target in targets:
            claim = (
                self.population.pain if target.name == "pain" else self.population.covariates[target.name]
            ).sd
            start[target.name] = (target.mean, target.sd or (claim.mean({}) if claim else 0.0))
        return start

    def _with(self, fitted: Moments, targets: Sequence[Target]) -> Population:
        """Return the population with fitted parameters."""
        pain, covariates = self.population.pain, dict(self.population.covariates)
        for target in targets:
            mean, sd = fitted[target.name]
            changed: dict[str, Claim] = {"mean": Exactly(value=mean, because=target.because("mean"))}
            if target.sd is not None:
                changed["sd"] = Exactly(value=sd, because=target.because("SD"))
            if target.name == "pain":
                pain = pain.model_copy(update=changed)
            else:
                covariates[target.name] = covariates[target.name].model_copy(update=changed)
                self._refuse_impossible(target, covariates[target.name].values())
        return self.population.model_copy(update={"pain": pain, "covariates": covariates})

    def _refuse_impossible(self, target: Target, values: tuple[float, float, float]) -> None:
        try:
            self.population.covariates[target.name].check(*values)
        except PydanticCustomError as error:
            raise target.fail("mean", f"the clinic would need what cannot be: {error.message()}") from None

    def _selected(self, at: Moments, targets: Sequence[Target]) -> Moments:
        """Mean and SD of what the rules look at, among those enrolled from such a clinic."""
        trial = Calibration(self._with(at, targets), self.eligibility, self.score)
        people = trial._enrolled(whole=False)
        shown = {name: people[name] if name == "pain" else trial._shown(name, people[name]) for name in at}
        return {name: (float(values.mean()), float(values.std())) for name, values in shown.items()}

    def _enrolled(self, whole: bool) -> dict[str, Floats]:
        """Rated pain and covariates' scores of everybody who is enrolled of a fixed crowd, (person,).

        The covariates are all (``whole``) or those that the rules look at.
        """
        rules, streams = self._rules, Streams(SEED, 0)
        read: Read = lambda name, claim: np.full(BLOCK_SIZE, claim.mean({}))  # noqa: E731
        levels = self.population.pain.levels(self.score.days, self.score.scale.step, read)
        parts: dict[str, list[Floats]] = {}
        for wave in range(WAVES):
            people = self.population.wave(rules, levels, wave, streams)
            for name, column in people.columns.items():
                parts.setdefault(name, []).append(column[people.admitted])
        columns = {name: np.concatenate(part) for name, part in parts.items()}
        known = {name: columns[name] for name in rules.covariates} | {"pain": columns["score"]}
        scores = self.population.scores(known, streams) if whole else known
        return {**scores, "pain": self.score.scale.score(columns["rating"])}

    def _shown(self, name: str, z: Floats) -> Floats:
        margin = self.population.covariates[name]
        return margin.quantile(z, *margin.values())

    def _moments(self, at: Moments, z: Floats) -> Moments:
        """Mean and SD of one covariate with other parameters, among the same enrolled people."""
        found = {}
        for name, (mean, sd) in at.items():
            margin = self.population.covariates[name]
            values = margin.quantile(z, mean, sd, margin.values()[2])
            found[name] = float(values.mean()), float(values.std())
        return found


def _approach(targets: Sequence[Target], start: Moments, enrolled: Callable[[Moments], Moments]) -> Moments:
    """Move each parameter by what is missed until every target is met."""
    at = dict(start)
    for _ in range(STEPS):
        _refuse_lost(targets, at, start)
        try:
            shown = enrolled(at)
        except (FloatingPointError, ValueError) as error:
            raise targets[0].fail("mean", f"cannot be reached: {error}") from None
        if all(_is_met(target, *shown[target.name]) for target in targets):
            return at
        for target in targets:
            (mean, sd), (shown_mean, shown_sd) = at[target.name], shown[target.name]
            factor = target.sd / max(shown_sd, 1e-9) if target.sd else 1.0
            at[target.name] = (
                mean + EAGER * (target.mean - shown_mean),
                sd * min(max(factor**EAGER, 0.5), 2.0),
            )
    missed = next(target for target in targets if not _is_met(target, *shown[target.name]))
    mean, sd = shown[missed.name]
    column = "mean" if abs(mean - missed.mean) > CLOSE * (missed.sd or sd) else "sd"
    raise missed.fail(column, f"cannot be reached: the enrolled come to {mean:.3g} ({sd:.3g})")


def _is_met(target: Target, mean: float, sd: float) -> bool:
    size = target.sd or max(sd, 1e-9)
    return abs(mean - target.mean) <= CLOSE * size and (
        target.sd is None or abs(sd - target.sd) <= CLOSE * size
    )


def _refuse_lost(targets: Sequence[Target], at: Moments, start: Moments) -> None:
    """Stop where a parameter runs away: the table asks for what this clinic and these rules cannot give."""
    for target in targets:
        (mean, sd), (first, spread) = at[target.name], start[target.name]
        if abs(mean - first) > 20 * max(spread, 0.05):
            raise target.fail("mean", "cannot be reached: the mean in the clinic would leave every scale")
        if spread and not 0.02 < sd / spread < 50:
            raise target.fail("sd", "cannot be reached: the SD in the clinic would vanish or have no end")

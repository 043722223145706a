"""A study: protocols × scenarios × replicates, one seed, any executor."""

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

import sim.core.loading as loading
from sim.calibration import Calibration, read_targets
from sim.claims import Posterior, claims_in
from sim.core.errors import InputError
from sim.core.parts import Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE
from sim.population import Population
from sim.protocol import Protocol
from sim.scenario import Scenario
from sim.variation import Sensitivity

MOST_REPLICATES = 10_000_000
NOT_SIMULATED = ("replicates", "size", "region", "sensitivity", "sources")
"""Keys of a study that change no block of its run."""
OUTSIDE = (
    *("cli", "report", "export", "synthesis", "evidence"),
    *("replay.py", "examples.py", "designs.py", "front.py", "thresholds.py"),
)
"""Parts of the package that change no result of a run."""
COUNTING = (
    *("archive.py", "baseline.py", "logistics.py", "results.py", "performance.py"),
    *("sisters.py", "stored.py"),
)
"""Modules that change no simulated block, but what is counted from the blocks."""


@cache
def code_digest(counting: bool = False) -> str:
    """Digest of the code that simulates (or that counts), and of the versions of numpy and scipy."""
    home = Path(__file__).parent
    files = [file.relative_to(home) for file in sorted(home.rglob("*.py"))]
    chosen = [file for file in files if file.parts[0] not in OUTSIDE and (str(file) in COUNTING) == counting]
    text = {str(file): (home / file).read_text("utf-8") for file in chosen}
    if not counting:
        text["measures.csv"] = (home / "measures.csv").read_text("utf-8")  # ranges, steps and directions
    return loading.digest(text, np.__version__, version("scipy"))


def counted_digest(study: "Study") -> str:
    """Digest of what is done with finished blocks: the code that counts, and the sources that are cited."""
    return loading.digest(code_digest(counting=True), loading.dump(study).get("sources", {}))


def _own_code(part: Any) -> dict[str, str]:
    """Source text of every module outside this package that a part's class comes from."""
    found: dict[str, str] = {}
    if isinstance(part, BaseModel):
        module = sys.modules[type(part).__module__]
        if not module.__name__.startswith("sim.") and getattr(module, "__file__", None):
            found[module.__name__] = Path(str(module.__file__)).read_text("utf-8")
        for name in type(part).model_fields:
            found |= _own_code(getattr(part, name))
    elif isinstance(part, Mapping):
        for value in part.values():
            found |= _own_code(value)
    elif isinstance(part, tuple | list):
        for value in part:
            found |= _own_code(value)
    return found


class Source(Part):
    """Where a number was read."""

    citation: str
    doi: str | None = None
    url: str | None = None
    provenance: Literal["checked", "derived", "unverified"] = "checked"


class Precision(Part):
    """A precision to reach: the Monte Carlo standard error of a metric in every cell."""

    metric: Literal["power", "assurance", "type_1_error"] = "power"
    mcse: Annotated[float, Field(gt=0, lt=0.5)]


class Until(Part):
    """Replicates until every success rate is known to a precision."""

    until: Precision
    at_most: Annotated[int, Field(ge=1, le=MOST_REPLICATES)]


Replicates = Annotated[int, Field(ge=1, le=MOST_REPLICATES)]


def _one_meaning(value: Any) -> Any:
    """Read a mapping as a precision and all else as a number, so that an error speaks of one of them."""
    meant: type[Any] = Until if isinstance(value, Mapping) else Replicates
    return TypeAdapter(meant).validate_python(value)


def _names_a_file(name: str) -> str:
    """Refuse a name that cannot be part of a file's name, or of a path in ``--set``."""
    if not name or set(name) & set("./\\"):
        raise wrong(f"'{name}' cannot be a name; allowed: text without '.', '/' and '\\'")
    return name


Name = Annotated[str, AfterValidator(_names_a_file)]


class Sizing(Part):
    """Which sample size is wanted: for a power, for an assurance, under which scenarios."""

    power: Annotated[float, Field(gt=0, lt=1)] = 0.9
    assurance: Annotated[float, Field(gt=0, lt=1)] = 0.8
    protocol: str
    power_scenario: str
    assurance_scenario: str
    largest: Annotated[int, Field(ge=20, description="largest total sample size to look at")] = 4000
    replicates: Replicates = 2000


class Region(Part):
    """Where the type I error is looked at: every combination of values of nuisance claims.

    ``over`` gives the values by the claim's path in the null scenario ``of``, for example
    ``population.variation.sd``; each is an assumption, for the one reason ``because``.
    """

    of: str
    over: dict[str, Annotated[tuple[float, ...], Field(min_length=1)]] = Field(min_length=1)
    because: str
    replicates: Replicates = 4000


class Study(Part):
    """A question to the simulator: everything that decides the numbers is in here."""

    name: str
    seed: Annotated[int, Field(ge=0)]
    replicates: Annotated[Replicates | Until, BeforeValidator(_one_meaning)]
    protocols: dict[Name, Protocol] = Field(min_length=1)
    scenarios: dict[Name, Scenario] = Field(min_length=1)
    syntheses: dict[str, dict[str, Any]] = {}
    sources: dict[str, Source] = {}
    size: Sizing | None = None
    region: Region | None = None
    sensitivity: Sensitivity | None = None

    @classmethod
    def load(cls, path: Path | str, overrides: tuple[str, ...] = ()) -> "Study":
        """Read and validate the study in ``path``; its name is the file's unless it gives one.

        Raises
        ------
        InputError
            One line for each problem: file, path inside the file, what is wrong, what is allowed.
        """
        study = loading.load(Path(path), cls, overrides, {"name": Path(path).stem})
        return study._calibrated(Path(path).parent)

    def _calibrated(self, folder: Path) -> "Study":
        """Fit every population that asks for it to its baseline table, under the protocols' entry rules."""
        asked = {name: s for name, s in self.scenarios.items() if s.population.calibrate_to}
        if not asked:
            return self
        rules = {name: (p.eligibility, p.pain) for name, p in self.protocols.items()}
        first, *others = rules.values()
        where = f"scenarios.{next(iter(asked))}.population.calibrate_to"
        if any(other != first for other in others):
            raise InputError(f"{where}: the protocols differ in their entry rules or in how pain is rated")
        scenarios = dict(self.scenarios)
        fits: list[tuple[Population, Population]] = []
        for name, scenario in asked.items():
            population = scenario.population
            fitted = next((after for before, after in fits if before == population), None)
            if fitted is None:
                targets = read_targets(folder / str(population.calibrate_to), population)
                fitted = Calibration(population, *first).fit(targets)
                fits.append((population, fitted))
            scenarios[name] = scenario.model_copy(update={"population": fitted})
        return self.model_copy(update={"scenarios": scenarios})

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        for protocol_name, protocol in self.protocols.items():
            analysed = [look.analysis.estimand for look in protocol.looks]
            twice = sorted({name for name in analysed if analysed.count(name) > 1})
            if twice:
                raise wrong(
                    f"protocols.{protocol_name}.looks: estimand '{twice[0]}' is analysed twice, which would "
                    "mix its numbers; give the second analysis an estimand of its own name"
                )
            for scenario_name, scenario in self.scenarios.items():
                try:
                    scenario.check(protocol)
                except PydanticCustomError as error:
                    raise wrong(
                        f"protocols.{protocol_name}.{error.message()} (scenario {scenario_name})"
                    ) from None
        for path, claim in claims_in(self.scenarios, "scenarios"):
            if claim.source and claim.source not in self.sources:
                raise wrong(
                    f"{path}.source: unknown source '{claim.source}':{suggest(claim.source, self.sources)}"
                )
            for name in claim.synthesis_names() - set(self.syntheses):
                raise wrong(f"{path}.synthesis: unknown synthesis '{name}':{suggest(name, self.syntheses)}")
        self._check_prices()
        self._check_windows()
        self._check_questions()
        return self

    def _check_prices(self) -> None:
        """Refuse the price of an appointment that no protocol has."""
        known = {name for protocol in self.protocols.values() for name in protocol.operations.appointed}
        for scenario, one in self.scenarios.items():
            for name in one.costs.per_appointment if one.costs else ():
                if name not in known:
                    where = f"scenarios.{scenario}.costs.per_appointment"
                    raise wrong(f"{where}: no protocol has the appointment '{name}':{suggest(name, known)}")

    def _check_windows(self) -> None:
        """Refuse a window where every scenario holds every visit on its day."""
        if any(scenario.conditions.visit_days for scenario in self.scenarios.values()):
            return
        for name, protocol in self.protocols.items():
            if protocol.operations.windowed:
                raise wrong(
                    f"protocols.{name}.operations.visit_window: every visit is held on its day; give a "
                    "scenario 'conditions: visit_days', or leave the window out"
                )

    def _check_questions(self) -> None:
        """Refuse a question beside the run that names what the study does not hold."""
        if self.size:
            self._check_size(self.size)
        if self.region:
            self._check_region(self.region)
        if self.sensitivity:
            self._check_sensitivity(self.sensitivity)

    def _check_sensitivity(self, sensitivity: Sensitivity) -> None:
        known = (("protocol", self.protocols), ("scenario", self.scenarios))
        for field, names in known:
            chosen = getattr(sensitivity, field)
            if chosen is not None and chosen not in names:
                raise wrong(f"sensitivity.{field}: unknown name '{chosen}':{suggest(chosen, names)}")

    def _check_region(self, region: Region) -> None:
        null = [name for name, scenario in self.scenarios.items() if scenario.null]
        if region.of not in null:
            raise wrong(
                f"region.of: '{region.of}' is no scenario with 'null: true':{suggest(region.of, null)}"
            )

    def _check_size(self, size: Sizing) -> None:
        known = (
            ("protocol", self.protocols),
            ("power_scenario", self.scenarios),
            ("assurance_scenario", self.scenarios),
        )
        for field, names in known:
            chosen = getattr(size, field)
            if chosen not in names:
                raise wrong(f"size.{field}: unknown name '{chosen}':{suggest(chosen, names)}")

    def cells(self) -> list[tuple[str, str]]:
        """Every pair of protocol and scenario, in the order of the file."""
        return [(protocol, scenario) for protocol in self.protocols for scenario in self.scenarios]

    @property
    def main(self) -> tuple[str, str]:
        """Protocol and scenario that the answer is given for.

        The protocol of ``size`` or else the first; the scenario in which every trial draws its own truth, or
        else the first that is not null.
        """
        alive = [name for name, scenario in self.scenarios.items() if not scenario.null]
        drawn = [name for name in alive if self.scenarios[name].claims.is_drawn]
        protocol = self.size.protocol if self.size else next(iter(self.protocols))
        return protocol, next(iter(drawn + alive), next(iter(self.scenarios)))

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the scenarios rest on."""
        return set().union(*(scenario.synthesis_names() for scenario in self.scenarios.values()))

    def digest(self, posteriors: Mapping[str, Posterior]) -> str:
        """Name the numbers that this study gives, whatever the number of replicates.

        The study, its fits, and the code and the numpy that draw them: a block of another version is
        never taken for one of this.
        """
        decides = {k: v for k, v in loading.dump(self).items() if k not in NOT_SIMULATED}
        fits = {name: posterior.digest for name, posterior in posteriors.items()}
        return loading.digest(decides, fits, code_digest(), _own_code(self))

    def cell_digest(self, protocol: str, scenario: str, posteriors: Mapping[str, Posterior]) -> str:
        """Name the blocks of one cell by what decides them, whatever else the study holds.

        The names of protocol and scenario decide nothing.
        """
        chosen = self.protocols[protocol]
        nature = self.scenarios[scenario].only(chosen)
        used = sorted(set().union(*(claim.synthesis_names() for _, claim in claims_in(nature))))
        fits = {name: posteriors[name].digest for name in used}
        decides = (loading.dump(chosen), loading.dump(nature), self.seed, fits)
        return loading.digest(*decides, code_digest(), _own_code((chosen, nature)))

    @property
    def most_replicates(self) -> int:
        """Replicates that a cell may come to have."""
        return self.replicates if isinstance(self.replicates, int) else self.replicates.at_most

    def first_replicates(self) -> int:
        """Replicates of the first wave: all of them, or enough to plan by."""
        return (
            self.replicates
            if isinstance(self.replicates, int)
            else min(8 * BLOCK_SIZE, self.replicates.at_most)
        )

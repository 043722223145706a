"""Claims about the world: a distribution with a source, or a stated assumption."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field, model_validator

from sim.core.errors import InputError
from sim.core.parts import Family, Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams
from sim.mixtures import BetaMixture, NormalMixture
from sim.mixtures import Mixture as FiniteMixture
from sim.mixtures.exchange import from_tree

Floats = NDArray[np.float64]

Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Posterior:
    """Joint posterior draws of one synthesis, as its fit wrote them (``draws.npz``)."""

    name: str
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def read(cls, name: str, file: Path) -> "Posterior":
        """Read the draws of synthesis ``name`` from ``file``."""
        with np.load(file, allow_pickle=False) as content:
            return cls(name, {key: content[key] for key in content.files})

    @property
    def digest(self) -> str:
        """Digest of the configuration and the evidence behind the draws."""
        return str(self.arrays["digest"])

    @property
    def size(self) -> int:
        """Number of joint draws: the first axis of every array of numbers."""
        return max(len(array) for array in self.arrays.values() if array.dtype.kind == "f" and array.ndim)

    def array(self, quantity: str) -> NDArray[Any]:
        """Return one array; an error says what the synthesis holds instead."""
        if quantity not in self.arrays:
            raise InputError(f"synthesis {self.name}: holds no '{quantity}':{suggest(quantity, self.arrays)}")
        return self.arrays[quantity]

    def position(self, axis: str, name: str) -> int:
        """Place of ``name`` on an axis (treatments, classes, studies, rates)."""
        names = [str(item) for item in self.array(axis)]
        if name not in names:
            raise InputError(f"synthesis {self.name}: no '{name}' among its {axis}:{suggest(name, names)}")
        return names.index(name)

    def arm(self, study: str, treatment: str) -> int:
        """Place of one study's arm among the shrunken effects."""
        names = [
            f"{s}/{t}"
            for s, t in zip(self.array("study_arm_study"), self.array("study_arm_treatment"), strict=True)
        ]
        wanted = f"{study}/{treatment}"
        if wanted not in names:
            raise InputError(f"synthesis {self.name}: no arm '{wanted}':{suggest(wanted, names)}")
        return names.index(wanted)


@dataclass(frozen=True)
class Draws:
    """What a claim is drawn with: the block's streams and the posteriors that the study uses."""

    streams: Streams
    posteriors: Mapping[str, Posterior]

    def index(self, synthesis: str) -> NDArray[np.int64]:
        """Joint draw of a synthesis for each replicate: the same for every claim, so correlations survive."""
        return self.streams(f"synthesis:{synthesis}").integers(
            self.posterior(synthesis).size, size=BLOCK_SIZE
        )

    def posterior(self, synthesis: str) -> Posterior:
        """Return the posterior of ``synthesis``."""
        return _lookup(self.posteriors, synthesis)


def _lookup(posteriors: Mapping[str, Posterior], name: str) -> Posterior:
    if name not in posteriors:
        raise InputError(f"synthesis '{name}' is not fitted:{suggest(name, posteriors)}")
    return posteriors[name]


SHORT_FORMS = {"value": "exactly", "assume": "assume", "synthesis": "posterior", "comp": "mixture_json"}
"""Kind of a claim by the key that gives it away."""


class Claim(Family):
    """A quantity of nature: what is believed about it, and why."""

    source: str | None = Field(None, description="key in `sources` (a paper, an evidence row)")
    where: str | None = Field(None, description="table, page or row in the source")
    because: str | None = Field(None, description="the reason, where there is no source")

    borrowed: ClassVar[bool] = False

    @classmethod
    def infer_kind(cls, value: Mapping[str, Any]) -> str:
        """Allow the short forms: a claim is known by ``value``, ``assume``, ``synthesis`` or ``comp``."""
        for key, kind in SHORT_FORMS.items():
            if "kind" not in value and key in value:
                return kind
        return super().infer_kind(value)

    @model_validator(mode="after")
    def _is_justified(self) -> Self:
        if self.needs_reason() and not (self.source or self.because):
            raise wrong("a claim needs 'source' (a key of sources) or 'because' (a stated assumption)")
        return self

    def needs_reason(self) -> bool:
        """Whether the claim must name its own source (a posterior carries its sources itself)."""
        return True

    def draw(self, name: str, draws: Draws) -> Floats:
        """Draw one value for each replicate of the block, shape (replicate,); ``name`` keys the stream."""
        raise NotImplementedError

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the mean of the claim."""
        raise NotImplementedError

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the claim rests on."""
        return set()

    def support(self) -> tuple[float, float]:
        """Return the smallest interval that holds every possible value."""
        return -np.inf, np.inf

    def words(self) -> str:
        """Say the claim in words."""
        raise NotImplementedError


class Exactly(Claim):
    """A reported number, taken as it is."""

    kind: Literal["exactly"] = "exactly"
    value: float

    def draw(self, name: str, draws: Draws) -> Floats:
        """Return the value for every replicate."""
        return np.full(BLOCK_SIZE, self.value)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the value."""
        return self.value

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        return self.value, self.value

    def words(self) -> str:
        """Say the claim in words."""
        return f"{self.value:g}"


class Assume(Claim):
    """A stated assumption: a number without a source, and the reason for it."""

    kind: Literal["assume"] = "assume"
    assume: float
    because: str

    def draw(self, name: str, draws: Draws) -> Floats:
        """Return the assumed value for every replicate."""
        return np.full(BLOCK_SIZE, self.assume)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the assumed value."""
        return self.assume

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        return self.assume, self.assume

    def words(self) -> str:
        """Say the claim in words."""
        return f"{self.assume:g} (assumed)"


class Normal(Claim):
    """A normal distribution."""

    kind: Literal["normal"] = "normal"
    mean_: float = Field(alias="mean")
    sd: float = Field(gt=0)

    def draw(self, name: str, draws: Draws) -> Floats:
        """Draw from the normal distribution."""
        return draws.streams(f"claim:{name}").normal(self.mean_, self.sd, BLOCK_SIZE)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the mean."""
        return self.mean_

    def words(self) -> str:
        """Say the claim in words."""
        return f"normal, mean {self.mean_:g}, SD {self.sd:g}"


class LogNormal(Claim):
    """A lognormal distribution, by its median and the SD of its logarithm."""

    kind: Literal["lognormal"] = "lognormal"
    median: float = Field(gt=0)
    log_sd: float = Field(gt=0)

    def draw(self, name: str, draws: Draws) -> Floats:
        """Draw from the lognormal distribution."""
        return draws.streams(f"claim:{name}").lognormal(np.log(self.median), self.log_sd, BLOCK_SIZE)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the mean, median × exp(log_sd² / 2)."""
        return float(self.median * np.exp(0.5 * self.log_sd**2))

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        return 0.0, np.inf

    def words(self) -> str:
        """Say the claim in words."""
        return f"lognormal, median {self.median:g}, log-SD {self.log_sd:g}"


class Beta(Claim):
    """A beta distribution, by its mean and the number of patients it is worth."""

    kind: Literal["beta"] = "beta"
    mean_: float = Field(alias="mean", gt=0, lt=1)
    n: float = Field(gt=0, description="a + b: patients' worth of information")

    def draw(self, name: str, draws: Draws) -> Floats:
        """Draw from the beta distribution with a = mean × n, b = (1 − mean) × n."""
        stream = draws.streams(f"claim:{name}")
        return stream.beta(self.mean_ * self.n, (1 - self.mean_) * self.n, BLOCK_SIZE)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the mean."""
        return self.mean_

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        return 0.0, 1.0

    def words(self) -> str:
        """Say the claim in words."""
        return f"beta, mean {self.mean_:g}, worth {self.n:g} patients"


RATES = ("hazard_", "share_")
"""How the rates of a ``class_rates`` synthesis begin: events a week, or a share of patients."""
PARAMETERS = {
    "response": "",
    "response_half_weeks": "",
    "new_share": "",
    "new_mean": "",
    "baseline": "study",
    "effect_half_weeks": "class",
    "persistence_half_weeks": "class",
}
"""Parameters of a posterior that are no rates, and what else each of them needs."""


class PosteriorClaim(Claim):
    """A quantity of a synthesis: by default what a new trial would have (the predictive draws).

    One of ``treatment`` (its effect), ``class`` (the effect of a new member) or ``parameter``
    (response, response_half_weeks; effect_half_weeks and persistence_half_weeks of a class;
    baseline of a study; new_share or new_mean of a control arm's prior; hazard_… and share_… of a treatment
    or a class). ``study`` asks for that trial's own, shrunken value. With ``robust_weight`` that share of the
    claim is ``vague`` instead (Schmidli et al. 2014, doi:10.1111/biom.12242).
    """

    kind: Literal["posterior"] = "posterior"
    synthesis: str
    treatment: str | None = None
    class_: str | None = Field(None, alias="class")
    study: str | None = None
    parameter: str | None = None
    robust_weight: Probability = 0.0
    vague: Claim | None = None

    def needs_reason(self) -> bool:
        """A posterior names its synthesis, which lists every row that it used."""
        return False

    @model_validator(mode="after")
    def _names_one_quantity(self) -> Self:
        whose = (self.treatment is None) + (self.class_ is None)
        if self.parameter is None and whose != 1:
            raise wrong("a posterior names one of 'treatment', 'class' or 'parameter'")
        if self._is_rate() and whose != 1:
            raise wrong(f"parameter '{self.parameter}' is that of a 'treatment' or of a 'class'")
        if self.parameter is None or self._is_rate():
            return self
        if self.parameter not in PARAMETERS:
            allowed = (*PARAMETERS, *(f"{rate}…" for rate in RATES))
            raise wrong(f"unknown parameter '{self.parameter}':{suggest(self.parameter, allowed)}")
        needs = PARAMETERS[self.parameter]
        if needs and (self.study if needs == "study" else self.class_) is None:
            raise wrong(f"parameter '{self.parameter}' also needs '{needs}'")
        return self

    @model_validator(mode="after")
    def _is_robust_by_both(self) -> Self:
        if (self.robust_weight > 0) != (self.vague is not None):
            raise wrong("'robust_weight' and 'vague' (the claim that takes that weight) go together")
        return self

    def _is_rate(self) -> bool:
        return str(self.parameter).startswith(RATES)

    def samples(self, posterior: Posterior) -> Floats:
        """Return the marginal posterior (predictive) draws, shape (draw,), without the vague part."""
        return np.asarray(
            self._rate(posterior) if self._is_rate() else self._column(posterior), dtype=np.float64
        )

    def _column(self, posterior: Posterior) -> NDArray[Any]:
        if self.treatment is not None and self.study is not None:
            return posterior.array("study_effect")[:, posterior.arm(self.study, self.treatment)]
        if self.treatment is not None:
            return posterior.array("effect_new")[:, posterior.position("treatments", self.treatment)]
        if self.parameter in ("baseline", "response") and self.study is not None:
            return posterior.array(f"study_{self.parameter}")[:, posterior.position("studies", self.study)]
        if self.parameter == "response":
            return posterior.array("response_new")
        if self.class_ is not None:
            of_class = self.parameter or "class_new"
            return posterior.array(of_class)[:, posterior.position("classes", self.class_)]
        return posterior.array(str(self.parameter))

    def _rate(self, posterior: Posterior) -> NDArray[Any]:
        rate = posterior.position("rates", str(self.parameter))
        if self.treatment is None:
            return posterior.array("rate_class")[:, posterior.position("classes", str(self.class_)), rate]
        if self.study is not None:
            return posterior.array("rate_study")[:, posterior.arm(self.study, self.treatment), rate]
        return posterior.array("rate_new")[:, posterior.position("treatments", self.treatment), rate]

    def draw(self, name: str, draws: Draws) -> Floats:
        """Take the block's joint draws of the synthesis, a share of them from the vague part."""
        drawn = self.samples(draws.posterior(self.synthesis))[draws.index(self.synthesis)]
        if self.vague is None:
            return drawn
        is_vague = draws.streams(f"claim:{name}").random(BLOCK_SIZE) < self.robust_weight
        return np.where(is_vague, self.vague.draw(f"{name}.vague", draws), drawn)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the posterior mean, the vague part included."""
        mean = float(self.samples(_lookup(posteriors, self.synthesis)).mean())
        if self.vague is None:
            return mean
        return (1 - self.robust_weight) * mean + self.robust_weight * self.vague.mean(posteriors)

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the claim rests on."""
        return {self.synthesis} | (self.vague.synthesis_names() if self.vague else set())

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        parameter = str(self.parameter)
        is_positive = parameter.endswith("_weeks") or self._is_rate() or parameter == "new_share"
        low, high = (
            (0.0 if is_positive else -np.inf),
            (1.0 if parameter.startswith(("share_", "new_share")) else np.inf),
        )
        if self.vague is None:
            return low, high
        least, most = self.vague.support()
        return min(low, least), max(high, most)

    def words(self) -> str:
        """Say the claim in words."""
        of = self.treatment or (f"a new member of class {self.class_}" if self.class_ else "")
        what = " of ".join(item.replace("_", " ") for item in (self.parameter, of) if item)
        whose = f"as in {self.study}" if self.study else "in a new trial"
        said = f"{what}, {whose}, from the synthesis '{self.synthesis}'"
        return f"{said}; {self.robust_weight:.0%} {self.vague.words()}" if self.vague else said


class MixtureJson(Claim):
    """A finite mixture in the form that RBesT writes: ``{from: prior.json, source: …}`` takes its file."""

    kind: Literal["mixture_json"] = "mixture_json"
    meta: dict[str, Any] = Field(description="attributes: class (normMix, betaMix, gammaMix), link, sigma")
    comp: tuple[tuple[float, ...], ...] = Field(description="three rows: weights, then the two parameters")

    @model_validator(mode="after")
    def _is_a_mixture(self) -> Self:
        try:
            self.mixture()
        except InputError as error:
            raise wrong(str(error)) from None
        return self

    def mixture(self) -> FiniteMixture:
        """Return the mixture itself."""
        return from_tree({"meta": self.meta, "comp": self.comp}, "mixture_json")

    def draw(self, name: str, draws: Draws) -> Floats:
        """Draw from the mixture."""
        return self.mixture().sample(draws.streams(f"claim:{name}"), BLOCK_SIZE)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the mean of the mixture."""
        return float(self.mixture().mean())

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        mixture = self.mixture()
        low = -np.inf if isinstance(mixture, NormalMixture) else 0.0
        return low, (1.0 if isinstance(mixture, BetaMixture) else np.inf)

    def words(self) -> str:
        """Say the claim in words."""
        mixture = self.mixture()
        parts = zip(mixture.weight, *mixture.parameters(), strict=True)
        family = type(mixture).__name__.removesuffix("Mixture").lower()
        return " + ".join(f"{w:.0%} {family}({a:.3g}, {b:.3g})" for w, a, b in parts)


class Scaled(Claim):
    """A claim times a factor that is independent of it: one outcome's effect from another's, say."""

    kind: Literal["scaled"] = "scaled"
    of: Claim
    by: Claim

    def needs_reason(self) -> bool:
        """Both the claim and the factor have their own reason."""
        return False

    def draw(self, name: str, draws: Draws) -> Floats:
        """Multiply the draws of both."""
        return self.of.draw(f"{name}.of", draws) * self.by.draw(f"{name}.by", draws)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the product of the means."""
        return self.of.mean(posteriors) * self.by.mean(posteriors)

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the claim rests on."""
        return self.of.synthesis_names() | self.by.synthesis_names()

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        with np.errstate(invalid="ignore"):
            ends = np.outer(self.of.support(), self.by.support())
        ends = np.where(np.isnan(ends), 0.0, ends)  # 0 times infinity
        return float(ends.min()), float(ends.max())

    def words(self) -> str:
        """Say the claim in words."""
        return f"{self.by.words()} × ({self.of.words()})"


class Component(Part):
    """One part of a mixture."""

    from_: Claim = Field(alias="from")
    weight: Probability
    because: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _lend_the_reason(cls, value: Any) -> Any:
        """A component's reason also justifies the claim inside it."""
        if not (isinstance(value, Mapping) and isinstance(value.get("from"), Mapping) and "because" in value):
            return value
        inner = value["from"]
        if "source" in inner or "because" in inner:
            return value
        return {**value, "from": {**inner, "because": value["because"]}}


DISAGREE = 2.0
"""Standard deviations of their difference beyond which two parts of a mixture contradict each other."""
SPREAD_BLOCKS = 16


def _spread(claim: Claim, posteriors: Mapping[str, Posterior]) -> tuple[float, float]:
    """Mean and SD of a claim from 2048 draws of its own."""
    blocks = (Draws(Streams(0, block), posteriors) for block in range(SPREAD_BLOCKS))
    drawn = np.concatenate([claim.draw("spread", draws) for draws in blocks])
    return float(drawn.mean()), float(drawn.std())


class Mixture(Claim):
    """A finite mixture of claims."""

    kind: Literal["mixture"] = "mixture"
    parts: tuple[Component, ...] = Field(min_length=1)

    def needs_reason(self) -> bool:
        """Each component has its own reason."""
        return False

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> Self:
        total = sum(part.weight for part in self.parts)
        if abs(total - 1) > 1e-9:
            raise wrong(f"the weights of the parts sum to {total:g}, they must sum to 1")
        return self

    def draw(self, name: str, draws: Draws) -> Floats:
        """Choose a component for each replicate, then take its draw."""
        edges = np.cumsum([part.weight for part in self.parts])[:-1]
        chosen = np.searchsorted(edges, draws.streams(f"claim:{name}").random(BLOCK_SIZE), side="right")
        drawn = [part.from_.draw(f"{name}.{i}", draws) for i, part in enumerate(self.parts)]
        return np.asarray(np.choose(chosen, drawn), dtype=np.float64)

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the weighted mean of the components."""
        return sum(part.weight * part.from_.mean(posteriors) for part in self.parts)

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the components rest on."""
        return set().union(*(part.from_.synthesis_names() for part in self.parts))

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        lows, highs = zip(*(part.from_.support() for part in self.parts), strict=True)
        return min(lows), max(highs)

    def words(self) -> str:
        """Say the claim in words."""
        return " + ".join(f"{part.weight:.0%} {part.from_.words()}" for part in self.parts)

    def disagreements(self, posteriors: Mapping[str, Posterior]) -> list[str]:
        """Say which two parts lie more than 2 of their joint standard deviations apart."""
        spreads = [_spread(part.from_, posteriors) for part in self.parts]
        found = []
        for i, j in combinations(range(len(self.parts)), 2):
            (mean, sd), (other, other_sd) = spreads[i], spreads[j]
            z = abs(mean - other) / max(float(np.hypot(sd, other_sd)), 1e-12)
            if z > DISAGREE and mean != other:
                one, two = (f"{self.parts[k].from_.words()} ({spreads[k][0]:.2g})" for k in (i, j))
                found.append(f"{one} and {two} lie {min(z, 99):.1f} standard deviations apart")
        return found


class Borrowed(Mixture):
    """A mixture that stands in for a treatment without a reported effect of its own."""

    kind: Literal["borrowed"] = "borrowed"  # type: ignore[assignment]
    borrowed: ClassVar[bool] = True


Read = Callable[[str, Claim], Floats]
"""Gives a claim its value in each replicate, shape (replicate,), under a path that names its stream."""


def within(low: float, high: float) -> AfterValidator:
    """Refuse a claim that can leave the interval from ``low`` to ``high``, both ends included."""

    def check(claim: Claim) -> Claim:
        least, most = claim.support()
        if least < low or most > high:
            raise wrong(f"{claim.words()} can leave the allowed range {low:g} to {high:g}")
        return claim

    return AfterValidator(check)


def above_zero(claim: Claim) -> Claim:
    """Refuse a claim that can be zero or less: a half-life, an SD."""
    least, most = claim.support()
    if least < 0 or most <= 0 or least == most == 0:
        raise wrong(f"{claim.words()} must be above 0")
    return claim


Share = Annotated[Claim, within(0, 1)]
AboveZero = Annotated[Claim, AfterValidator(above_zero)]
Positive = Annotated[Claim, within(0, np.inf)]


def claims_in(part: Any, path: str = "") -> Iterator[tuple[str, Claim]]:
    """Yield every claim inside a part with its path, outermost first; a mixture's parts follow it."""
    if isinstance(part, Claim):
        yield path, part
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from claims_in(getattr(part, name), f"{path}.{name.rstrip('_')}".lstrip("."))
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield from claims_in(value, f"{path}.{key}".lstrip("."))
    elif isinstance(part, tuple | list):
        for i, value in enumerate(part):
            yield from claims_in(value, f"{path}[{i}]")

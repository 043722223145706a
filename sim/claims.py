"""Claims about the world: a distribution with a source, or a stated assumption."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field, model_validator

from sim.core.errors import InputError
from sim.core.parts import Family, Part, suggest, wrong
from sim.core.streams import BLOCK_SIZE, Streams

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
        """Number of joint draws."""
        return len(self.arrays["response"])

    def position(self, axis: str, name: str) -> int:
        """Place of ``name`` on an axis (treatments, classes, studies)."""
        names = [str(item) for item in self.arrays[axis]]
        if name not in names:
            raise InputError(f"synthesis {self.name}: no '{name}' among its {axis}:{suggest(name, names)}")
        return names.index(name)

    def arm(self, study: str, treatment: str) -> int:
        """Place of one study's arm among the shrunken effects."""
        names = [
            f"{s}/{t}"
            for s, t in zip(self.arrays["study_arm_study"], self.arrays["study_arm_treatment"], strict=True)
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


class Claim(Family):
    """A quantity of nature: what is believed about it, and why."""

    source: str | None = Field(None, description="key in `sources` (a paper, an evidence row)")
    where: str | None = Field(None, description="table, page or row in the source")
    because: str | None = Field(None, description="the reason, where there is no source")

    borrowed: ClassVar[bool] = False

    @classmethod
    def infer_kind(cls, value: Mapping[str, Any]) -> str:
        """Allow the short forms ``value``, ``assume`` and ``synthesis``."""
        for key, kind in (("value", "exactly"), ("assume", "assume"), ("synthesis", "posterior")):
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


class PosteriorClaim(Claim):
    """A quantity of a synthesis: by default what a new trial would have (the predictive draws).

    One of ``treatment`` (its effect), ``class`` (the effect of a new member) or ``parameter``
    (response, response_half_weeks; effect_half_weeks and persistence_half_weeks of a class;
    baseline of a study). ``study`` asks for that trial's own, shrunken value.
    """

    kind: Literal["posterior"] = "posterior"
    synthesis: str
    treatment: str | None = None
    class_: str | None = Field(None, alias="class")
    study: str | None = None
    parameter: str | None = None

    def needs_reason(self) -> bool:
        """A posterior names its synthesis, which lists every row that it used."""
        return False

    @model_validator(mode="after")
    def _names_one_quantity(self) -> Self:
        needed = {"baseline": ["study"], "effect_half_weeks": ["class"], "persistence_half_weeks": ["class"]}
        known = ("response", "response_half_weeks", *needed)
        if self.parameter is None:
            if (self.treatment is None) == (self.class_ is None):
                raise wrong("a posterior names one of 'treatment', 'class' or 'parameter'")
        elif self.parameter not in known:
            raise wrong(f"unknown parameter '{self.parameter}':{suggest(self.parameter, known)}")
        elif any(
            getattr(self, f"{key}_" if key == "class" else key) is None
            for key in needed.get(self.parameter, [])
        ):
            raise wrong(f"parameter '{self.parameter}' also needs '{needed[self.parameter][0]}'")
        return self

    def samples(self, posterior: Posterior) -> Floats:
        """Return the marginal posterior (predictive) draws, shape (draw,)."""
        arrays = posterior.arrays
        if self.treatment is not None and self.study is not None:
            column = arrays["study_effect"][:, posterior.arm(self.study, self.treatment)]
        elif self.treatment is not None:
            column = arrays["effect_new"][:, posterior.position("treatments", self.treatment)]
        elif self.parameter in ("baseline", "response") and self.study is not None:
            column = arrays[f"study_{self.parameter}"][:, posterior.position("studies", self.study)]
        elif self.parameter == "response":
            column = arrays["response_new"]
        elif self.parameter is not None and self.class_ is not None:
            column = arrays[self.parameter][:, posterior.position("classes", self.class_)]
        elif self.class_ is not None:
            column = arrays["class_new"][:, posterior.position("classes", self.class_)]
        else:
            column = arrays[str(self.parameter)]
        return np.asarray(column, dtype=np.float64)

    def draw(self, name: str, draws: Draws) -> Floats:
        """Take the block's joint draws of the synthesis."""
        return self.samples(draws.posterior(self.synthesis))[draws.index(self.synthesis)]

    def mean(self, posteriors: Mapping[str, Posterior]) -> float:
        """Return the posterior mean."""
        return float(self.samples(_lookup(posteriors, self.synthesis)).mean())

    def synthesis_names(self) -> set[str]:
        """Names of the syntheses that the claim rests on."""
        return {self.synthesis}

    def support(self) -> tuple[float, float]:
        """Return the interval of possible values."""
        return (0.0 if str(self.parameter).endswith("_weeks") else -np.inf), np.inf

    def words(self) -> str:
        """Say the claim in words."""
        what = self.treatment or self.parameter or f"a new member of class {self.class_}"
        whose = f"as in {self.study}" if self.study else "in a new trial"
        return f"{what} {whose}, from the synthesis '{self.synthesis}'"


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

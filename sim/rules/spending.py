"""How an error probability is spread over the looks: spending functions, boundary shapes, given bounds."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.parts import Family, suggest, wrong

Floats = NDArray[np.float64]
Positive = Annotated[float, Field(gt=0)]


class Spending(Family):
    """How the looks share an error probability (alpha for efficacy, beta for futility)."""

    def values_needed(self, looks: int) -> int | None:
        """Return how many values ``looks`` looks ask for; None where no values are given."""
        return None


class SpendingFunction(Spending):
    """An error-spending function: how much may have been spent at each information fraction."""

    def spent(self, information: Floats, total: float) -> Floats:
        """Return the cumulative error spent.

        Parameters
        ----------
        information
            Information fractions of the looks, (look,), increasing to 1.
        total
            Error probability to spend: one-sided alpha, or beta.
        """
        raise NotImplementedError


class BoundaryShape(Spending):
    """A boundary known up to one constant, which is solved for so that the error is as asked."""

    def bounds(self, information: Floats, constant: float) -> Floats:
        """Return the bounds on the z scale, (look,), the last one equal to ``constant``."""
        raise NotImplementedError


class LanDeMetsOBrienFleming(SpendingFunction):
    """Spending that resembles O'Brien-Fleming (Lan & DeMets 1983, doi:10.1093/biomet/70.3.659)."""

    kind: Literal["ld_obrien_fleming"] = "ld_obrien_fleming"

    def spent(self, information: Floats, total: float) -> Floats:
        """Return 2 − 2Φ(z(total/2)/√t); see ``SpendingFunction.spent``."""
        return np.asarray(2 * ndtr(ndtri(total / 2) / np.sqrt(information)))


class LanDeMetsPocock(SpendingFunction):
    """Spending that resembles Pocock (Lan & DeMets 1983, doi:10.1093/biomet/70.3.659)."""

    kind: Literal["ld_pocock"] = "ld_pocock"

    def spent(self, information: Floats, total: float) -> Floats:
        """Return total · log(1 + (e − 1)t); see ``SpendingFunction.spent``."""
        return np.asarray(total * np.log1p((np.e - 1) * information))


class HwangShihDeCani(SpendingFunction):
    """Gamma-family spending (Hwang, Shih & De Cani 1990, doi:10.1002/sim.4780091207)."""

    kind: Literal["hsd"] = "hsd"
    gamma: Annotated[float, Field(ge=-40, le=40)]

    def spent(self, information: Floats, total: float) -> Floats:
        """Return total · (1 − exp(−γt))/(1 − exp(−γ)), linear at γ = 0; see ``SpendingFunction.spent``."""
        if self.gamma == 0:
            return total * information
        return np.asarray(total * np.expm1(-self.gamma * information) / np.expm1(-self.gamma))


class KimDeMets(SpendingFunction):
    """Power-family spending (Kim & DeMets 1987, doi:10.1093/biomet/74.1.149)."""

    kind: Literal["kim_demets"] = "kim_demets"
    rho: Positive

    def spent(self, information: Floats, total: float) -> Floats:
        """Return total · t^ρ; see ``SpendingFunction.spent``."""
        return np.asarray(total * information**self.rho)


class UserSpending(SpendingFunction):
    """Cumulative error that the user gives for each look; the last value is the whole error."""

    kind: Literal["user"] = "user"
    values: Annotated[tuple[float, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if self.values[0] < 0 or self.values[-1] <= 0 or (np.diff(self.values) < 0).any():
            raise wrong(f"the cumulative error must not fall and end above 0 (given: {_list(self.values)})")
        return self

    def values_needed(self, looks: int) -> int:
        """Return one for each look."""
        return looks

    def spent(self, information: Floats, total: float) -> Floats:
        """Return the given values, scaled to ``total`` (a two-sided error is halved for each side)."""
        return np.asarray(self.values) * (total / self.values[-1])


class WangTsiatis(BoundaryShape):
    """Bounds constant · t^(Δ − 1/2): the Wang-Tsiatis family (1987, doi:10.2307/2531959)."""

    kind: Literal["wang_tsiatis"] = "wang_tsiatis"
    delta: Annotated[float, Field(ge=-1, le=1)]

    def bounds(self, information: Floats, constant: float) -> Floats:
        """Return constant · t^(Δ − 1/2); see ``BoundaryShape.bounds``."""
        return np.asarray(constant * information ** (self.delta - 0.5))


class OBrienFleming(BoundaryShape):
    """Bounds constant/√t (O'Brien & Fleming 1979, doi:10.2307/2530245)."""

    kind: Literal["obrien_fleming"] = "obrien_fleming"

    def bounds(self, information: Floats, constant: float) -> Floats:
        """Return constant/√t; see ``BoundaryShape.bounds``."""
        return np.asarray(constant / np.sqrt(information))


class Pocock(BoundaryShape):
    """The same bound at each look (Pocock 1977, doi:10.1093/biomet/64.2.191)."""

    kind: Literal["pocock"] = "pocock"

    def bounds(self, information: Floats, constant: float) -> Floats:
        """Return the constant for each look; see ``BoundaryShape.bounds``."""
        return np.full(len(information), constant)


class HaybittlePeto(BoundaryShape):
    """z = 3 at the interim looks, the rest at the last (Haybittle 1971, doi:10.1259/0007-1285-44-526-793)."""

    kind: Literal["haybittle_peto"] = "haybittle_peto"

    def bounds(self, information: Floats, constant: float) -> Floats:
        """Return 3, …, 3, constant; see ``BoundaryShape.bounds``."""
        return np.append(np.full(len(information) - 1, 3.0), constant)


class GivenBounds(Spending):
    """Futility bounds on the z scale that the user gives, one for each interim look."""

    kind: Literal["z"] = "z"
    values: tuple[float, ...]

    def values_needed(self, looks: int) -> int:
        """Return one for each interim look, as the last look decides."""
        return looks - 1


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def parse_spending(spec: str, where: str, given_bounds: bool = False) -> Spending:
    """Read ``kind``, ``kind:NUMBER`` or ``kind:n1,n2,...`` as on the command line.

    Parameters
    ----------
    where
        Begins the line of an error.
    given_bounds
        Whether bounds on z may be given (for futility).

    Raises
    ------
    InputError
        An unknown kind, a number missing, one too many or not a number.
    """
    kind, colon, rest = spec.partition(":")
    forms = {name: _form(name) for name in Spending.kinds() if given_bounds or name != "z"}
    if kind not in forms:
        raise InputError(f"{where}: unknown spending '{kind}':{suggest(kind, forms.values())}")
    form, field = forms[kind], _field(kind)
    if field is None:
        if colon:
            raise InputError(f"{where}: '{kind}' takes no number (given: '{spec}')")
        return validate({"kind": kind}, Spending, where)
    numbers = parse_numbers(rest, f"{where}: {form}")
    if field != "values" and len(numbers) != 1:
        raise InputError(f"{where}: {form}: expected one number (given: '{spec}')")
    return validate({"kind": kind, field: numbers if field == "values" else numbers[0]}, Spending, where)


def _field(kind: str) -> str | None:
    return next((name for name in Spending.member(kind).model_fields if name != "kind"), None)


def _form(kind: str) -> str:
    field = _field(kind)
    if field is None:
        return kind
    return f"{kind}:n1,n2,..." if field == "values" else f"{kind}:{field.upper()}"


def parse_numbers(text: str, where: str) -> list[float]:
    """Read numbers that are separated by commas.

    Raises
    ------
    InputError
        Something between the commas is not a finite number.
    """
    try:
        numbers = [float(item) for item in text.split(",")]
    except ValueError:
        numbers = [np.nan]
    if not np.isfinite(numbers).all():
        raise InputError(f"{where}: expected numbers separated by commas (given: '{text}')")
    return numbers

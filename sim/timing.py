"""When a trial is looked at."""

from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from sim.core.parts import Part, wrong

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Timing(Part):
    """When the trial is looked at; the last look is always when every patient has passed the primary visit.

    An interim look comes when a share of the patients (``fractions``, which end with 1), a number of them
    (``patients``) has passed the primary visit, or in a week since the first site opened (``weeks``). Where
    several are given, look by look, the earliest or the latest of them decides.
    """

    fractions: tuple[float, ...] = ()
    patients: tuple[int, ...] = ()
    weeks: tuple[float, ...] = ()
    whichever: Literal["earliest", "latest"] = "earliest"

    @model_validator(mode="after")
    def _up_to_all(self) -> Self:
        steps = np.diff(self.fractions, prepend=0.0)
        if self.fractions and ((steps < 1e-3).any() or self.fractions[-1] != 1):
            shown = ", ".join(f"{fraction:g}" for fraction in self.fractions)
            raise wrong(f"fractions: must increase from above 0 to 1; got {shown}")
        for name, values in (("patients", self.patients), ("weeks", self.weeks)):
            if any(b <= a for a, b in pairwise((0, *values))):
                raise wrong(f"{name}: must increase from above 0; got {', '.join(f'{v:g}' for v in values)}")
        numbers = {len(part) for part in (self.fractions[:-1], self.patients, self.weeks) if part}
        if len(numbers) > 1 or not (self.fractions or self.patients or self.weeks):
            raise wrong("give 'fractions', 'patients' or 'weeks', each with one value for each interim look")
        return self

    @property
    def interim(self) -> int:
        """Number of looks before the last."""
        return max(len(self.fractions) - 1, len(self.patients), len(self.weeks))

    @property
    def by_count(self) -> bool:
        """Whether shares of the patients alone decide, so that a look is the same cut in every trial."""
        return not self.patients and not self.weeks

    def planned(self, n: int) -> tuple[float, ...]:
        """Share of the patients planned at each look of a trial of ``n``; by weeks alone, even steps."""
        if self.fractions:
            return self.fractions
        if self.patients:
            return (*(number / n for number in self.patients), 1.0)
        return tuple((k + 1) / (self.interim + 1) for k in range(self.interim + 1))

    def due(self, look: int, size: Ints, passed: Floats, share: Floats | None = None) -> Floats:
        """Week of a look, (replicate,).

        Parameters
        ----------
        size
            Patients planned in all, (replicate,).
        passed
            Week in which each patient passes the primary visit, (patient, replicate); inf is never.
        share
            Of the patients who have passed it, (replicate,), in place of the ``fractions``.
        """
        inside = np.sort(passed, axis=0)

        def week_of(number: Ints) -> Floats:
            return np.asarray(np.take_along_axis(inside, number[None] - 1, axis=0)[0])

        everybody = week_of(np.maximum(np.minimum(size, np.isfinite(passed).sum(axis=0)), 1))
        if look == self.interim:
            return everybody
        triggers = []
        if self.fractions:
            wanted = self.fractions[look] if share is None else share
            triggers.append(week_of(np.ceil(size * wanted - 1e-9).astype(np.int64)))
        if self.patients:
            triggers.append(week_of(np.minimum(self.patients[look], size)))
        if self.weeks:
            triggers.append(np.full(len(size), self.weeks[look]))
        first = np.minimum if self.whichever == "earliest" else np.maximum
        return np.minimum(first.reduce(triggers), everybody)

    def words(self) -> str:
        """Say when the trial is looked at."""
        passed = "of the patients have passed the primary visit"
        said = []
        if self.fractions[:-1]:
            said.append(f"when {', '.join(f'{fraction:.0%}' for fraction in self.fractions[:-1])} {passed}")
        if self.patients:
            said.append(f"when {', '.join(str(number) for number in self.patients)} {passed}")
        if self.weeks:
            said.append(f"in week {', '.join(f'{week:g}' for week in self.weeks)}")
        if not said:
            return "When every patient has passed the primary visit"
        if self.by_count:
            return f"W{said[0][1:].replace(' of the', ' and all of the')}"
        which = f", whichever is {self.whichever}" if len(said) > 1 else ""
        first = " or ".join(said)
        return f"{first[:1].upper()}{first[1:]}{which}, and when all have passed it"


ALL_AT_ONCE = Timing(fractions=(1.0,))
"""One look, when every patient has passed the primary visit."""

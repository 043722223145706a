"""People who are eligible and consent, and which of them are randomised and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.core.streams import Streams
from sim.operations.appointments import Appointment, line_of
from sim.operations.conditions import ConditionLevels
from sim.operations.holidays import absences

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

MOST = 16
"""Candidates for each patient wanted, at most: beyond that a trial is taken not to fill."""


@dataclass(frozen=True)
class Candidates:
    """Candidates in the order of presenting, (candidate, replicate), weeks since the first site opened.

    Attributes
    ----------
    ready
        When each can be randomised; ``inf``: never.
    site
        Of each.
    screened
        People screened up to each, that candidate included.
    opened, closed
        Of the sites, (site, replicate).
    held_up
        Weeks waited for appointments; None: there are none.
    lost
        Candidates up to each who gave up the wait.
    kept
        Week of each appointment by its name.
    """

    ready: Floats
    site: Ints
    screened: Floats
    opened: Floats
    closed: Floats | None
    held_up: Floats | None = None
    lost: Floats | None = None
    kept: dict[str, Floats] = field(default_factory=dict)

    def attend(
        self, appointments: Sequence[Appointment], at: ConditionLevels, until: float, streams: Streams
    ) -> "Candidates":
        """Let all keep their appointments in turn; who gives up is not randomised."""
        came, ready, kept = self.ready, self.ready, {}
        for appointment in appointments:
            patience = np.full(ready.shape, np.inf)
            if at.patience is not None:
                unit = streams(f"patience for {appointment.name}").standard_exponential(ready.shape)
                patience = at.patience * unit
            begin = np.full(ready.shape, np.inf)
            for replicate in range(ready.shape[1]):
                desk = appointment.desk(absences(at.holidays, until, replicate))
                here = np.flatnonzero(ready[:, replicate] <= until)
                asked = (values[here, replicate].tolist() for values in (ready, patience))
                desk.send(line_of(*asked))
                desk.run()
                begin[here, replicate] = desk.begin
            ready = kept[appointment.name] = np.where(begin <= until, begin, np.inf)
        gone = np.cumsum(np.isfinite(came) & np.isinf(ready), axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            waited = np.where(np.isfinite(ready), ready - came, 0.0)
        return replace(self, ready=ready, held_up=waited, lost=gone, kept=kept)

    def needed(self, wanted: int, before: Floats) -> int:
        """Candidates that are likely to be enough; ``before`` they keep appointments they are ready then.

        As many as there are, where no trial lacks patients or nobody more would present.
        """
        many, found = len(self.ready), np.isfinite(self.ready).sum(axis=0)
        short = (found < wanted) & np.isfinite(before[-1])
        if not short.any() or many >= MOST * wanted:
            return many
        share = max(float(found[short].min()) / many, 1 / MOST)
        return min(max(int(1.1 * wanted / share), many + 1), MOST * wanted)

    def first(self, wanted: int) -> "Candidates":
        """Take the first so many who are randomised; where there are fewer, the rest never are."""
        rows = np.argsort(np.isinf(self.ready), axis=0, kind="stable")[:wanted]

        def of(values: Floats) -> Floats:
            return np.take_along_axis(values, rows, axis=0)

        assert self.held_up is not None
        assert self.lost is not None
        return replace(
            self,
            ready=of(self.ready),
            site=np.take_along_axis(self.site, rows, axis=0),
            screened=of(self.screened),
            held_up=of(self.held_up),
            lost=of(self.lost),
            kept={name: of(week) for name, week in self.kept.items()},
        )

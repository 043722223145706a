"""One simulated trial as ADaM-like datasets: ADSL, ADQS (a basic data structure) and ADAE (occurrences).

The forms are those of CDISC's ADaM implementation guide; ``adam.csv`` lists every variable. Days count from
randomisation, which is day 1; no calendar date is made up.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.data import ABSENT
from sim.endpoints import PAIN, Scale
from sim.events import REASONS
from sim.export.datasets import Dataset, Variable
from sim.measures import measure
from sim.replay import Trial

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Places = NDArray[np.intp]

REASON_TERMS = dict(zip(REASONS, ("", "ADVERSE EVENT", "LACK OF EFFICACY", "OTHER"), strict=True))
WITHDRAWAL = "WITHDRAWAL BY SUBJECT"
STOPPING_EVENT = "ADVERSE EVENT LEADING TO DISCONTINUATION"
OWN_NAMES = ("age", "female")
"""Covariates that have variables of their own in the standard."""
LONGEST_LABEL, LONGEST_TEXT = 40, 200
STEM = 6
"""Letters of a covariate's name before BL."""


def day(week: Floats) -> Floats:
    """Study day on which a time in weeks since randomisation falls: randomisation is day 1."""
    return np.asarray(np.floor(7 * week + 1e-9) + 1)


def codes(names: Iterable[str], length: int) -> dict[str, str]:
    """Give each name a code of capitals and digits, cut to ``length``; a second of the same is numbered."""
    found: dict[str, str] = {}
    for name in names:
        stem = re.sub("[^A-Z0-9]", "", name.upper())[:length]
        code, number = stem, 1
        while code in found.values():
            number += 1
            code = f"{stem[: length - len(str(number))]}{number}"
        found[name] = code
    return found


def plain(text: str, length: int = LONGEST_LABEL) -> str:
    """Write a text in ASCII, cut to ``length``."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()[:length]


@dataclass(frozen=True)
class Adam:
    """The datasets of one trial, patients in the order of enrolment."""

    study: str
    trial: Trial

    def datasets(self) -> tuple[Dataset, ...]:
        """ADSL, ADQS and ADAE."""
        return self.adsl(), self.adqs(), self.adae()

    def adsl(self) -> Dataset:
        """Describe each patient in a row."""
        trial, c = self.trial, self.trial.column
        leave = np.asarray(trial.record.events.leave[:, c])
        with_treatment = self.stopped & (leave == self.stop)
        columns: dict[str, object] = self._key() | {
            "SUBJID": self.number,
            "ARM": _look_up([arm.name for arm in trial.protocol.arms], self.arm),
            "TRT01P": self.treatment,
            "TRT01PN": self.arm + 1,
            "ITTFL": _where(np.cumsum(self.present) <= trial.record.randomised[-1, c], "Y", "N"),
            "RANDWK": trial.enrolled[:, c],
            "EOTSTT": _where(self.stopped, "DISCONTINUED", _where(~self.left, "COMPLETED")),
            "DCTREAS": _where(self.stopped, self.reason),
            "DCTDY": np.where(self.stopped, day(self.stop), np.nan),
            "EOSSTT": _where(self.left, "DISCONTINUED", "COMPLETED"),
            "DCSREAS": _where(self.left, _where(with_treatment, self.reason, WITHDRAWAL)),
            "DCSDY": np.where(self.left, day(leave), np.nan),
        }
        if trial.record.data.therapist is not None:
            columns["THERAPN"] = trial.record.data.therapist[:, c] + 1
        more = self._baseline()
        columns |= self._person() | {v.name: more[v] for v in more}
        present = np.flatnonzero(self.present)
        return Dataset.of("ADSL", {name: np.asarray(v)[present] for name, v in columns.items()}, more)

    def adqs(self) -> Dataset:
        """Give a row a patient, instrument and visit that was seen, baseline first."""
        instruments = [PAIN, *self.trial.record.data.others]
        short = codes(instruments, 8)
        pieces = []
        for number, name in enumerate(instruments, start=1):
            patient, visit, values = self._scores(name)
            told = {"PARAMCD": short[name], "PARAM": self._parameter(name), "PARAMN": number}
            named = {key: np.full(len(patient), value, dtype=object) for key, value in told.items()}
            pieces.append({"patient": patient} | named | values | self._circumstances(patient, visit))
        columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        patient = columns.pop("patient")
        return Dataset.of("ADQS", self._key(patient) | self._planned(patient) | columns)

    def _scores(self, name: str) -> tuple[Places, Places, dict[str, NDArray[Any]]]:
        """Patient and visit of each score of an instrument that was seen, and its values."""
        scores, c = self.trial.record.data.of(name), self.trial.column
        values = np.column_stack([scores.baseline[:, c], scores.visits[:, c]]) + 0.0  # no negative zero
        patient, visit = np.nonzero(~np.isnan(values) & self.present[:, None])
        value, base = values[patient, visit], values[patient, 0]
        change = np.where(visit > 0, value - base, np.nan)
        percent = np.divide(100 * change, base, out=np.full(len(base), np.nan), where=base != 0)
        return patient, visit, {"AVAL": value, "BASE": base, "CHG": change, "PCHG": percent}

    def _circumstances(self, patient: Places, visit: Places) -> dict[str, NDArray[Any]]:
        """When a score was seen, and what had happened by then."""
        data, weeks = self.trial.record.data, np.array(self.trial.protocol.visits)
        week = weeks[visit]
        found = {
            "AVISIT": _look_up(["Baseline", *(f"Week {w:g}" for w in weeks[1:])], visit),
            "AVISITN": week,
            "ADY": day(week),
            "ABLFL": _where(visit == 0, "Y"),
            "ONTRTFL": _where(week <= data.stopped[patient, self.trial.column], "Y"),
        }
        if data.rescued is not None:
            taken = data.rescued[patient, self.trial.column, visit - 1] & (visit > 0)
            found["RESCFL"] = _where(taken, "Y")
        return found

    def adae(self) -> Dataset:
        """Give a row a patient and adverse event: those with a name, and the one that stopped treatment."""
        c, events = self.trial.column, self.trial.record.adverse_events
        found = [(np.flatnonzero(has[:, c] & self.present), name.upper()) for name, has in events.items()]
        stopping = np.flatnonzero(
            self.present & self.stopped & (self.reason == REASON_TERMS["adverse_event"])
        )
        rows: list[tuple[int, str, float, str | None]]
        rows = [(int(i), term, np.nan, None) for who, term in found for i in who]
        rows += [(int(i), STOPPING_EVENT, float(day(self.stop)[i]), "DRUG WITHDRAWN") for i in stopping]
        rows.sort(key=lambda row: row[0])
        patient = np.array([row[0] for row in rows], dtype=np.intp)
        first = np.searchsorted(patient, patient)
        columns = {
            "AESEQ": np.arange(len(rows)) - first + 1,
            "AETERM": [row[1].replace("_", " ") for row in rows],
            "ASTDY": [row[2] for row in rows],
            "TRTEMFL": ["Y"] * len(rows),
            "AEACN": [row[3] for row in rows],
        }
        return Dataset.of("ADAE", self._key(patient) | self._planned(patient) | columns)

    @cached_property
    def arm(self) -> Places:
        """Position of each patient's arm."""
        return np.asarray(self.trial.record.data.arm[:, self.trial.column], dtype=np.intp)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Who was randomised: not those whom a run-in turned away, or who would have come after the end."""
        return np.asarray(self.arm != ABSENT)

    @cached_property
    def number(self) -> Texts:
        """Four digits for each patient, more where there are more patients."""
        return np.array([f"{i:04d}" for i in range(1, len(self.arm) + 1)], dtype=object)

    @cached_property
    def treatment(self) -> Texts:
        """Treatment of each patient's arm, or the arm's treatments in words where there are several."""
        arms = self.trial.protocol.arms
        names = [plain(arm.course(), LONGEST_TEXT) if arm.then else arm.treatment for arm in arms]
        return _look_up(names, self.arm)

    @cached_property
    def stop(self) -> Floats:
        """Week of stopping treatment; ``inf`` is never."""
        return np.asarray(self.trial.record.events.stop[:, self.trial.column])

    @cached_property
    def stopped(self) -> NDArray[np.bool_]:
        """Who stopped treatment before the last visit."""
        return self.stop < self.trial.protocol.visits[-1]

    @cached_property
    def left(self) -> NDArray[np.bool_]:
        """Who left the study before the last visit."""
        return np.asarray(
            self.trial.record.events.leave[:, self.trial.column] < self.trial.protocol.visits[-1]
        )

    @cached_property
    def reason(self) -> Texts:
        """Why treatment was stopped, in the standard's terms."""
        return _look_up(list(REASON_TERMS.values()), self.trial.record.events.reason[:, self.trial.column])

    def _key(self, patient: Places | slice = slice(None)) -> dict[str, object]:
        numbers = self.number[patient]
        study = plain(self.study).upper()
        return {"STUDYID": [study] * len(numbers), "USUBJID": [f"{study}-{number}" for number in numbers]}

    def _planned(self, patient: Places) -> dict[str, object]:
        return {"TRTP": self.treatment[patient], "TRTPN": self.arm[patient] + 1}

    def _person(self) -> dict[str, object]:
        """Age and sex, where the population has them."""
        known, c = self.trial.covariates, self.trial.column
        found: dict[str, object] = {}
        if "age" in known:
            found |= {"AGE": known["age"][:, c], "AGEU": ["YEARS"] * len(self.arm)}
        if "female" in known:
            found["SEX"] = _where(known["female"][:, c] == 1, "F", "M")
        return found

    def _baseline(self) -> dict[Variable, Floats]:
        """Every other covariate under a variable of its own."""
        others = {name: v for name, v in self.trial.covariates.items() if name not in OWN_NAMES}
        short = codes(others, STEM)
        return {
            Variable(
                "ADSL",
                f"{short[name]}BL",
                plain(f"Baseline {name.replace('_', ' ')} ({self.trial.units[name]})"),
                "Num",
                8,
                "sponsor",
                False,
                f"covariate {name}",
            ): values[:, self.trial.column]
            for name, values in others.items()
        }

    def _parameter(self, name: str) -> str:
        scale = self.trial.protocol.pain.scale if name == PAIN else self.trial.protocol.instruments[name]
        return plain_range("Pain intensity" if name == PAIN else measure(name).full_name, scale)


def plain_range(name: str, scale: Scale) -> str:
    """Name an instrument with its range."""
    return f"{name} ({scale.low:g} to {scale.high:g})"


def _look_up(texts: list[str], places: NDArray[np.integer]) -> Texts:
    return np.asarray(np.array(texts, dtype=object)[places])


def _where(mask: NDArray[np.bool_], here: str | Texts, elsewhere: str | Texts | None = None) -> Texts:
    """Choose between texts, (row,); None is no text."""
    chosen = np.full(mask.shape, None, dtype=object)
    chosen[:] = elsewhere
    np.copyto(chosen, np.asarray(here, dtype=object), where=mask)
    return chosen

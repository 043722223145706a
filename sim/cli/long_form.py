"""From a table in long form (one row a patient and visit) to the data set of an analysis."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from sim.analyses.data_set import Covariate, DataSet
from sim.core.errors import InputError
from sim.core.parts import Part, suggest
from sim.endpoints import Endpoint
from sim.events import REASONS

Floats = NDArray[np.float64]

MISSING = ("", "NA", "NaN", "nan", ".")


class CovariateColumn(Part):
    """A covariate; ``reference`` makes it a factor with that level first."""

    column: str
    reference: str | None = None


class Columns(Part):
    """Which column holds what."""

    patient: str
    arm: str
    visit: str
    value: str
    baseline: str | None = None
    covariates: tuple[CovariateColumn, ...] = ()
    event: str | None = Field(None, description="where the values are times: 1 for an event, 0 for censored")
    cluster: str | None = Field(None, description="therapist or site; empty is a cluster of one's own")
    stopped: str | None = Field(None, description="time at which treatment was stopped; empty is never")
    reason: str | None = Field(None, description="why it was stopped: adverse_event, inefficacy; empty: none")

    @field_validator("covariates", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [{"column": item} if isinstance(item, str) else item for item in value]

    @property
    def of_patients(self) -> tuple[str, ...]:
        """Columns that hold the same for all rows of a patient."""
        optional = (self.baseline, self.cluster, self.stopped, self.reason)
        given = tuple(name for name in optional if name is not None)
        return (self.arm, *given, *(covariate.column for covariate in self.covariates))


class Layout(Part):
    """How a table is to be read: the part of an analysis file that a protocol does not have."""

    columns: Columns
    reference: str = Field(description="label of the control arm")
    visit: str | None = Field(None, description="the only visit to report; all by default")
    endpoint: Endpoint | None = Field(None, description="made from the value and the baseline")

    @field_validator("reference", "visit", mode="before")
    @classmethod
    def _label(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@dataclass(frozen=True)
class Table:
    """A CSV file as text; each question to it that fails names file, column and what is allowed."""

    file: Path
    frame: pd.DataFrame

    @classmethod
    def read(cls, file: Path) -> "Table":
        """Read all cells as text, missing ones as empty text."""
        try:
            frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"{file}: no such file") from None
        except IsADirectoryError:
            raise InputError(f"{file}: a folder, expected a CSV file") from None
        except UnicodeDecodeError:
            raise InputError(f"{file}: not a text file (UTF-8 CSV is expected)") from None
        except pd.errors.EmptyDataError:
            raise InputError(f"{file}: empty, expected a CSV file with a header and rows") from None
        except (pd.errors.ParserError, OSError) as error:
            raise InputError(f"{file}: not a readable CSV file: {error}") from None
        if frame.empty:
            raise InputError(f"{file}: no rows below the header")
        cells = frame.apply(lambda column: column.fillna("").str.strip())
        return cls(file, cells.mask(cells.isin(MISSING), ""))

    def wrong(self, column: str, row: Any, problem: str) -> InputError:
        """Make an error about one cell; rows are counted as lines of the file."""
        return InputError(f"{self.file}: column '{column}', line {int(row) + 2}: {problem}")

    def require(self, columns: Columns) -> None:
        """Raise InputError unless every named column is there, with labels where they must be."""
        labels = (columns.patient, columns.arm, columns.visit)
        event = () if columns.event is None else (columns.event,)
        needed = dict.fromkeys((*labels, columns.value, *event, *columns.of_patients))
        absent = [name for name in needed if name not in self.frame]
        if absent:
            raise InputError(
                *(f"{self.file}: no column '{n}':{suggest(n, self.frame.columns)}" for n in absent)
            )
        for name in labels:
            empty = self.frame.index[self.frame[name] == ""]
            if len(empty):
                raise self.wrong(name, empty[0], "no label")

    def numbers(self, column: str) -> "pd.Series[float]":
        """Return a column of numbers, nan where missing."""
        text = self.frame[column]
        values = pd.to_numeric(text.mask(text == ""), errors="coerce")
        bad = self.frame.index[(text != "") & ~np.isfinite(values)]
        if len(bad):
            raise self.wrong(column, bad[0], f"'{text[bad[0]]}' is not a number; allowed: numbers, empty, NA")
        return values.astype(float)

    def is_numeric(self, column: str) -> bool:
        """Say whether all that is not missing is a number."""
        text = self.frame[column]
        return bool(pd.to_numeric(text[text != ""], errors="coerce").notna().all())

    def label(self, column: str, what: str, asked: str, labels: list[str]) -> str:
        """Find a label in a column; 12 is 12.0."""
        for label in labels:
            if label == asked or (_number(label) is not None and _number(label) == _number(asked)):
                return label
        hint = suggest(asked, labels)
        raise InputError(f"{self.file}: column '{column}': {what} '{asked}' is not there:{hint}")


def _number(label: str) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def in_order(labels: "pd.Series[str]") -> list[str]:
    """Distinct labels, numbers within them by size: VIS2 before VIS10."""

    def parts(label: str) -> list[tuple[int, float, str]]:
        pieces = re.split(r"(\d+(?:\.\d+)?)", label)
        return [(0, float(p), "") if p[:1].isdigit() else (1, 0.0, p) for p in pieces if p]

    return sorted(set(labels), key=parts)


def arrange(table: Table, layout: Layout) -> DataSet:
    """Bring a table into the arrays of an analysis.

    Raises
    ------
    InputError
        A column, arm or visit that is not there; a patient in two arms or twice at a visit; text
        among numbers; a missing baseline or covariate.
    """
    columns = layout.columns
    table.require(columns)
    frame = table.frame
    _one_row_a_visit(table, columns)
    first = _constant_rows(table, columns)
    patients = frame[columns.patient].drop_duplicates().tolist()
    arms = _arms(table, layout)
    visits = in_order(frame[columns.visit])
    value = _wide(table, columns, columns.value, (patients, visits))
    arm = first[columns.arm].map({label: place for place, label in enumerate(arms)}).to_numpy(dtype=np.int64)
    baseline = None if columns.baseline is None else _numeric(table, columns.baseline, first)
    if layout.endpoint is not None:
        value = _endpoint(table, layout.endpoint, value, baseline)
    covariates = tuple(_covariate(table, column, first) for column in columns.covariates)
    return DataSet(
        tuple(arms),
        tuple(visits),
        arm,
        value,
        baseline,
        covariates,
        _report(table, layout, visits),
        None if columns.event is None else _wide(table, columns, columns.event, (patients, visits)),
        None if columns.cluster is None else _clusters(first[columns.cluster]),
        None if columns.stopped is None else _stopped(table, columns.stopped, first),
        None if columns.reason is None else _reason(table, columns.reason, first),
    )


def _one_row_a_visit(table: Table, columns: Columns) -> None:
    twice = table.frame.index[table.frame.duplicated([columns.patient, columns.visit])]
    if len(twice):
        patient, visit = table.frame.loc[twice[0], [columns.patient, columns.visit]]
        raise table.wrong(
            columns.visit, twice[0], f"patient {patient} has visit {visit} twice; allowed: one row"
        )


def _constant_rows(table: Table, columns: Columns) -> pd.DataFrame:
    """First row of each patient, checked to speak for all of them."""
    frame, patient = table.frame, columns.patient
    for name in columns.of_patients:
        differs = frame[name] != frame.groupby(patient, sort=False)[name].transform("first")
        if differs.any():
            row = frame.index[differs][0]
            raise table.wrong(
                name, row, f"patient {frame.loc[row, patient]} has another value above; allowed: one"
            )
    return frame.drop_duplicates(patient)


def _arms(table: Table, layout: Layout) -> list[str]:
    column = layout.columns.arm
    arms = in_order(table.frame[column])
    reference = table.label(column, "reference", layout.reference, arms)
    if len(arms) < 2:
        raise InputError(f"{table.file}: column '{column}': only arm '{reference}'; two or more are needed")
    return [reference, *(arm for arm in arms if arm != reference)]


def _wide(table: Table, columns: Columns, of: str, labels: tuple[list[str], list[str]]) -> Floats:
    """Numbers of one column, (patient, visit)."""
    patients, visits = labels
    row = table.frame[columns.patient].map({label: place for place, label in enumerate(patients)})
    column = table.frame[columns.visit].map({label: place for place, label in enumerate(visits)})
    value = np.full((len(patients), len(visits)), np.nan)
    value[row.to_numpy(), column.to_numpy()] = table.numbers(of).to_numpy()
    if np.isnan(value).all():
        raise InputError(f"{table.file}: column '{of}': no value at all")
    return value


def _clusters(labels: "pd.Series[str]") -> NDArray[np.integer]:
    """Number of each patient's cluster; who has no label has a number of their own."""
    alone = labels.mask(labels == "", pd.Series([f"\0{place}" for place in labels.index], labels.index))
    return np.asarray(pd.factorize(alone)[0])


def _stopped(table: Table, column: str, first: pd.DataFrame) -> Floats:
    """Time at which each patient's treatment was stopped; inf where the cell is empty."""
    return np.asarray(table.numbers(column).loc[first.index].fillna(np.inf), dtype=np.float64)


def _reason(table: Table, column: str, first: pd.DataFrame) -> NDArray[np.integer]:
    """Position of each patient's reason in ``REASONS``."""
    labels = first[column].mask(first[column] == "", REASONS[0])
    unknown = labels.index[~labels.isin(REASONS)]
    if len(unknown):
        hint = suggest(labels[unknown[0]], REASONS)
        raise table.wrong(column, unknown[0], f"unknown reason '{labels[unknown[0]]}':{hint}")
    return np.array([REASONS.index(label) for label in labels], dtype=np.int64)


def _numeric(table: Table, column: str, first: pd.DataFrame) -> Covariate:
    values = table.numbers(column).loc[first.index]
    if values.isna().any():
        raise table.wrong(column, values.index[values.isna()][0], "missing; every patient needs it")
    return Covariate(column, np.asarray(values, dtype=np.float64)[:, None])


def _covariate(table: Table, asked: CovariateColumn, first: pd.DataFrame) -> Covariate:
    name = asked.column
    if asked.reference is None and table.is_numeric(name):
        return _numeric(table, name, first)
    labels = first[name]
    if (labels == "").any():
        raise table.wrong(name, labels.index[labels == ""][0], "missing; every patient needs it")
    levels = in_order(labels)
    if len(levels) < 2:
        raise InputError(f"{table.file}: column '{name}': only level '{levels[0]}'; two or more are needed")
    base = levels[0] if asked.reference is None else table.label(name, "reference", asked.reference, levels)
    levels = [base, *(level for level in levels if level != base)]
    indicators = np.stack([labels == level for level in levels[1:]], axis=1)
    return Covariate(name, indicators.astype(np.float64), tuple(levels))


def _endpoint(table: Table, endpoint: Endpoint, value: Floats, baseline: Covariate | None) -> Floats:
    if baseline is None:
        raise InputError(f"{table.file}: columns.baseline: required by 'endpoint', but not given")
    make: Callable[[Floats, Floats], Floats] = endpoint.value
    return make(baseline.values, value)


def _report(table: Table, layout: Layout, visits: list[str]) -> tuple[int, ...]:
    if layout.visit is None:
        return ()
    return (visits.index(table.label(layout.columns.visit, "visit", layout.visit, visits)),)

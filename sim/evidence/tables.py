"""The four tables: read from CSV folders, typed, checked."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pandas as pd

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.evidence.checks import problems
from sim.evidence.vocabulary import COLUMNS, NUMBERS

Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Evidence:
    """Reported trials and reviews: text as text ("" = not reported), numbers as float (nan = not reported).

    Every frame has two columns more than its file: ``file``, and ``row`` as in the CSV (header = row 1).
    """

    studies: pd.DataFrame
    arms: pd.DataFrame
    outcomes: pd.DataFrame
    contrasts: pd.DataFrame

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: len(getattr(self, name)) for name in COLUMNS}

    def study(self, study_id: str) -> Frames:
        """All rows of one study, by table.

        Raises
        ------
        InputError
            No such study; the nearest name is suggested.
        """
        known = list(self.studies["study_id"])
        if study_id not in known:
            raise InputError(f"study '{study_id}' is not in the evidence:{_nearest(study_id, known)}")
        return {name: _of_study(getattr(self, name), study_id) for name in COLUMNS}


def _of_study(frame: pd.DataFrame, study_id: str) -> pd.DataFrame:
    return frame[frame["study_id"] == study_id].reset_index(drop=True)


def _nearest(name: str, known: list[str]) -> str:
    hint, _, _ = suggest(name, known).partition(" allowed:")
    return hint or " see 'sim evidence list'"


def load_evidence(*added: Path) -> Evidence:
    """Read the shipped tables, and the folders of the same form in ``added``, and check every row.

    Raises
    ------
    InputError
        One line for each problem: file, row (header = row 1), column, what is wrong.
    """
    shipped = Path(str(files("sim.evidence") / "data"))
    folders = [_folder(shipped, required=tuple(COLUMNS)), *(_folder(path) for path in added)]
    frames = {name: pd.concat([folder[name] for folder in folders], ignore_index=True) for name in COLUMNS}
    found = problems(frames)
    if found:
        raise InputError(*found)
    return Evidence(**frames)


def _folder(path: Path, required: tuple[str, ...] = ("studies",)) -> Frames:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of evidence tables")
    missing = [f"{path / name}.csv: no such file" for name in required if not (path / f"{name}.csv").exists()]
    if missing:
        raise InputError(*missing)
    shown = "" if path.name == "data" and path.parent.name == "evidence" else f"{path}/"
    return {name: _table(path / f"{name}.csv", name, f"{shown}{name}.csv") for name in COLUMNS}


def _table(path: Path, name: str, shown: str) -> pd.DataFrame:
    """Read one CSV; a table that is not there is empty."""
    records = _records(path, name, shown) if path.exists() else []
    frame = pd.DataFrame(records, columns=list(COLUMNS[name])).astype(str)
    frame["file"], frame["row"] = shown, range(2, len(frame) + 2)
    bad: list[str] = []
    for column in NUMBERS[name]:
        numbers = pd.to_numeric(frame[column].replace("", "nan"), errors="coerce")
        wrong = numbers.isna() & (frame[column] != "")
        bad += [
            f"{shown}: row {r}: {column}: not a number (given: {v!r})"
            for r, v in zip(frame.loc[wrong, "row"], frame.loc[wrong, column], strict=True)
        ]
        frame[column] = numbers.astype(float)
    if bad:
        raise InputError(*bad)
    return frame


def _records(path: Path, name: str, shown: str) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{shown}: not a CSV file in UTF-8: {error}") from error
    header = rows[0] if rows else []
    if header != list(COLUMNS[name]):
        raise InputError(f"{shown}: row 1: the columns must be {','.join(COLUMNS[name])}")
    ragged = [
        f"{shown}: row {i}: {len(row)} cells, expected {len(header)}"
        for i, row in enumerate(rows[1:], 2)
        if len(row) != len(header)
    ]
    if ragged:
        raise InputError(*ragged)
    return rows[1:]

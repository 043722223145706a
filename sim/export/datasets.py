"""A dataset with labels, written as Parquet, CSV and SAS transport files."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sim.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TABLE = Path(__file__).with_name("adam.csv")
LABELS = {
    "ADSL": "Subject-Level Analysis Dataset",
    "ADQS": "Questionnaire Analysis Dataset",
    "ADAE": "Adverse Event Analysis Dataset",
}
XPT_VERSION = 5
"""The version that regulators take: names up to 8, labels up to 40, texts up to 200 bytes, all ASCII."""


@dataclass(frozen=True)
class Variable:
    """One row of ``adam.csv``: what a column is called, means and may hold."""

    dataset: str
    name: str
    label: str
    type: Literal["Char", "Num"]
    length: int
    core: str
    always: bool
    source: str


@cache
def variables() -> tuple[Variable, ...]:
    """Every row of the table, in the order of the columns."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(_variable(row) for row in csv.DictReader(file))


def _variable(row: dict[str, str]) -> Variable:
    return Variable(
        dataset=row["dataset"],
        name=row["variable"],
        label=row["label"],
        type="Char" if row["type"] == "Char" else "Num",
        length=int(row["length"]),
        core=row["core"],
        always=row["present"] == "always",
        source=row["source"],
    )


@dataclass(frozen=True)
class Dataset:
    """Rows under the variables that describe them; an absent value is None in a text and nan in a number."""

    name: str
    variables: tuple[Variable, ...]
    frame: "pd.DataFrame"

    @classmethod
    def of(cls, name: str, columns: dict[str, object], more: Iterable[Variable] = ()) -> "Dataset":
        """Bring columns into the order and the types of the table; ``more`` are variables of this study.

        Raises
        ------
        InputError
            A text is longer than its variable allows, or not ASCII.
        """
        import pandas as pd

        described = [v for v in (*variables(), *more) if v.dataset == name and v.name in columns]
        frame = pd.DataFrame({v.name: pd.Series(columns[v.name], dtype=_dtype(v)) for v in described})
        for variable in described:
            if variable.type == "Char":
                _check_text(variable, frame[variable.name].dropna())
        return cls(name, tuple(described), frame)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write ``adsl.parquet``, ``adsl.csv`` and ``adsl.xpt`` and return them."""
        import pyreadstat

        folder.mkdir(parents=True, exist_ok=True)
        parquet, text, transport = (
            folder / f"{self.name.lower()}.{end}" for end in ("parquet", "csv", "xpt")
        )
        self._write_parquet(parquet)
        self.frame.to_csv(text, index=False, lineterminator="\n")
        pyreadstat.write_xport(
            self.frame,
            transport,
            file_label=LABELS[self.name],
            column_labels=[variable.label for variable in self.variables],
            table_name=self.name,
            file_format_version=XPT_VERSION,
        )
        return parquet, text, transport

    def _write_parquet(self, file: Path) -> None:
        """Write with the labels as metadata of the columns."""
        import pyarrow as pa
        from pyarrow.parquet import write_table

        types = {"Char": pa.string(), "Num": pa.float64()}
        fields = [pa.field(v.name, types[v.type], metadata={"label": v.label}) for v in self.variables]
        schema = pa.schema(fields, metadata={"label": LABELS[self.name]})
        write_table(pa.Table.from_pandas(self.frame, schema, preserve_index=False), file)


def _dtype(variable: Variable) -> str:
    return "str" if variable.type == "Char" else "float64"


def _check_text(variable: Variable, texts: Iterable[str]) -> None:
    for text in texts:
        if not text.isascii() or len(text) > variable.length:
            raise InputError(
                f"{variable.dataset}.{variable.name}: '{text}' cannot be written to a transport file; "
                f"allowed: ASCII, up to {variable.length} characters"
            )


def dictionary(datasets: Iterable[Dataset]) -> list[dict[str, object]]:
    """Describe every column of the datasets in a row: what is in them and where it comes from."""
    return [
        {
            "dataset": variable.dataset,
            "variable": variable.name,
            "label": variable.label,
            "type": variable.type,
            "length": variable.length,
            "core": variable.core,
            "source": variable.source,
        }
        for dataset in datasets
        for variable in dataset.variables
    ]

"""What a report is made from: a finished run, read back from its folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.core.errors import InputError
from sim.core.loading import load
from sim.endpoints import Endpoint, Responder, State
from sim.protocol import Protocol
from sim.results import Cell, Results
from sim.scenario import Scenario
from sim.study import Study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Fit:
    """What one synthesis left in the results folder.

    Attributes
    ----------
    folder
        ``synthesis/<name>/``, with ``effects.csv``, ``exclusions.csv``, ``diagnostics.json``, ``figures/``.
    """

    name: str
    folder: Path

    def table(self, name: str) -> "pd.DataFrame | None":
        """Read one of its tables; None where it is not there or has no rows."""
        return read_table(self.folder / f"{name}.csv")

    def figure(self, name: str) -> Path | None:
        """Where one of its figures is; None where it is not there."""
        file = self.folder / "figures" / f"{name}.png"
        return file if file.exists() else None


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows of a table, each by its columns' names."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def read_table(file: Path) -> "pd.DataFrame | None":
    """Read a table; None where it is not there or has no rows."""
    import pandas as pd

    if not file.exists() or not file.read_text(encoding="utf-8").strip():
        return None
    frame = pd.read_csv(file, keep_default_na=False, na_values=[""])
    return None if frame.empty else frame


@dataclass(frozen=True)
class Material:
    """A finished run with its study.

    Attributes
    ----------
    main
        The protocol and scenario that the answer is given for: the study's sizing protocol or else the
        first, and the scenario in which every trial draws its own truth or else the first that is not null.
    """

    results: Results
    study: Study
    main: Cell

    @classmethod
    def read(cls, results: Results) -> "Material":
        """Read the study back from the folder's ``study.yaml``.

        Raises
        ------
        InputError
            The folder holds no study, or one that this version cannot read.
        """
        file = results.folder / "study.yaml"
        if not file.exists():
            raise InputError(f"{file}: no such file; a results folder holds the study that made it")
        study = load(file, Study)
        return cls(results, study, Cell(*study.main))

    @property
    def protocol(self) -> Protocol:
        """The main protocol."""
        return self.study.protocols[self.main.protocol]

    @property
    def scenario(self) -> Scenario:
        """The main scenario."""
        return self.study.scenarios[self.main.scenario]

    @property
    def control(self) -> str:
        """The control arm of the main protocol's primary estimand."""
        return self.protocol.estimands[self.primary].contrast.to

    @property
    def primary(self) -> str:
        """Name of the main protocol's primary estimand: that of its first look."""
        return self.protocol.looks[0].analysis.estimand

    @property
    def compared(self) -> tuple[str, ...]:
        """Arms that the primary estimand compares with the control."""
        return self.protocol.estimands[self.primary].contrast.of

    @cached_property
    def labels(self) -> dict[str, str]:
        """What to call each arm of the main protocol."""
        return self.labels_of(self.main.protocol)

    def labels_of(self, protocol: str) -> dict[str, str]:
        """What to call each arm of a protocol: its treatment's label, with its name where arms share one."""
        chosen = self.study.protocols[protocol]
        labels = {
            arm.name: arm.name.replace("_", " ")
            if arm.then
            else self.scenario.treatments[arm.treatment].label
            for arm in chosen.arms
        }
        labels |= {group: group.replace("_", " ") for group in chosen.groups}
        shared = [label for label in labels.values() if list(labels.values()).count(label) > 1]
        return {name: f"{label} ({name})" if label in shared else label for name, label in labels.items()}

    @property
    def responses(self) -> dict[str, str]:
        """Endpoints that a patient reaches or does not, with a short label each."""
        return {name: brief(e) for name, e in self.protocol.endpoints.items() if e.outcome == "binary"}

    @cached_property
    def primary_records(self) -> "pd.DataFrame":
        """Records of the main cell's primary estimand at its full size: a row a replicate and arm."""
        return self.results.of_estimand(self.main, self.primary, self.protocol.n)

    def table(self, name: str) -> "pd.DataFrame | None":
        """Read one of the run's tables; None where the run has none."""
        return read_table(self.results.folder / f"{name}.csv")

    def fits(self) -> Iterator[Fit]:
        """Yield the syntheses whose files are in the folder."""
        for name in self.study.syntheses:
            folder = self.results.folder / "synthesis" / name
            if folder.is_dir():
                yield Fit(name, folder)


def brief(endpoint: Endpoint) -> str:
    """Say an endpoint in a few words, for the head of a column."""
    if isinstance(endpoint, Responder):
        how = f"{endpoint.points:g} points" if endpoint.points else f"{endpoint.reduction:.0%}"
        return f"{endpoint.of} ≥ {how} {'lower' if endpoint.sign > 0 else 'higher'}".replace("%", " %")
    if isinstance(endpoint, State):
        limit = f"≤ {endpoint.at_most:g}" if endpoint.at_most is not None else f"≥ {endpoint.at_least:g}"
        return f"{endpoint.of} {limit}"
    return endpoint.words()

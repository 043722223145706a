"""When a trial is looked at, and what stops it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import sim.report.figures as figures
from sim.protocol import Protocol
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material
from sim.report.notation import NONE, number
from sim.report.picture import Picture
from sim.rules.group_sequential import GroupSequential


def table(material: Material) -> Grid:
    """Each look of each protocol: how many patients, and the rule or its bounds."""
    rows: list[list[Entry | str]] = []
    for name, protocol in material.study.protocols.items():
        rows += _rows(name, protocol)
    header = [
        "protocol",
        "look",
        "patients with the primary visit",
        "stop for success",
        "nominal p",
        "stop for futility",
    ]
    return grid("Looks and what stops the trial", header, rows)


def _rows(name: str, protocol: Protocol) -> Iterator[list[Entry | str]]:
    rule = protocol.looks[0].rule
    solved = rule.boundaries(protocol.fractions) if isinstance(rule, GroupSequential) else None
    for look, fraction in enumerate(protocol.fractions):
        patients = Entry(f"{_patients(protocol, fraction)}", _patients(protocol, fraction))
        told: list[Entry | str] = [rule.words(), NONE, NONE]
        if solved is not None:
            last = look == len(protocol.fractions) - 1
            futility = (
                NONE if solved.futility_z is None or last else f"z < {number(solved.futility_z[look], 3)}"
            )
            p = Entry(number(solved.nominal_p[look], 5), float(solved.nominal_p[look]))
            told = [f"z ≥ {number(solved.efficacy_z[look], 3)}", p, futility]
        yield [name, f"{look + 1}", patients, *told]


def _patients(protocol: Protocol, fraction: float) -> int:
    return int(np.ceil(protocol.n * fraction - 1e-9))


def picture(material: Material, file: Path) -> Picture | None:
    """Draw the bounds of the protocols that have them."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, protocol in material.study.protocols.items():
        rule = protocol.looks[0].rule
        if not isinstance(rule, GroupSequential) or len(protocol.fractions) < 2:
            continue
        solved = rule.boundaries(protocol.fractions)
        futility = (
            np.full(len(protocol.fractions), np.nan) if solved.futility_z is None else solved.futility_z
        )
        for look, fraction in enumerate(protocol.fractions):
            found = {"efficacy_z": solved.efficacy_z[look], "futility_z": futility[look]}
            rows.append(
                {"protocol": name, "look": look + 1, "patients": _patients(protocol, fraction)} | found
            )
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    said = "; ".join(
        f"{r['protocol']}, {r['patients']} patients: success at z {number(r['efficacy_z'])}, futility below "
        f"{number(r['futility_z'])}"
        for r in rows
    )
    words = (f"Stopping bounds by look. {said}.", "Bounds on the test statistic at each look of the trial.")
    return Picture.keep(figures.stopping_bounds(frame), frame, file, words)

"""The designs of a run side by side, and how sure the sizes are that it found."""

from pathlib import Path

from sim.designs import Choice, Design
from sim.report.figures.designs import designs
from sim.report.material import Material, rows_of
from sim.report.notation import number
from sim.report.picture import Picture
from sim.sample_size import SampleSize

AT_MOST = 20_000
"""Trials of each design that are read: enough for errors of 0.004."""
MOST_DESIGNS = 24
"""Designs that a figure has room for."""


def picture(material: Material, file: Path) -> Picture | None:
    """Draw what each protocol at each size takes and gives; None where there is nothing to choose."""
    import pandas as pd

    study = material.study
    sizes = sum(len(protocol.sizes) + 1 for protocol in study.protocols.values())
    if not 1 < sizes <= MOST_DESIGNS:
        return None
    choice = Choice.of(material.results, study, (material.main.scenario, None), AT_MOST)
    base = next(one for one in reversed(choice.designs) if one.name == material.main.protocol)
    rows, front = choice.rows(base), choice.front()
    said = "; ".join(_said(design) for design in front)
    frame = pd.DataFrame(rows)
    words = (
        f"Points of success against patients, weeks and cost, a point a design. On the front: {said}.",
        f"Every protocol at each of its sizes on the same patients, scenario '{choice.scenario}'. Filled: on "
        "the front, as no other design is nowhere worse and somewhere better beyond two Monte Carlo errors. "
        f"Below: difference from {base.label}, paired. Lines: 95 % Monte Carlo error.",
    )
    return Picture.keep(designs(frame, (choice.success, choice.currency), base.label), frame, file, words)


def _said(design: Design) -> str:
    won, patients, weeks = (design.measured(name).value for name in ("success", "patients", "weeks"))
    return f"{design.label}: {number(won)} with {number(patients, 0)} patients in {number(weeks, 0)} weeks"


def answers(material: Material) -> list[str]:
    """Say each size that was looked for in a sentence; empty where none was."""
    frame = material.table("sample_sizes")
    if frame is None or "replicates" not in frame:
        return []
    known = frame.astype(object).where(frame.notna(), None)
    found = [SampleSize(**{**row, "note": row["note"] or ""}) for row in rows_of(known)]
    return [one.words(f"{material.labels.get(one.arm, one.arm)}, scenario '{one.scenario}'") for one in found]

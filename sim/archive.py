"""What a run writes beside its blocks: tables, provenance, sources and assumptions."""

import json
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sim.baseline import Enrolment
from sim.claims import Claim, Mixture, Posterior, PosteriorClaim, claims_in
from sim.core.loading import SCHEMA, dump, to_yaml
from sim.logistics import run_of_trials
from sim.performance import COLUMNS, losses, mean_course, responder_intervals, summarise
from sim.results import Cell, write_csv, write_text
from sim.stored import stored
from sim.study import Source, Study

PACKAGES = ("sim", "numpy", "scipy", "pandas", "pyarrow", "pydantic", "pymc", "nutpie", "arviz")
WRITTEN = (
    *("study.yaml", "operating_characteristics.csv", "responders.csv", "courses.csv", "losses.csv"),
    *("baseline.csv", "assumptions.md"),
)
"""What every finished run has, beside its provenance."""
SUCCESS = ("power", "assurance", "type_1_error")


def write_study(folder: Path, study: Study) -> None:
    """Write the study with everything resolved: it runs again as it stands."""
    write_text(folder / "study.yaml", to_yaml({"schema": SCHEMA, **dump(study)}))


def write_tables(folder: Path, study: Study, replicates: Mapping[Cell, int]) -> int:
    """Write operating characteristics, power curve, responders and courses; return the failed analyses."""
    characteristics: list[dict[str, Any]] = []
    responders: list[dict[str, Any]] = []
    courses: list[dict[str, Any]] = []
    lost: list[dict[str, Any]] = []
    for cell, used in replicates.items():
        protocol, scenario = study.protocols[cell.protocol], study.scenarios[cell.scenario]
        names = {"protocol": cell.protocol, "scenario": cell.scenario}
        with stored(folder, cell, used) as tables:
            rows = [*summarise(protocol, scenario, tables.estimates, tables.arms, tables.trials)]
            rows += run_of_trials(protocol, tables.estimates, tables.trials)
            characteristics += [names | asdict(row) for row in rows]
            responders += [names | row for row in responder_intervals(protocol, tables.arms)]
            courses += [names | row for row in mean_course(protocol, tables.arms)]
            lost += [names | row for row in losses(protocol, scenario, tables.arms)]
    write_csv(
        folder / "operating_characteristics.csv", [{c: row[c] for c in COLUMNS} for row in characteristics]
    )
    write_csv(folder / "responders.csv", responders)
    write_csv(folder / "courses.csv", courses)
    write_csv(folder / "losses.csv", lost)
    if any(protocol.sizes for protocol in study.protocols.values()):
        curve = [row for row in characteristics if row["metric"] in SUCCESS]
        write_csv(folder / "power_curve.csv", [{c: row[c] for c in COLUMNS} for row in curve])
    failures = [row for row in characteristics if row["metric"] == "failed"]
    return int(sum(round(row["value"] * row["replicates"]) for row in failures))


def write_patients(folder: Path, study: Study, posteriors: Mapping[str, Posterior]) -> None:
    """Write who is enrolled in each cell beside the reported baseline, and who is not admitted."""
    baseline: list[dict[str, Any]] = []
    screening: list[dict[str, Any]] = []
    for protocol, scenario in study.cells():
        names = {"protocol": protocol, "scenario": scenario}
        enrolment = Enrolment(study.protocols[protocol], study.scenarios[scenario], study.seed, posteriors)
        baseline += [names | asdict(row) for row in enrolment.table()]
        screening += [names | asdict(row) for row in enrolment.screening()]
    write_csv(folder / "baseline.csv", baseline)
    if screening:
        write_csv(folder / "screening.csv", screening)


def write_provenance(
    folder: Path, study: Study, posteriors: Mapping[str, Posterior], facts: dict[str, Any]
) -> None:
    """Write what made these numbers; ``facts`` are the run's digest, replicates, seconds and failures."""
    content = {
        "study": study.name,
        "seed": study.seed,
        "syntheses": {name: posterior.digest for name, posterior in posteriors.items()},
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": platform.platform(),
        "git_commit": _git_commit(),
        **facts,
    }
    write_text(folder / "provenance.json", json.dumps(content, indent=2) + "\n")


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git_commit() -> str | None:
    """Commit of the checkout that this code runs from, if it is one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def used_claims(study: Study) -> dict[str, Claim]:
    """Every claim that the study's protocols meet, by path, each once."""
    used: dict[str, Claim] = {}
    for name, scenario in study.scenarios.items():
        for protocol in study.protocols.values():
            used |= dict(claims_in(scenario.only(protocol), f"scenarios.{name}"))
    return used


def write_sources(folder: Path, study: Study, fits: Mapping[str, Path]) -> None:
    """Write ``sources.bib`` with exactly what the run used: claims' sources, and the syntheses' studies."""
    keys = sorted({claim.source for claim in used_claims(study).values() if claim.source})
    entries = [_bibtex(key, study.sources[key]) for key in keys]
    for file in fits.values():
        entries += [_bibtex(key, source) for key, source in _evidence_sources(file.parent) if key not in keys]
    write_text(folder / "sources.bib", "\n".join(dict.fromkeys(entries)))


def _evidence_sources(fit: Path) -> list[tuple[str, Source]]:
    import pandas as pd

    table = pd.read_csv(fit / "sources.csv", dtype=str, keep_default_na=False)
    columns = {"citation": "citation", "doi": "doi", "url": "url"}
    return [
        (row["study_id"], Source(**{k: row[c] or None for k, c in columns.items() if c in row}))
        for row in table.to_dict("records")
    ]


def _bibtex(key: str, source: Source) -> str:
    fields = {"title": source.citation, "doi": source.doi, "url": source.url}
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])


def assumptions(study: Study) -> list[tuple[str, str, str]]:
    """Every claim without a reported number behind it: (path, in words, reason), each once.

    A mixture is followed by its parts, each with its weight; so is a posterior by the vague part that takes
    a share of it.
    """
    rows: dict[tuple[str, str, str], None] = {}
    for path, claim in used_claims(study).items():
        place = ".".join(path.split(".")[2:])
        source = study.sources.get(claim.source or "")
        if claim.borrowed:
            rows[place, claim.words(), "borrowed: no reported effect of its own"] = None
        elif source and source.provenance == "unverified":
            rows[place, claim.words(), f"source not verified: {source.citation}"] = None
        elif claim.because and not isinstance(claim, PosteriorClaim) and not _PART.search(place):
            rows[place, claim.words(), claim.because] = None
        rows |= dict.fromkeys(_parts(place, claim))
    return list(rows)


_PART = re.compile(r"(\.parts\[\d+\]\.from|\.vague)$")
"""Places that are told with the weight that they have in what holds them."""


def _parts(place: str, claim: Claim) -> Iterator[tuple[str, str, str]]:
    """Yield the parts of a mixture, and the vague part of a robust posterior, with weight and reason."""
    if isinstance(claim, Mixture):
        for i, part in enumerate(claim.parts):
            reason = part.because or part.from_.because or str(part.from_.source)
            yield f"{place}.parts[{i}]", f"weight {part.weight:g}: {part.from_.words()}", reason
    if isinstance(claim, PosteriorClaim) and claim.vague is not None:
        reason = claim.vague.because or str(claim.vague.source)
        yield f"{place}.vague", f"weight {claim.robust_weight:g}: {claim.vague.words()}", reason


def disagreements(study: Study, posteriors: Mapping[str, Posterior]) -> list[str]:
    """Parts of one mixture that contradict each other, each once."""
    found: dict[str, None] = {}
    for path, claim in used_claims(study).items():
        if isinstance(claim, Mixture):
            place = ".".join(path.split(".")[2:])
            found |= {f"`{place}`: {said}": None for said in claim.disagreements(posteriors)}
    return list(found)


WARNING = "- Warning: "
"""How a line of ``assumptions.md`` begins that tells of a disagreement."""


def contradictions(folder: Path) -> list[str]:
    """Read back from a run's ``assumptions.md`` which parts of its mixtures disagree."""
    file = folder / "assumptions.md"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [line.removeprefix(WARNING) for line in lines if line.startswith(WARNING)]


def write_assumptions(folder: Path, study: Study, posteriors: Mapping[str, Posterior]) -> None:
    """Write ``assumptions.md``: what this run assumes without a source, and which of it disagrees."""
    lines = ["# Assumptions of this run", "", "| what | value | why |", "|---|---|---|"]
    lines += [f"| `{place}` | {words} | {reason} |" for place, words, reason in assumptions(study)]
    found = disagreements(study, posteriors)
    if found:
        lines += ["", "## Parts of a mixture that disagree", ""]
        lines += [f"{WARNING}{said}." for said in found]
    write_text(folder / "assumptions.md", "\n".join(lines) + "\n")

"""The report of a run as one page that opens offline."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import sim.report.design as design
import sim.report.examples as examples
import sim.report.explorer as explorer
import sim.report.front as front
import sim.report.looks as looks
import sim.report.patients as patients
import sim.report.region as region
import sim.report.sensitivity as sensitivity
import sim.report.tables as tables
import sim.report.truth as truth
from sim.archive import contradictions
from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.report.checklist import CHECKLISTS
from sim.report.fits import gather
from sim.report.grid import Grid
from sim.report.limits import limits
from sim.report.markdown import markdown
from sim.report.material import Material
from sim.report.metrics import GLOSSARY
from sim.report.pictures import draw
from sim.report.pieces import pieces
from sim.report.sources import references
from sim.report.summary import summarise
from sim.report.word import document
from sim.report.words import answer, basis, effect_words, lead, question
from sim.results import Results, write_text

SECTIONS = {
    "answer": "Answer", "limits": "Limits", "estimands": "Estimands", "trial": "Trial",
    "evidence": "Evidence", "assumptions": "Assumptions", "patients": "Patients", "design": "Design",
    "scenarios": "Scenarios", "responders": "Responders", "sizes": "Patients needed",
    "characteristics": "Operating characteristics", "error": "Type I error", "examples": "Example trials",
    "sensitivity": "Sensitivity", "operations": "Operations", "checklist": "Checklists",
    "sources": "Sources", "words": "Words", "run": "This run",
}  # fmt: skip
"""Sections in their order, by anchor; each is a template of that name."""
FORMS = ("html", "md", "docx")
TEMPLATES = Path(__file__).parent / "templates"


def render(results: Results) -> Path:
    """Write ``report.html``, ``explorer.html`` and ``figures/`` into the results folder from its tables.

    Returns
    -------
    Path
        The page; it loads nothing from elsewhere.

    Raises
    ------
    InputError
        The folder does not hold the run's study or tables.
    """
    material = Material.read(results)
    environment = _environment(results.folder)
    file = results.folder / "report.html"
    write_text(file, environment.get_template("report.html").render(**_context(material)))
    explored = environment.get_template("explorer.html").render(content=explorer.content(material))
    write_text(results.folder / "explorer.html", explored)
    return file


def render_as(results: Results, form: str) -> Path:
    """Write the report as ``html``, ``md`` or ``docx`` into the results folder; all hold the same.

    Raises
    ------
    InputError
        As ``render``; or the form is unknown, or its library is not installed.
    """
    if form not in FORMS:
        raise InputError(f"--format: unknown form '{form}':{suggest(form, FORMS)}")
    page = render(results)
    if form == "html":
        return page
    found, file = pieces(page.read_text(encoding="utf-8")), page.with_suffix(f".{form}")
    if form == "md":
        write_text(file, markdown(found))
    else:
        document(found, results.folder).save(str(file))
    return file


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = embedded
    environment.filters["within"] = lambda file: file.relative_to(folder).as_posix()
    environment.filters["anchor"] = lambda text: "".join(c if c.isalnum() else "-" for c in str(text))
    return environment


def embedded(file: Path) -> Markup:
    """Return an image file as the text of a data address."""
    return Markup("data:image/png;base64," + b64encode(file.read_bytes()).decode())


def _context(material: Material) -> dict[str, Any]:
    summary = summarise(material)
    study = material.study
    return {
        "sections": SECTIONS,
        "title": study.name.replace("_", " "),
        "question": question(material),
        "lead": lead(summary),
        "basis": basis(material, summary),
        "effect_words": effect_words(material),
        "answers": {
            arm.label: answer(material, summary, arm) for arm in summary.arms if arm.effect is not None
        },
        "summary": tables.answer(material, summary),
        "sizes_said": front.answers(material),
        "has_borrowed": any(arm.is_borrowed for arm in summary.arms),
        "limits": limits(material),
        "contradictions": [line.replace("`", "") for line in contradictions(material.results.folder)],
        "study": study,
        "material": material,
        "pictures": draw(material),
        "poor_coverage": tables.poor_coverage(material),
        "tables": _tables(material),
        "syntheses": [gather(fit) for fit in material.fits()],
        "missing_syntheses": sorted(set(study.syntheses) - {fit.name for fit in material.fits()}),
        "sources": references(material.results.folder),
        "provenance": material.results.provenance,
        "glossary": GLOSSARY,
        "replays": examples.replays(material),
        "checklists": CHECKLISTS,
    }


def _tables(material: Material) -> dict[str, Grid | None]:
    named: dict[str, Callable[[Material], Grid | None]] = {
        "looks": looks.table, "prior": truth.table, "region": region.table, "examples": examples.table,
        "sensitivity": sensitivity.table,
    }  # fmt: skip
    makers: tuple[Callable[[Material], Grid | None], ...] = (
        design.arms, design.estimands, design.scenarios, design.assumed, patients.baseline,
        patients.screening, patients.losses, tables.responders, tables.courses, tables.sizes, tables.success,
        tables.by_arm, tables.whole_trial, tables.by_size, tables.null,
    )  # fmt: skip
    made = {make.__name__: make(material) for make in makers}
    made |= {name: make(material) for name, make in named.items()}
    if len(material.study.protocols) > 1:
        return made
    return {name: grid and grid.without("protocol") for name, grid in made.items()}

"""What the evidence behind a run cannot support, said plainly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.claims import Claim, PosteriorClaim, claims_in
from sim.report.material import Material
from sim.treatments import Treatment

if TYPE_CHECKING:
    import pandas as pd

BORROWED = "borrowed"


@dataclass(frozen=True)
class Limit:
    """One thing that the evidence on a treatment does not carry.

    Attributes
    ----------
    kind
        borrowed, assumed, single_trial, indirect or note.
    detail
        What is used instead; may be empty.
    """

    treatment: str
    label: str
    kind: str
    sentence: str
    detail: str = ""


def limits(material: Material) -> list[Limit]:
    """List what the evidence cannot support, a treatment after the other, each sentence once."""
    found: dict[tuple[str, str], Limit] = {}
    for scenario in material.study.scenarios.values():
        for protocol in material.study.protocols.values():
            for arm in protocol.arms:
                for limit in _of_treatment(material, arm.treatment, scenario.treatments[arm.treatment]):
                    found.setdefault((limit.treatment, limit.sentence), limit)
    order = list(dict.fromkeys(limit.treatment for limit in found.values()))
    return sorted(found.values(), key=lambda limit: order.index(limit.treatment))


def _of_treatment(material: Material, name: str, treatment: Treatment) -> Iterator[Limit]:
    label = treatment.label
    for path, claim in claims_in(treatment.effect):
        if claim.borrowed:
            yield Limit(
                name,
                label,
                BORROWED,
                _borrowed(label),
                f"It is a mixture: {claim.words().replace('%', ' %')}.",
            )
        if _is_bare(path, claim):
            yield Limit(name, label, "assumed", _assumed(label), f"{claim.words()}: {claim.because}.")
        for kind, sentence in _of_claim(material, _whose(path, claim, label), claim):
            yield Limit(name, label, kind, sentence)
    if treatment.note:
        yield Limit(name, label, "note", treatment.note.strip())


def _is_bare(path: str, claim: Claim) -> bool:
    """Whether a claim is the size of an effect, stated without a source."""
    return path == "plateau" and claim.needs_reason() and not claim.source


def _whose(path: str, claim: Claim, label: str) -> str:
    """Name the treatment that the evidence is on; in a mixture it is not the one that is simulated."""
    other = claim.treatment if isinstance(claim, PosteriorClaim) and path != "plateau" else None
    return f"{other.replace('_', ' ')} (used for {label})" if other else label


def _borrowed(label: str) -> str:
    return (
        f"The effect of {label} is borrowed from other evidence: no trial reports its effect against a "
        "control. Its numbers show what the borrowed evidence implies, not what was observed."
    )


def _assumed(label: str) -> str:
    return f"The effect of {label} is an assumption without a source."


def _of_claim(material: Material, who: str, claim: Claim) -> Iterator[tuple[str, str]]:
    """Yield what the synthesis says of the evidence behind a posterior claim on a treatment."""
    if not isinstance(claim, PosteriorClaim) or claim.treatment is None:
        return
    row = _effect_row(material, claim.synthesis, claim.treatment)
    if row is None:
        return
    if row["basis"] == BORROWED:
        yield (
            BORROWED,
            f"The effect of {who} is borrowed from its class: no trial of it enters the synthesis.",
        )
    if row["trials"] == 1:
        patients = f" ({row['patients']:.0f} patients in the rows that enter)" if row["patients"] else ""
        yield "single_trial", f"The effect of {who} rests on a single trial{patients}."
    if row["basis"] == "indirect":
        yield (
            "indirect",
            f"The effect of {who} rests on indirect evidence: trials of another condition.",
        )


def _effect_row(material: Material, synthesis: str, treatment: str) -> "pd.Series | None":
    for fit in material.fits():
        effects = fit.table("effects")
        if fit.name == synthesis and effects is not None and (effects["treatment"] == treatment).any():
            return effects[effects["treatment"] == treatment].iloc[0]
    return None

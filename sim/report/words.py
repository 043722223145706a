"""A run's question and answer in words, and the table to paste."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from sim.estimand import SUMMARY_WORDS
from sim.report.limits import Limit
from sim.report.material import Material, brief
from sim.report.notation import NONE, number
from sim.report.summary import ArmAnswer, Size, Summary, summarise
from sim.results import Results

WIDTH = 110
"""Columns of the pasted text."""


def joined(items: Sequence[str]) -> str:
    """Join names as a sentence does."""
    if len(items) < 3:
        return " and ".join(items)
    return f"{', '.join(items[:-1])}, and {items[-1]}"


def question(material: Material) -> str:
    """Ask in one sentence what the study asks."""
    labels = material.labels
    arms = joined([labels[arm] for arm in material.compared])
    need = ", and how many patients would it need" if material.table("sample_sizes") is not None else ""
    week = material.protocol.primary_week
    return f"What would a trial of {arms} against {labels[material.control]} show at week {week:g}{need}?"


def basis(material: Material, summary: Summary) -> str:
    """Say which trials the answer rests on."""
    return (
        f"{summary.trials:,} simulated trials of {material.protocol.n} patients, "
        f"scenario '{material.main.scenario}': {material.scenario.claims.words()}."
    )


def effect_words(material: Material) -> str:
    """Say what the effect and its interval are."""
    estimand = material.protocol.estimands[material.primary]
    endpoint = material.protocol.endpoints[estimand.endpoint]
    what = (
        f"{SUMMARY_WORDS[estimand.summary]} against {material.labels[material.control]} of {endpoint.words()}"
    )
    sign = "negative" if estimand.better(endpoint) == "lower" else "positive"
    of = "simulated trials' true effects" if material.scenario.claims.is_drawn else "trials' estimates"
    said = f"The value is the mean true effect; the interval holds 95 % of the {of}."
    return f"{what}; {sign} favours the treatment. {said}"


def size_explanation(material: Material) -> str:
    """Say what the wanted sizes mean."""
    return (
        "n/arm: patients per arm so that the primary analysis succeeds with the wanted probability. Power: "
        "every effect has one fixed value. Assurance: each trial draws its effect from what the evidence "
        "allows."
    )


def size_words(size: Size | None) -> str:
    """Say how many patients an arm needs."""
    if size is None:
        return NONE
    return number(size.patients, 0) if size.patients is not None else "not reached"


def answer(material: Material, summary: Summary, arm: ArmAnswer) -> str:
    """Say in a sentence or two what a compared arm shows and needs."""
    first = next(iter(arm.responders), None)
    said = []
    if first is not None:
        control = next(other for other in summary.arms if other.name == material.control)
        endpoint = material.protocol.endpoints[first]
        said.append(
            f"{number(arm.responders[first].mean)} of the patients have {endpoint.words()} "
            f"({number(control.responders[first].mean)} on {control.label}).".replace("%", " %")
        )
    if arm.effect is not None:
        said.append(f"The effect on the primary outcome is {arm.effect.words()}.")
    said += [
        _size_sentence(target, goal, arm.sizes[target])
        for target, goal in summary.goals.items()
        if target in arm.sizes
    ]
    return " ".join(said)


def lead(summary: Summary) -> str:
    """Say in one sentence which arms reach which goal; empty where no size was looked for."""
    said = []
    for target, goal in summary.goals.items():
        reached = [
            arm.label
            for arm in summary.arms
            if target in arm.sizes and arm.sizes[target].patients is not None
        ]
        said.append(f"{target} {goal:g} is reached for {joined(reached) if reached else 'no treatment'}")
    return f"Within the sizes looked at, {'; '.join(said)}." if said else ""


def _size_sentence(target: str, goal: float, size: Size) -> str:
    if size.patients is None:
        return f"{target.capitalize()} {goal:g} is not reached: {size.reason}."
    reason = f" ({size.reason})" if size.reason else ""
    return f"{target.capitalize()} {goal:g} takes {number(size.patients, 0)} patients per arm{reason}."


def summary_table(results: Results) -> str:
    """Write the answer of a run as Markdown, ready to be pasted.

    Responders and effects are those of the main scenario (the first in which each trial draws its own
    truth, or else the first that is not null) with their 95 % intervals over the simulated trials.

    Raises
    ------
    InputError
        The folder does not hold the run's study or tables.
    """
    material = Material.read(results)
    summary = summarise(material)
    notes = Notes(material, summary)
    parts = [
        fill(f"**{question(material)}** {basis(material, summary)}", WIDTH),
        _responders(material, summary, notes),
        f"Share of the randomised at week {material.protocol.primary_week:g} (where 95 % of trials fall).",
        _effects(material, summary, notes),
        fill(f"Effect: {effect_words(material)}", WIDTH),
        fill(size_explanation(material), WIDTH) if summary.goals else "",
        "\n".join(fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ") for line in notes.lines()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


class Notes:
    """Footnotes of the table: reasons and limits, each with its mark."""

    def __init__(self, material: Material, summary: Summary) -> None:
        said: dict[str, None] = {}
        for arm in summary.arms:
            said |= dict.fromkeys(limit.sentence for limit in arm.limits if _is_marked(limit))
            said |= dict.fromkeys(
                _reason(arm.label, size) for size in arm.sizes.values() if size.patients is None
            )
        self._numbers = {sentence: place for place, sentence in enumerate(said, start=1)}

    def label(self, arm: ArmAnswer) -> str:
        """Name of an arm with the marks of its limits."""
        marks = "".join(f"[{self._numbers[limit.sentence]}]" for limit in arm.limits if _is_marked(limit))
        return f"{arm.label} {marks}".strip()

    def size(self, arm: ArmAnswer, target: str) -> str:
        """Patients that an arm needs, or the mark of the reason why no number is enough."""
        size = arm.sizes.get(target)
        if size is None or size.patients is not None:
            return size_words(size)
        return f"{size_words(size)} [{self._numbers[_reason(arm.label, size)]}]"

    def lines(self) -> Iterator[str]:
        """Yield the footnotes."""
        yield from (f"[{place}] {sentence}" for sentence, place in self._numbers.items())


def _is_marked(limit: Limit) -> bool:
    return limit.kind != "note"


def _reason(label: str, size: Size) -> str:
    reason = size.reason or "no size that was looked at is enough"
    return f"{label}: {reason}."


def _responders(material: Material, summary: Summary, notes: Notes) -> str:
    named = {name: brief(material.protocol.endpoints[name]) for name in material.responses}
    rows = [
        [
            notes.label(arm),
            *(arm.responders[name].words() if name in arm.responders else NONE for name in named),
        ]
        for arm in summary.arms
    ]
    return markdown(["arm", *named.values()], rows)


def _effects(material: Material, summary: Summary, notes: Notes) -> str:
    targets = [f"n/arm, {target} {goal:g}" for target, goal in summary.goals.items()]
    rows = []
    for arm in summary.arms:
        if arm.effect is not None:
            sizes = [notes.size(arm, target) for target in summary.goals]
            rows.append([notes.label(arm), arm.effect.words(), *sizes])
    return markdown(["arm", "effect (95 % interval)", *targets], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table with columns that also line up in a terminal."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    rule = [
        ("-" if i == 0 else "") + "-" * (width - 1) + ("" if i == 0 else ":")
        for i, width in enumerate(widths)
    ]
    lines = [
        [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [header, *rows]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])

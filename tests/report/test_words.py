"""The table to paste: its numbers are those of the records, its limits are marked."""

import re

import numpy as np
import pytest

from sim import Plan, Results, Study, run
from sim.report.notation import Interval, measured, number
from sim.report.words import joined, markdown, summary_table


def rows(text: str) -> dict[str, list[list[str]]]:
    """Rows of the Markdown tables by their first cell, without marks."""
    found: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("| -"):
            first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(re.sub(r" \[.*", "", first), []).append(cells)
    return found


def shown(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})".replace("-", "−")


def test_numbers_are_those_of_the_tables_and_records(finished: Results) -> None:
    found = rows(summary_table(finished))
    shares, records = finished.table("responders"), finished.records("small", "drawn")
    for arm, label in {"control": "placebo", "active": "drug", "talk": "talking therapy"}.items():
        at = (shares["scenario"] == "drawn") & (shares["arm"] == arm) & (shares["week"] == 12)
        mine = shares[at & (shares["of"] == "randomised")].set_index("endpoint")
        for cell, endpoint in zip(
            found[label][0], ("responder_30", "responder_50", "pain_free"), strict=True
        ):
            assert cell == shown(*mine.loc[endpoint, ["mean", "low", "high"]])
        truth = records[(records["estimand"] == "primary") & (records["arm"] == arm) & (records["n"] == 160)][
            "truth"
        ]
        if arm != "control":
            assert found[label][1][0] == shown(truth.mean(), *np.quantile(truth, [0.025, 0.975]))
    assert len(found["placebo"]) == 1


def test_wanted_sizes_or_the_reason_why_there_is_none(finished: Results) -> None:
    text = summary_table(finished)
    found = rows(text)
    assert found["drug"][1][1:] == ["75", "130"]
    assert found["talking therapy"][1][1:] == ["60", "90"]
    for cell, reason in zip(
        found["drug and another drug"][1][1:],
        ("power is 0.31 at the largest size looked at (4000 patients).", "assurance levels off at 0.44."),
        strict=True,
    ):
        mark = re.fullmatch(r"not reached (\[\d+\])", cell)
        assert mark
        assert f"- {mark.group(1)} drug and another drug: {reason}" in text


def test_a_borrowed_effect_and_a_single_trial_are_marked(finished: Results) -> None:
    text = " ".join(summary_table(finished).split())
    for label, sentence in (
        ("drug and another drug", "The effect of drug and another drug is borrowed from other evidence"),
        (
            "talking therapy",
            "The effect of talking therapy rests on a single trial (45 patients in the rows that enter)",
        ),
    ):
        mark = re.search(rf"(\[\d+\]) {re.escape(sentence)}", text)
        assert mark
        assert re.search(rf"\| {label} [\[\d\]]*{re.escape(mark.group(1))}", text)
    assert "| placebo |" in text


def test_it_fits_in_a_terminal(finished: Results) -> None:
    assert max(len(line) for line in summary_table(finished).splitlines()) <= 110


def test_where_the_truth_is_fixed_the_interval_is_that_of_the_estimates(two_arm: Study, tmp_path) -> None:  # type: ignore[no-untyped-def]
    study = two_arm.model_copy(update={"scenarios": {"expected": two_arm.scenarios["expected"]}})
    results = run(study, Plan(workers=1), tmp_path / "run")
    records = results.records("small", "expected")
    chosen = records[(records["estimand"] == "primary") & (records["n"] == 80)]
    text = summary_table(results)
    low, high = np.quantile(chosen["estimate"], [0.025, 0.975])
    assert rows(text)["drug"][1][0] == shown(chosen["truth"].mean(), low, high)
    assert "95 % of the trials' estimates" in " ".join(text.split())
    assert "n/arm" not in text


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-0.004, 2, "0.00"), (-0.006, 2, "−0.01"), (1234.5, 0, "1,234"), (np.nan, 2, "–"), (np.inf, 0, "∞")],
)
def test_numbers(value: float, decimals: int, text: str) -> None:
    assert number(value, decimals) == text


def test_errors_in_brackets() -> None:
    assert measured(0.8712, 0.0031) == "0.871 (0.003)"
    assert measured(0.5, 0.0001) == "0.500 (<0.001)"
    assert measured(0.0, 0.0) == "0.000 (0.000)"
    assert measured(0.5, np.nan) == "0.500"
    assert Interval(-0.5, -1.25, 0.25).words() == "−0.50 (−1.25 to 0.25)"


def test_names_are_joined_as_in_a_sentence() -> None:
    assert [joined(["a"]), joined(["a", "b"]), joined(["a", "b and c", "d"])] == [
        "a",
        "a and b",
        "a, b and c, and d",
    ]


def test_markdown_lines_up() -> None:
    lines = markdown(["arm", "n"], [["long name", "5"], ["x", "1,200"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1] == "| --------- | ----: |"

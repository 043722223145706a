"""The page: complete, self-contained, and with the numbers of the tables."""

import re
import shutil
from base64 import b64decode
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sim.report.looks as looks
from sim import Plan, Results, Study, run
from sim.archive import WARNING
from sim.core.errors import InputError
from sim.report.checklist import CHECKLISTS
from sim.report.html import TEMPLATES, render
from sim.report.material import Material
from sim.report.pictures import MAKERS

from .conftest import Page, Shown

SECTIONS = [
    *("answer", "limits", "estimands", "trial", "evidence", "assumptions", "patients", "design", "scenarios"),
    *(
        "responders",
        "sizes",
        "characteristics",
        "error",
        "examples",
        "sensitivity",
        "operations",
        "checklist",
    ),
    *("sources", "words", "run"),
]
LABELS = {
    "control": "placebo", "active": "drug", "both": "drug and another drug", "talk": "talking therapy",
}  # fmt: skip
HEADS = {
    "success": ["success", "true effect", "bias", "RMSE", "coverage", "empirical SE", "mean SE", "failed"],
    "metrics": ["success", "truth", "bias", "rmse", "coverage", "empirical_se", "mean_se", "failed"],
}
SUCCESS = {"power": "power", "assurance": "assurance", "type_1_error": "type I error"}


def plain(text: str) -> float:
    """Read a printed number back."""
    return float(text.replace("−", "-").replace(",", ""))


def agrees(shown: Shown, value: float, error: float) -> None:
    """Hold a printed ``0.871 (0.003)`` to the value and Monte Carlo error of the table."""
    assert shown.value == value
    printed, bracket = re.fullmatch(r"(\S+) \((\S+)\)", shown.text).groups()  # type: ignore[union-attr]
    decimals = len(printed.split(".")[1])
    assert abs(plain(printed) - value) <= 0.5000001 * 10**-decimals
    if bracket.startswith("<"):
        assert 0 < error < plain(bracket[1:]) / 2
    else:
        assert abs(plain(bracket) - error) <= 0.5000001 * 10**-decimals


def by_head(page: Page, caption: str) -> list[dict[str, Shown]]:
    head, *rows = page.tables[caption]
    return [dict(zip([cell.text for cell in head], row, strict=True)) for row in rows]


def test_every_section_is_there_in_order(page: Page) -> None:
    assert [values["id"] for tag, values in page.tags if tag == "section"] == SECTIONS
    assert all(page.sections[name].strip() for name in SECTIONS)
    targets = {values.get("id") for _, values in page.tags}
    links = [values["href"] for tag, values in page.tags if tag == "a"]
    assert {link[1:] for link in links if link and link.startswith("#")} <= targets


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_each_comparison_shows_the_numbers_of_the_csv(page: Page, finished: Results) -> None:
    caption = "Operating characteristics of each comparison (Monte Carlo error in brackets)"
    frame = finished.characteristics
    full = frame[(frame["n"] == 160) & frame["estimand"].notna() & (frame["metric"] != "responder_rate")]
    shown = 0
    for row in by_head(page, caption):
        arm = {label: name for name, label in LABELS.items()}[row["arm"].text]
        at = (full["scenario"] == row["scenario"].text) & (full["estimand"] == row["estimand"].text)
        found = full[at & (full["arm"] == arm)].set_index("metric")
        success = next(metric for metric in SUCCESS if metric in found.index)
        assert row["success is"].text == SUCCESS[success]
        for head, metric in zip(HEADS["success"], HEADS["metrics"], strict=True):
            csv = found.loc[success if metric == "success" else metric]
            agrees(row[head], csv["value"], csv["mcse"])
            shown += 1
    assert shown == len(full)


def test_each_arm_shows_the_numbers_of_the_csv(page: Page, finished: Results) -> None:
    frame = finished.characteristics
    heads = {
        "pain ≥ 30 % lower": "responder_30", "pain ≥ 50 % lower": "responder_50", "pain ≤ 1": "pain_free",
        "mean change, points": "mean_change", "left the study": "dropout",
    }  # fmt: skip
    rows = by_head(page, "What each arm shows at the primary visit (Monte Carlo error in brackets)")
    assert len(rows) == 3 * len(LABELS)
    for row in rows:
        arm = {label: name for name, label in LABELS.items()}[row["arm"].text]
        mine = frame[(frame["scenario"] == row["scenario"].text) & (frame["arm"] == arm)]
        for head, name in heads.items():
            csv = mine[(mine["estimand"] == name) | (mine["metric"] == name)].iloc[0]
            agrees(row[head], csv["value"], csv["mcse"])


def test_success_at_every_size_is_that_of_the_power_curve(page: Page, finished: Results) -> None:
    curve = finished.table("power_curve")
    names = {name: label for name, label in LABELS.items()}
    rows = by_head(page, "Success by number of patients in all (Monte Carlo error in brackets)")
    found = {(row["scenario"].text, row["estimand"].text, row["arm"].text): row for row in rows}
    for csv in curve.to_dict("records"):
        row = found[csv["scenario"], csv["estimand"], names[csv["arm"]]]
        agrees(row[f"n = {csv['n']}"], csv["value"], csv["mcse"])
    assert len(rows) * 2 == len(curve)


def test_responders_and_courses_are_those_of_their_tables(page: Page, finished: Results) -> None:
    shares, courses = finished.table("responders"), finished.table("courses")
    shares, courses = (table[table["scenario"] == "drawn"] for table in (shares, courses))
    rows = by_head(page, "Share of responders by arm and week (95 % predictive interval)")
    printed = [cell for row in rows for cell in list(row.values())[2:]]
    assert sorted(cell.value for cell in printed) == sorted(shares["mean"])  # type: ignore[type-var]
    rows = by_head(page, "Mean pain by arm and week (95 % predictive interval)")
    for row, csv in zip(rows, courses.to_dict("records"), strict=True):
        assert row["mean pain, points"].value == csv["mean"]
        low, high = re.search(r"\((\S+) to (\S+)\)", row["mean pain, points"].text).groups()  # type: ignore[union-attr]
        assert [plain(low), plain(high)] == pytest.approx([csv["low"], csv["high"]], abs=0.0051)


def test_nothing_is_loaded_from_elsewhere(page: Page, finished: Results) -> None:
    text = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    for tag, values in page.tags:
        assert str(values.get("src", "data:")).startswith("data:image/png;base64,") or "src" not in values
        if "href" in values:
            assert tag == "a"
        assert "srcset" not in values
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL).group(1)  # type: ignore[union-attr]
    assert "url(" not in style
    assert "@import" not in style
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)  # type: ignore[union-attr]
    assert "http" not in script
    assert "fetch" not in script


def test_every_figure_is_embedded_and_has_words(page: Page, finished: Results) -> None:
    images = [values for tag, values in page.tags if tag == "img"]
    assert all(len(str(values["alt"])) > 30 for values in images)
    embedded = {b64decode(str(values["src"]).split(",")[1]) for values in images}
    kept = {file.stem for file in (finished.folder / "figures").glob("*.png")}
    assert {"schema", "responders", "courses", "sizes", "curve", "truth", "region", "examples"} <= kept
    assert kept <= set(MAKERS)
    for name in kept:
        assert (finished.folder / "figures" / f"{name}.png").read_bytes() in embedded
    for name in ("forest", "network"):
        assert (finished.folder / "synthesis" / "toy" / "figures" / f"{name}.png").read_bytes() in embedded


def test_what_the_evidence_cannot_support_is_said_near_the_top(page: Page) -> None:
    said = page.sections["limits"]
    assert "drug and another drug is borrowed from other evidence" in said
    assert "other (used for drug and another drug) rests on indirect evidence" in said
    assert "talking therapy rests on a single trial (45 patients in the rows that enter)" in said
    assert "Its control knew the treatment." in said
    assert "placebo rests" not in said
    assert "effect of drug is an assumption without a source" in said


def test_low_coverage_is_pointed_out(page: Page, finished: Results) -> None:
    frame = finished.characteristics
    low = frame[
        (frame["metric"] == "coverage") & (frame["n"] == 160) & (frame["value"] + 3 * frame["mcse"] < 0.95)
    ]
    assert len(low) > 0
    for row in low.to_dict("records"):
        line = f"{row['estimand']}, {LABELS[row['arm']]}, scenario '{row['scenario']}': {row['value']:.2f}"
        assert line in page.sections["characteristics"]


def test_evidence_assumptions_sources_and_rerun_are_told(page: Page, finished: Results) -> None:
    assert "3 reported rows were left out" in page.sections["evidence"]
    counts = {
        row["reason"].text: row["rows"].value for row in by_head(page, "Why rows were left out of 'toy'")
    }
    assert counts == {"flare design": 2, "role: context": 1}
    assert "largest R-hat (1 is perfect, above 1.01 is refused): 1.004" in page.sections["evidence"]
    assert "so many leave that non-response is biased" in page.sections["assumptions"]
    assert "https://doi.org/10.1000/182" in page.sections["sources"]
    assert "One trial" in page.sections["sources"]
    for fact in ("sim run study.yaml", str(finished.provenance["digest"]), "toydigest", "256"):
        assert fact in page.sections["run"]


def test_parts_of_a_claim_that_disagree_are_warned_of(copy: Results, drawn: None) -> None:
    file = copy.folder / "assumptions.md"
    kept = file.read_text(encoding="utf-8")
    file.write_text(
        kept + f"\n{WARNING}`a.plateau`: x and y lie 3.0 standard deviations apart.\n", encoding="utf-8"
    )
    told = Page(render(copy).read_text(encoding="utf-8")).sections["assumptions"]
    assert "Warning: parts of one claim disagree." in told
    assert "a.plateau: x and y lie 3.0 standard deviations apart." in told
    file.write_text(kept, encoding="utf-8")
    assert "disagree" not in Page(render(copy).read_text(encoding="utf-8")).sections["assumptions"]


def test_rendering_again_gives_the_same_page(copy: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (copy.folder / "report.html").read_bytes()
    monkeypatch.setattr("sim.report.picture.save", lambda panels, file, data: None)
    assert render(copy).read_bytes() == before


def test_the_share_of_single_trials_is_shown_or_how_to_get_it(copy: Results, page: Page, drawn: None) -> None:
    told = "--leave-one-out, then the run again, adds it"
    assert told in page.sections["evidence"]
    (copy.folder / "synthesis" / "toy" / "prior_share.csv").write_text(
        "treatment,study,mean_without,sd_without,mean_with,sd_with,share,patients_per_arm_without,"
        "patients_per_arm,converged\ntalk,trial2001,-0.8,0.45,-1.5,0.31,0.52,26,38,True\n"
    )
    evidence = Page(render(copy).read_text(encoding="utf-8")).sections["evidence"]
    assert told not in evidence
    assert "rest on one or two studies" in evidence


def test_a_run_without_sizes_and_synthesis_still_has_a_page(copy: Results, drawn: None) -> None:
    for name in ("sample_sizes.csv", "size_curve.csv", "power_curve.csv", "examples.csv", "region.csv"):
        (copy.folder / name).unlink()
    shutil.rmtree(copy.folder / "synthesis")
    bare = Page(render(copy).read_text(encoding="utf-8"))
    assert [values["id"] for tag, values in bare.tags if tag == "section"] == SECTIONS
    assert "looked for no sample size" in bare.sections["sizes"]
    assert "holds no example trials" in bare.sections["examples"]
    assert "was not" in bare.sections["error"]
    assert "synthesis toy are not in this folder" in bare.sections["evidence"]
    assert "how many patients would it need" not in bare.sections[""]


def test_text_from_the_input_cannot_become_markup(copy: Results, drawn: None) -> None:
    file = copy.folder / "study.yaml"
    file.write_text(
        file.read_text().replace("Its control knew the treatment.", "<b onclick=x()>bold</b> & more")
    )
    text = render(copy).read_text(encoding="utf-8")
    assert "<b onclick" not in text
    assert "&lt;b onclick=x()&gt;bold&lt;/b&gt; &amp; more" in text


def test_a_folder_without_its_study_is_refused(copy: Results) -> None:
    (copy.folder / "study.yaml").unlink()
    with pytest.raises(InputError, match=r"study\.yaml: no such file"):
        render(copy)


def test_sizes_are_those_of_the_csv(page: Page, finished: Results) -> None:
    csv = pd.read_csv(finished.folder / "sample_sizes.csv")
    rows = by_head(page, "How many patients are needed")
    for row, wanted in zip(rows, csv.to_dict("records"), strict=True):
        agrees(row["success there"], wanted["value"], wanted["mcse"])
        cell = row["patients per arm (95 % interval)"]
        if np.isnan(wanted["n_per_arm"]):
            assert (cell.text, cell.value) == ("not reached", None)
            assert row["remark"].text == wanted["note"]
        else:
            assert cell.value == wanted["n_per_arm"]
            assert row["patients in all"].value == wanted["n_total"]


def test_virtual_patients_stand_beside_the_reported_ones(page: Page, finished: Results) -> None:
    baseline = finished.table("baseline")
    rows = by_head(page, "Baseline of the enrolled patients: mean (SD), or share")
    kept = baseline[baseline["scenario"] == baseline["scenario"].iloc[0]]
    assert [row["measure"].text for row in rows] == [name.replace("_", " ") for name in kept["measure"]]
    for row, (_, values) in zip(rows, kept.iterrows(), strict=True):
        assert row["simulated"].value == values["mean"]
    screening = finished.table("screening")
    failed = by_head(page, "Screen failure: who presents and is not randomised")
    assert [row["share not admitted"].value for row in failed] == list(
        screening[screening["scenario"] == screening["scenario"].iloc[0]]["share"]
    )


def test_losses_stand_beside_the_reported_ones(page: Page, finished: Results) -> None:
    lost = finished.table("losses")
    shown = by_head(page, "Losses by arm and reason, share of those randomised")
    last = lost["week"] == lost["week"].max()
    wanted = lost[lost["reported"].notna() | (last & (lost["share"] > 0))]
    assert [row["simulated"].value for row in shown] == list(wanted["share"])


def test_examples_variations_and_region_are_those_of_their_tables(page: Page, finished: Results) -> None:
    told = finished.table("examples")
    rows = by_head(page, "Example trials look by look")
    assert [row["estimate (95 % interval)"].value for row in rows] == list(told["estimate"])
    assert [row["true effect"].value for row in rows] == list(told["truth"])
    for place in set(told["replicate"]):
        assert f"--scenario drawn --replicate {place}" in page.sections["examples"]
    varied = finished.table("sensitivity")
    varied = varied[varied["what"].notna() & (varied["n"] == 160)]
    rows = by_head(page, "One thing at a time, on the same patients (Monte Carlo error in brackets)")
    for row, csv in zip(rows, varied.to_dict("records"), strict=True):
        agrees(row["value"], csv["value"], csv["mcse"])
        assert (row["setting"].text, row["difference"].value) == (csv["setting"], csv["difference"])
    rows = by_head(page, "Type I error over the region, largest first (Monte Carlo error in brackets)")
    assert [row["type I error"].value for row in rows] == [0.055, 0.052, 0.031, 0.026]
    assert rows[0]["nuisance values"].text == "variation sd 2.7, placebo withdrawal 0.005"


def test_prior_uncertainty_stands_apart_from_monte_carlo_error(page: Page, finished: Results) -> None:
    rows = by_head(page, "Assurance and what it averages over (Monte Carlo error in brackets)")
    frame = finished.characteristics
    wanted = frame[(frame["metric"] == "assurance") & (frame["n"] == 160) & (frame["estimand"] == "primary")]
    for row, csv in zip(rows, wanted.to_dict("records"), strict=True):
        assert row["arm"].text == LABELS[csv["arm"]]
        agrees(row["assurance"], csv["value"], csv["mcse"])
        assert row["true effect, lowest tenth"].text.startswith("−")
    records = finished.records("small", "drawn").query("estimand == 'primary' and n == 160 and arm == 'talk'")
    lowest = records.sort_values("truth", kind="stable").head(26)
    talk = next(row for row in rows if row["arm"].text == "talking therapy")
    assert talk["power, lowest tenth"].value == lowest["success"].mean()


def test_every_point_of_the_checklists_leads_to_a_section_with_content(page: Page) -> None:
    asked = [item for checklist in CHECKLISTS for item in checklist.items]
    assert len(asked) > 20
    targets = {str(values["id"]) for _, values in page.tags if "id" in values}
    assert {anchor for item in asked for anchor, _ in item.where} <= targets
    assert {checklist.anchor for checklist in CHECKLISTS} <= targets
    assert all(item.what in page.sections["checklist"] for item in asked)


def test_looks_show_the_bounds(two_arm_file: Path, tmp_path: Path) -> None:
    rule = "{kind: group_sequential, spending: {kind: ld_obrien_fleming}, futility: {kind: hsd, gamma: -2}}"
    look = f"{{when: {{fractions: [0.5, 1]}}, analysis: {{kind: ancova, estimand: primary}}, rule: {rule}}}"
    changes = (f"protocols.small.looks=[{look}]", "protocols.small.sizes=[]", "replicates=128")
    results = run(Study.load(two_arm_file, changes), Plan(workers=1), tmp_path)
    material = Material.read(results)
    table = looks.table(material)
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [row["patients with the primary visit"].value for row in rows] == [40, 80]
    assert [row["stop for success"].text for row in rows] == ["z ≥ 2.963", "z ≥ 1.969"]
    assert rows[0]["nominal p"].value == pytest.approx(0.0015, abs=5e-5)
    assert rows[0]["stop for futility"].text.startswith("z < ")
    picture = looks.picture(material, tmp_path / "figures" / "bounds.png")
    assert picture is not None
    assert "success at z 2.96" in picture.alt


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_stands_out_from_every_ground() -> None:
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]+);", style))
    grounds = {named["tint"], *re.findall(r"background: (#[0-9a-f]+)", style)}
    assert len(grounds) == 3
    for ground in grounds:
        for text in ("ink", "soft", "link"):
            assert (luminance(ground) + 0.05) / (luminance(named[text]) + 0.05) >= 4.5, (text, ground)

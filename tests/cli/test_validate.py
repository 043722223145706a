"""``sim validate``: its checks pass here, and would fail where something is wrong."""

from datetime import UTC, datetime

import numpy as np
import pytest

import sim.cli.validate as validation
from sim.cli.validate import CHECKS, Check, Found, report
from tests.cli.calling import call

SIMULATED = validation.level, validation.reproducible


@pytest.mark.parametrize("check", [c for c in CHECKS if c.look not in SIMULATED], ids=lambda c: c.claim)
def test_a_quick_check_passes_here(check):
    found = check.found()
    assert found.passed, found.words


@pytest.mark.slow
@pytest.mark.parametrize("check", [c for c in CHECKS if c.look in SIMULATED], ids=lambda c: c.claim)
def test_a_simulated_check_passes_here(check):
    found = check.found()
    assert found.passed, found.words


def test_a_block_has_its_own_fingerprint(monkeypatch):
    before = validation.fingerprint()
    assert before == validation.fingerprint()
    other = validation.first_study().model_copy(update={"seed": 1})
    monkeypatch.setattr(validation, "first_study", lambda: other)
    assert validation.fingerprint() != before


@pytest.mark.parametrize(
    ("name", "value", "look"),
    [
        ("RPACT", (("pocock", (0.5, 1.0), (2.17827, 2.1784)),), validation.bounds),
        ("REGISTERED", (0.5, 0.5, 0.5), validation.streams),
    ],
)
def test_a_wrong_number_fails_its_check(monkeypatch, name, value, look):
    monkeypatch.setattr(validation, name, value)
    assert not look().passed


def test_an_analysis_that_is_off_fails_its_check(monkeypatch):
    record = validation.block("expected")
    estimate = record.findings[0].estimate.estimate
    estimate[0, -1, 17] += 1e-6
    monkeypatch.setattr(validation, "block", lambda scenario: record)
    assert not validation.ancova().passed


def test_a_test_with_another_level_fails_the_check_of_the_level(monkeypatch):
    study = validation.first_study()
    first, *others = study.protocols["fixed"].looks
    loud = first.model_copy(update={"rule": first.rule.model_copy(update={"alpha": 0.2})})
    protocol = study.protocols["fixed"].model_copy(update={"looks": (loud, *others), "sizes": ()})
    faulty = study.model_copy(update={"protocols": {"fixed": protocol}})
    monkeypatch.setattr(validation, "first_study", lambda: faulty)
    monkeypatch.setattr(validation, "REPLICATES", 256)
    found = validation.level()
    assert not found.passed, found.words


def test_the_report_says_what_failed_and_the_command_ends_with_1(monkeypatch, tmp_path, capsys):
    good = Check("One is one", "arithmetic", lambda: Found(True, "1"))
    bad = Check("Two is one", "arithmetic", lambda: Found(False, "2 | 1"))
    broken = Check("Broken", "nothing", lambda: Found(bool(1 / 0), ""))
    monkeypatch.setattr(validation, "CHECKS", (good, bad, broken))
    file = tmp_path / "report.md"
    answer = call(capsys, "validate", "--out", file)
    assert (answer.code, len(answer.errors)) == (1, 1)
    assert "2 of 3 checks failed: Two is one; Broken" in answer.errors[0]
    text = file.read_text("utf-8")
    assert "1 of 3 checks passed" in text
    assert "| Two is one | arithmetic | 2 / 1 | **FAIL** |" in text
    assert "ZeroDivisionError" in text
    assert f"- numpy {np.__version__}" in text


def test_a_report_without_failures_ends_with_0_and_is_dated(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(validation, "CHECKS", (Check("One is one", "arithmetic", lambda: Found(True, "1")),))
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "validate").code == 0
    assert [file.suffix for file in tmp_path.iterdir()] == [".md"]
    lines = list(report(datetime(2026, 11, 21, 12, tzinfo=UTC), []))
    assert "2026-11-21 12:00 UTC: 0 of 0 checks passed." in lines
    assert call(capsys, "validate", "--out", tmp_path).code == 2
